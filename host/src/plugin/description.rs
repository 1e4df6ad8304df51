//! Whether a description can be: what the host would build from it (CRD, names, ports) has to be valid.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use trainyard_core::{
    contract::{Column, Description, Kind, Port, ReplicaType},
    name::{dns_1035_problems, is_dns_label},
};

/// What is wrong with a description, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// A list that may not be empty.
    #[error("{path} is empty")]
    Empty {
        /// Of the list.
        path: String,
    },
    /// A value that the host could not use.
    #[error("{path} is not {expected}: {value:?}")]
    Invalid {
        /// Of the value.
        path: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        value: String,
    },
    /// Two that would be taken for each other.
    #[error("{path} is there twice: {value:?}")]
    Duplicate {
        /// Of the second.
        path: String,
        /// What both are.
        value: String,
    },
}

type Checked = Result<(), DescriptionError>;

/// Checks a whole description.
pub(super) fn check(description: &Description) -> Checked {
    let Description { name, version, kinds, objects, settings_schema } = description;
    valid(is_dns_label(name), "name", LABEL, name)?;
    let is_version = (1..=64).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_graphic());
    valid(is_version, "version", "a version (1 to 64 plain characters)", version)?;
    json_object("settings-schema", settings_schema)?;
    for (index, object) in objects.iter().enumerate() {
        let path = |field| format!("objects[{index}].{field}");
        valid(!object.api_version.is_empty(), path("api-version"), "an API version", &object.api_version)?;
        valid(!object.kind.is_empty(), path("kind"), "a kind", &object.kind)?;
    }
    if kinds.is_empty() {
        return Err(DescriptionError::Empty { path: "kinds".into() });
    }
    each(kinds, "kinds", check_kind)?;
    // Two kinds of one group share a CRD if their plurals agree; two versions of one kind would need one.
    unique(kinds, "kinds", "kind", |kind| format!("{}.{}", kind.kind.to_lowercase(), kind.group))?;
    unique(kinds, "kinds", "plural", |kind| format!("{}.{}", kind.plural, kind.group))
}

fn check_kind(kind: &Kind, at: &str) -> Checked {
    let path = |field: &str| format!("{at}.{field}");
    valid(is_dns_name(&kind.group), path("group"), "a DNS name of two labels or more", &kind.group)?;
    valid(is_dns_1035(&kind.version), path("version"), DNS_1035, &kind.version)?;
    let starts_upper = kind.kind.starts_with(|first: char| first.is_ascii_uppercase());
    let is_kind = starts_upper && is_dns_1035(&kind.kind.to_lowercase());
    valid(is_kind, path("kind"), "a name in upper camel case", &kind.kind)?;
    valid(is_dns_1035(&kind.plural), path("plural"), DNS_1035, &kind.plural)?;
    for (index, name) in kind.short_names.iter().enumerate() {
        valid(is_dns_1035(name), path(&format!("short-names[{index}]")), DNS_1035, name)?;
    }
    valid(is_field(&kind.replica_specs), path("replica-specs"), "the name of a field", &kind.replica_specs)?;
    valid(is_dns_label(&kind.container), path("container"), LABEL, &kind.container)?;
    if let Some(port) = &kind.port {
        check_port(port, &path("port"))?;
    }
    json_object(path("spec-properties"), &kind.spec_properties)?;
    let types = path("replica-types");
    each(&kind.replica_types, &types, check_replica_type)?;
    // Users may spell a type in any case.
    unique(&kind.replica_types, &types, "name", |each| each.name.to_lowercase())?;
    if let Some(scales) = &kind.scales {
        let known = kind.replica_types.iter().any(|each| each.name == *scales);
        valid(known, path("scales"), "one of replica-types", scales)?;
    }
    each(&kind.columns, &path("columns"), check_column)
}

fn check_replica_type(replica_type: &ReplicaType, at: &str) -> Checked {
    let name = &replica_type.name;
    valid(is_dns_label(&name.to_lowercase()), format!("{at}.name"), LABEL, name)
}

fn check_port(port: &Port, at: &str) -> Checked {
    let Port { name, number } = port;
    let is_name = is_dns_label(name) && name.len() <= 15 && name.contains(|each: char| each.is_ascii_lowercase());
    valid(is_name, format!("{at}.name"), "the name of a port (15 characters at most)", name)?;
    valid(*number > 0, format!("{at}.number"), "a port (1 to 65535)", &number.to_string())
}

fn check_column(column: &Column, at: &str) -> Checked {
    let Column { name, json_path, kind } = column;
    valid(!name.is_empty(), format!("{at}.name"), "a heading", name)?;
    valid(json_path.starts_with('.'), format!("{at}.json-path"), "a path that starts with a dot", json_path)?;
    let kinds = ["boolean", "date", "integer", "number", "string"];
    valid(kinds.contains(&kind.as_str()), format!("{at}.kind"), "boolean, date, integer, number or string", kind)
}

const LABEL: &str = "a DNS label";
const DNS_1035: &str = "a DNS label that starts with a letter";

fn is_dns_1035(name: &str) -> bool {
    dns_1035_problems(name).is_empty()
}

fn is_dns_name(name: &str) -> bool {
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_dns_label)
}

fn is_field(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.chars().all(|each| each.is_ascii_alphanumeric())
}

fn json_object(path: impl Into<String>, text: &str) -> Checked {
    valid(serde_json::from_str::<Map<String, Value>>(text).is_ok(), path, "a JSON object", text)
}

fn each<T>(items: &[T], path: &str, check: impl Fn(&T, &str) -> Checked) -> Checked {
    items.iter().enumerate().try_for_each(|(index, item)| check(item, &format!("{path}[{index}]")))
}

fn unique<T>(items: &[T], path: &str, field: &str, key: impl Fn(&T) -> String) -> Checked {
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let value = key(item);
        if seen.contains(&value) {
            return Err(DescriptionError::Duplicate { path: format!("{path}[{index}].{field}"), value });
        }
        seen.insert(value);
    }
    Ok(())
}

fn valid(is_valid: bool, path: impl Into<String>, expected: &'static str, value: &str) -> Checked {
    if is_valid {
        return Ok(());
    }
    Err(DescriptionError::Invalid { path: path.into(), expected, value: value.into() })
}

#[cfg(test)]
mod tests;
