//! The packages of this folder as components, from their sources.

use std::path::Path;

use trainyard_plugin_build::BuildError;
use wit_component::DecodedWasm;

fn component(package: &str) -> Result<Vec<u8>, BuildError> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../plugins");
    trainyard_plugin_build::component(&package, &target)
}

#[test]
fn a_component_can_call_the_log_and_nothing_else() {
    for plugin in include_str!("../../bundled").lines().filter_map(|line| line.split(' ').next()) {
        let bytes = component(plugin).unwrap();
        let DecodedWasm::Component(resolve, world) = wit_component::decode(&bytes).unwrap() else {
            panic!("{plugin} is a package, not a component");
        };
        let functions = |key: &_| {
            let interface = match key {
                wit_parser::WorldKey::Interface(id) => &resolve.interfaces[*id],
                wit_parser::WorldKey::Name(name) => panic!("{plugin} has {name} outside of an interface"),
            };
            let functions =
                interface.functions.keys().map(|function| format!("{}.{function}", resolve.name_world_key(key)));
            functions.collect::<Vec<_>>()
        };
        let world = &resolve.worlds[world];
        let imports: Vec<_> = world.imports.keys().flat_map(functions).collect();
        assert_eq!(imports, ["trainyard:framework/log@0.1.0.write"], "{plugin}");
        let exports: Vec<_> = world.exports.keys().flat_map(functions).collect();
        let five = ["describe", "default", "validate", "plan", "assess"];
        assert_eq!(exports, five.map(|name| format!("trainyard:framework/framework@0.1.0.{name}")), "{plugin}");
    }
}

#[test]
fn a_package_that_makes_no_component_is_named() {
    for (package, expected) in [
        ("sdk", "the library in PACKAGE is no plugin: it exports nothing, does it call `trainyard_plugin::export!`?"),
        ("pytorch/src", "cargo could not build the plugin in PACKAGE: exit status: 101"),
        ("nowhere", "cannot use PACKAGE: No such file or directory (os error 2)"),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package);
        let folder = folder.canonicalize().unwrap_or(folder);
        let expected = expected.replace("PACKAGE", &folder.display().to_string());
        assert_eq!(component(package).unwrap_err().to_string(), expected);
    }
}
