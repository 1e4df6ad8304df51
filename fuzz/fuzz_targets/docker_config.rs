//! A file with credentials: whoever is not named in it gets none, and nothing that is said of it has a secret in it.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use trainyard_fuzz::source::DockerConfig;

fuzz_target!(|data: &[u8]| {
    let config = match DockerConfig::parse(data) {
        Ok(config) => config,
        Err(fault) => return assert_says_where(&fault.to_string()),
    };
    let named: BTreeSet<_> = config.registries().into_iter().collect();
    assert_eq!(format!("{config:?}"), format!("{named:?}"), "shown are the registries alone");
    for registry in ["registry.example", "registry.example:5000", "localhost"] {
        match config.find(registry, "team/plugin") {
            Ok(None) => {}
            Ok(Some(credential)) => {
                let is_named = |key: &&str| key.contains('*') || key.to_ascii_lowercase().contains(registry);
                assert!(named.iter().any(is_named), "{registry} is not among {named:?}");
                assert!(
                    format!("{credential:?}").starts_with("Credential::") && !format!("{credential:?}").contains(' ')
                );
            }
            Err(fault) => assert_is_known(&fault.to_string(), registry, &named, data),
        }
    }
});

/// A line and a column, and no word of the file.
fn assert_says_where(text: &str) {
    let place = text.strip_prefix("the docker config is not what it should be at line ");
    let place = place.and_then(|place| place.split_once(" column "));
    let is_number = |text: &str| text.parse::<usize>().is_ok();
    assert!(place.is_some_and(|(line, column)| is_number(line) && is_number(column)), "{text}");
}

fn assert_is_known(text: &str, registry: &str, named: &BTreeSet<&str>, data: &[u8]) {
    let bad_auth =
        |key: &&str| text == format!("the docker config has an auth for {key} that is no base64 of user:password");
    let in_helper = |helper: &str| {
        let who = format!("the credentials for {registry} are kept by docker-credential-{helper}, which is not run; ");
        text == who + "give a user name and a password"
    };
    let config: Value = serde_json::from_slice(data).unwrap_or_default();
    let helpers = config["credHelpers"].as_object().into_iter().flatten().map(|(_, helper)| helper);
    let mut helpers = helpers.chain([&config["credsStore"]]).filter_map(Value::as_str);
    assert!(config.is_null() || named.iter().any(bad_auth) || helpers.any(in_helper), "{text}");
}
