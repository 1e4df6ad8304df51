//! Settings of plugins from the command line: `--set PLUGIN.SETTING=VALUE`, or v1's `--<plugin>-<setting> VALUE`.

use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Map, Value};
use trainyard_core::contract::Description;
use trainyard_core::json;

/// One setting, as the user gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// For error messages: `--set a.b`.
    shown: String,
    /// Between plugin and setting.
    separator: char,
    key: String,
    value: String,
}

/// What is wrong with a setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// No plugin has it.
    #[error("{shown}: no loaded plugin has this setting; there are: {}", .known.join(", "))]
    Unknown {
        /// What the user wrote.
        shown: String,
        /// What would do.
        known: Vec<String>,
    },
    /// A value of another type.
    #[error("{shown}: {value:?} is not {expected}")]
    Invalid {
        /// What the user wrote.
        shown: String,
        /// The value.
        value: String,
        /// What the plugin wants.
        expected: &'static str,
    },
    /// A template file that is named, and not there.
    #[error("{shown}: cannot read {}", .path.display())]
    Unreadable {
        /// What the user wrote.
        shown: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The value of such a setting is a path; the plugin, which has no files, gets what is in the file.
const FILE: &str = "-template-file";
/// Where v1 has such files. A plugin may say which of these it gets when nobody gives another, and none elsewhere: this
/// process may read more than a plugin should.
const MOUNTED: &str = "/etc/config/";

impl Setting {
    /// `--<plugin>-<setting> VALUE`; the flag without dashes.
    pub fn flag(flag: &str, value: &str) -> Self {
        Self { shown: format!("--{flag}"), separator: '-', key: flag.to_owned(), value: value.to_owned() }
    }

    /// Whether it can be one of that plugin.
    pub(super) fn may_be_of(&self, plugin: &str) -> bool {
        self.key.strip_prefix(plugin).is_some_and(|rest| rest.starts_with(self.separator))
    }

    /// Its name, where it is one of that plugin.
    fn name_in<'a>(&'a self, plugin: &Description, schema: &Map<String, Value>) -> Option<&'a str> {
        let name = self.key.strip_prefix(&plugin.name)?.strip_prefix(self.separator)?;
        schema.contains_key(name).then_some(name)
    }
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("there is no `=`: write PLUGIN.SETTING=VALUE")?;
        if !key.contains('.') {
            return Err("there is no `.` before `=`: write PLUGIN.SETTING=VALUE");
        }
        Ok(Self { shown: format!("--set {key}"), separator: '.', key: key.to_owned(), value: value.to_owned() })
    }
}

/// Every setting belongs to one of these plugins.
pub(super) fn check(plugins: &[&Description], settings: &[Setting]) -> Result<(), SettingError> {
    for setting in settings {
        if !plugins.iter().any(|plugin| setting.name_in(plugin, &schema(plugin)).is_some()) {
            let mut known: Vec<_> = plugins.iter().flat_map(|plugin| names(plugin, setting.separator)).collect();
            known.sort();
            known.dedup();
            return Err(SettingError::Unknown { shown: setting.shown.clone(), known });
        }
    }
    Ok(())
}

/// The settings of one plugin; of the same one twice, the last counts.
pub(super) fn of(plugin: &Description, settings: &[Setting]) -> Result<Value, SettingError> {
    let schema = schema(plugin);
    let mut values = from_files(plugin);
    for setting in settings {
        let Some(name) = setting.name_in(plugin, &schema) else { continue };
        let property = schema.get(name).unwrap_or(&Value::Null);
        match value(setting, name, property)? {
            Some(value) => values.insert(name.to_owned(), value),
            None => values.remove(name),
        };
    }
    Ok(values.into())
}

/// The templates in the files where a plugin looks for them when nobody says where, as far as they are there.
pub(crate) fn from_files(plugin: &Description) -> Map<String, Value> {
    let schema = schema(plugin);
    let files = schema.iter().filter(|(name, _)| name.ends_with(FILE));
    let read = files.filter_map(|(name, property)| {
        let path = default_file(property).filter(|path| path.starts_with(MOUNTED) && !path.contains(".."))?;
        Some((name.clone(), std::fs::read_to_string(path).ok()?.into()))
    });
    read.collect()
}

