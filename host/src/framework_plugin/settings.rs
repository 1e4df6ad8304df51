//! Settings of a plugin, checked against what it takes.

use serde_json::{Map, Value};
use trainyard_core::contract::Description;
use trainyard_core::json;

use super::{FrameworkPluginSpec, SourceSpec, SpecError};
use crate::catalog::settings;

impl FrameworkPluginSpec {
    /// The settings for this plugin, each one that it takes and of its type. A template is written here itself; of a bundled
    /// plugin those in files are read as well, as when it is loaded in any other way. A stranger does not get to name a file.
    pub fn settings(&self, plugin: &Description) -> Result<Value, SpecError> {
        let schema = settings::schema(plugin);
        for (name, value) in &self.settings {
            check(name, value, plugin, &schema)
                .map_err(|why| SpecError::invalid(format!("spec.settings.{name}"), why))?;
        }
        Ok(self.fitting_settings(plugin))
    }

    /// As many of the settings as this plugin takes: for a version that they were not written for.
    pub fn fitting_settings(&self, plugin: &Description) -> Value {
        let mut values = match self.source {
            SourceSpec::Bundled(_) => settings::from_files(plugin),
            SourceSpec::Oci(_) | SourceSpec::ConfigMap(_) | SourceSpec::File(_) => Map::new(),
        };
        let schema = settings::schema(plugin);
        let fits = self.settings.iter().filter(|(name, value)| check(name, value, plugin, &schema).is_ok());
        values.extend(fits.map(|(name, value)| (name.clone(), value.clone())));
        values.into()
    }
}

fn check(name: &str, value: &Value, plugin: &Description, schema: &Map<String, Value>) -> Result<(), String> {
    let Some(property) = schema.get(name) else {
        let known: Vec<_> = schema.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "it has none".into() } else { format!("there are: {}", known.join(", ")) };
        return Err(format!("plugin {} has no such setting; {known}", plugin.name));
    };
    let (fits, expected) = match json::text(property, "/type") {
        "integer" => (value.is_i64() || value.is_u64(), "an integer"),
        "number" => (value.is_number(), "a number"),
        "boolean" => (value.is_boolean(), "true or false"),
        "array" => (value.is_array(), "a list"),
        "object" => (value.is_object(), "an object"),
        "string" => (value.is_string(), "a string"),
        _ => (true, "anything"),
    };
    if fits { Ok(()) } else { Err(format!("{value} is not {expected}")) }
}
