//! The same plugins as files, for the real operator. A definition of a kind costs an API server more than all that a plugin
//! does: they share a few kinds, and those of one kind come one after the other.

use std::path::PathBuf;

use serde_json::json;
use trainyard_core::contract::Description;

use super::*;

const KINDS: usize = 3;

/// Into the folder that is named in the environment: `<number>.wasm`, a good version of each kind, and a list.
#[test]
#[ignore = "run by the tests of the whole program"]
fn as_files() {
    let Some(folder) = std::env::var_os("TRAINYARD_COMPONENTS").map(PathBuf::from) else { return };
    let mut listed = vec![];
    for (file, Case { number, name, attack, word, message }) in cases().into_iter().enumerate() {
        let kind = listed.len() % KINDS;
        let (bytes, when) = match attack {
            Attack::Bytes(bytes) => (bytes(), When::Loaded),
            Attack::Guest(when, guest) => (Guest { description: of_kind(kind), ..*guest }.component(), when),
            // Its limits are not those of an operator.
            Attack::Own(_) => continue,
        };
        fs::write(folder.join(format!("{file}.wasm")), bytes).unwrap();
        let is_loaded = when != When::Loaded;
        listed.push(json!({
            "kind": kind, "file": format!("{file}.wasm"), "number": number, "name": name,
            "isLoaded": is_loaded, "word": word, "message": message,
        }));
    }
    for kind in 0..KINDS {
        let good = Guest { answer: Some(bad_plans::plan()), ..Guest::good(of_kind(kind)) };
        fs::write(folder.join(format!("good-{kind}.wasm")), good.component()).unwrap();
    }
    fs::write(folder.join("list.json"), json!({"fuel": FUEL, "components": listed}).to_string()).unwrap();
}

/// The sample's, but for the kind.
fn of_kind(number: usize) -> Description {
    let mut description = sample::description();
    let kind = &mut description.kinds[0];
    kind.kind = format!("Hostile{number}Job");
    kind.plural = format!("hostile{number}jobs");
    kind.short_names.clear();
    description
}
