//! The plugins of this workspace as components, from their sources.

use std::path::Path;

use wit_component::DecodedWasm;

fn component(plugin: &str) -> Vec<u8> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(plugin);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../plugins");
    trainyard_plugin_build::component(&package, &target).unwrap()
}

#[test]
fn a_component_can_call_the_log_and_nothing_else() {
    for plugin in include_str!("../../bundled").lines() {
        let bytes = component(plugin);
        let DecodedWasm::Component(resolve, world) = wit_component::decode(&bytes).unwrap() else {
            panic!("{plugin} is a package, not a component");
        };
        println!("{plugin}: {} bytes", bytes.len());
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