/// None: there is no file where one could be.
fn value(setting: &Setting, name: &str, property: &Value) -> Result<Option<Value>, SettingError> {
    let Setting { shown, value: text, .. } = setting;
    if name.ends_with(FILE) {
        return match std::fs::read_to_string(text) {
            Ok(content) => Ok(Some(content.into())),
            Err(_) if default_file(property) == Some(text) => Ok(None),
            Err(source) => Err(SettingError::Unreadable { shown: shown.clone(), path: text.into(), source }),
        };
    }
    let (value, expected) = match json::text(property, "/type") {
        "integer" => (text.parse::<i64>().ok().map(Value::from), "an integer"),
        "number" => (text.parse::<f64>().ok().map(Value::from), "a number"),
        "boolean" => (text.parse::<bool>().ok().map(Value::from), "true or false"),
        "array" | "object" => (serde_json::from_str(text).ok(), "JSON"),
        _ => (Some(Value::from(text.as_str())), "a string"),
    };
    let invalid = || SettingError::Invalid { shown: shown.clone(), value: text.clone(), expected };
    value.ok_or_else(invalid).map(Some)
}

fn default_file(property: &Value) -> Option<&str> {
    property.get("default")?.as_str()
}

fn names(plugin: &Description, separator: char) -> Vec<String> {
    schema(plugin).keys().map(|name| format!("{}{separator}{name}", plugin.name)).collect()
}

/// The schema of each setting that a plugin takes.
pub(crate) fn schema(plugin: &Description) -> Map<String, Value> {
    let schema: Value = serde_json::from_str(&plugin.settings_schema).unwrap_or_default();
    schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plugin(properties: Value) -> Description {
        let settings_schema = json!({"type": "object", "properties": properties}).to_string();
        Description { name: "one".into(), version: String::new(), kinds: vec![], objects: vec![], settings_schema }
    }

    fn settings(given: &[Setting]) -> Result<Value, String> {
        let properties = json!({
            "image": {"type": "string"}, "tries": {"type": "integer"}, "fast": {"type": "boolean"},
            "x-template-file": {"type": "string", "default": "/nowhere/default.yaml"},
        });
        let plugin = plugin(properties);
        check(&[&plugin], given).and_then(|()| of(&plugin, given)).map_err(|error| crate::failure::chain(&error))
    }

    #[test]
    fn a_setting_is_what_the_schema_says() {
        let set = |text: &str| text.parse::<Setting>().unwrap();
        for (given, expected) in [
            (vec![], json!({})),
            (vec![Setting::flag("one-image", "busybox"), set("one.tries=3")], json!({"image": "busybox", "tries": 3})),
            (vec![set("one.fast=true"), set("one.image=3")], json!({"fast": true, "image": "3"})),
            (vec![set("one.tries=1"), set("one.tries=2")], json!({"tries": 2})),
            (vec![Setting::flag("one-x-template-file", "/nowhere/default.yaml")], json!({})),
        ] {
            assert_eq!(settings(&given), Ok(expected), "{given:?}");
        }
    }

    #[test]
    fn a_template_file_is_read() {
        let file = std::env::temp_dir().join(format!("trainyard-settings-{}", std::process::id()));
        std::fs::write(&file, "- name: init").unwrap();
        let read = settings(&[Setting::flag("one-x-template-file", file.to_str().unwrap())]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(read, Ok(json!({"x-template-file": "- name: init"})));
    }

    #[test]
    fn what_no_plugin_takes_is_named() {
        let known = "there are: one-fast, one-image, one-tries, one-x-template-file";
        for (given, expected) in [
            (Setting::flag("two-image", "x"), format!("--two-image: no loaded plugin has this setting; {known}")),
            (Setting::flag("oneimage", "x"), format!("--oneimage: no loaded plugin has this setting; {known}")),
            (
                "one.size=1".parse().unwrap(),
                format!("--set one.size: no loaded plugin has this setting; {}", known.replace("one-", "one.")),
            ),
            ("one.tries=many".parse().unwrap(), r#"--set one.tries: "many" is not an integer"#.into()),
            (Setting::flag("one-fast", "maybe"), r#"--one-fast: "maybe" is not true or false"#.into()),
            (
                Setting::flag("one-x-template-file", "/nowhere/else"),
                "--one-x-template-file: cannot read /nowhere/else: No such file or directory (os error 2)".into(),
            ),
        ] {
            assert_eq!(settings(&[given]), Err(expected));
        }
    }

    #[test]
    fn a_setting_names_plugin_and_value() {
        assert_eq!("one".parse::<Setting>(), Err("there is no `=`: write PLUGIN.SETTING=VALUE"));
        assert_eq!("one=1".parse::<Setting>(), Err("there is no `.` before `=`: write PLUGIN.SETTING=VALUE"));
    }
}
