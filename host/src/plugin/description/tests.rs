//! A good description with one thing broken.

use super::*;
use crate::plugin::sample;

#[test]
fn a_good_description_passes() {
    assert_eq!(check(&sample::description()), Ok(()));
}

type Break = fn(&mut Description);

fn refused(cases: &[(Break, &str)]) {
    for (break_it, expected) in cases {
        let mut description = sample::description();
        break_it(&mut description);
        assert_eq!(check(&description).map_err(|error| error.to_string()), Err((*expected).to_owned()));
    }
}

#[test]
fn an_impossible_plugin_is_refused_naming_field_and_value() {
    refused(&[
        (|it| it.name = "Torch".into(), r#"name is not a DNS label: "Torch""#),
        (|it| it.settings_schema = "[]".into(), r#"settings-schema is not a JSON object: "[]""#),
        (|it| it.objects[0].api_version.clear(), r#"objects[0].api-version is not an API version: """#),
        (|it| it.objects[0].kind.clear(), r#"objects[0].kind is not a kind: """#),
        (|it| it.kinds.clear(), "kinds is empty"),
        (|it| it.kinds.push(it.kinds[0].clone()), r#"kinds[1].kind is there twice: "testjob.example.com""#),
        (
            |it| it.kinds.push(Kind { kind: "OtherJob".into(), ..it.kinds[0].clone() }),
            r#"kinds[1].plural is there twice: "testjobs.example.com""#,
        ),
    ]);
}

#[test]
fn an_impossible_kind_is_refused_naming_field_and_value() {
    refused(&[
        (
            |it| it.kinds[0].group = "example".into(),
            r#"kinds[0].group is not a DNS name of two labels or more: "example""#,
        ),
        (
            |it| it.kinds[0].version = "1".into(),
            r#"kinds[0].version is not a DNS label that starts with a letter: "1""#,
        ),
        (|it| it.kinds[0].kind = "testJob".into(), r#"kinds[0].kind is not a name in upper camel case: "testJob""#),
        (
            |it| it.kinds[0].plural = "Jobs".into(),
            r#"kinds[0].plural is not a DNS label that starts with a letter: "Jobs""#,
        ),
        (
            |it| it.kinds[0].short_names.push(String::new()),
            r#"kinds[0].short-names[1] is not a DNS label that starts with a letter: """#,
        ),
        (|it| it.kinds[0].replica_specs = "a-b".into(), r#"kinds[0].replica-specs is not the name of a field: "a-b""#),
        (|it| it.kinds[0].container = "A".into(), r#"kinds[0].container is not a DNS label: "A""#),
        (
            |it| it.kinds[0].port = Some(Port { name: "p".into(), number: 0 }),
            r#"kinds[0].port.number is not a port (1 to 65535): "0""#,
        ),
        (
            |it| it.kinds[0].port = Some(Port { name: "sixteen-letters-".into(), number: 1 }),
            r#"kinds[0].port.name is not the name of a port (15 characters at most): "sixteen-letters-""#,
        ),
        (|it| it.kinds[0].spec_properties = "{".into(), r#"kinds[0].spec-properties is not a JSON object: "{""#),
        (|it| it.kinds[0].scales = Some("Ps".into()), r#"kinds[0].scales is not one of replica-types: "Ps""#),
        (
            |it| it.kinds[0].replica_types[1].name = "worker".into(),
            r#"kinds[0].replica-types[1].name is there twice: "worker""#,
        ),
        (
            |it| it.kinds[0].replica_types[1].name = "a b".into(),
            r#"kinds[0].replica-types[1].name is not a DNS label: "a b""#,
        ),
        (
            |it| it.kinds[0].columns[0].json_path = "status".into(),
            r#"kinds[0].columns[0].json-path is not a path that starts with a dot: "status""#,
        ),
    ]);
}
