//! Fragments from a text that an admin supplies: a YAML list with placeholders, as `{{.MasterAddr}}`.
//!
//! What the plugin knows is put into the text before it is read, what the host completes afterwards.

use serde_json::Value;

use crate::types::Content;
use crate::{Fill, Fragment, Piece};

// From the private use area, so not in anyone's text, and plain characters to YAML.
const BEGIN: char = '\u{e000}';
const END: char = '\u{e001}';

/// The items of a list in which `values` stand for the placeholders of their names. The error is a sentence for the
/// admin.
pub fn fragments(template: &str, values: &[(&str, Piece)]) -> Result<Vec<Fragment>, String> {
    let text = substituted(template, values)?;
    let items: Vec<Value> = serde_yaml_ng::from_str(&text).map_err(|error| format!("not a YAML list: {error}"))?;
    Ok(items.into_iter().map(|item| fragment(item, values)).collect())
}

fn substituted(template: &str, values: &[(&str, Piece)]) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (placeholder, after) = after.split_once("}}").ok_or("a placeholder is not closed with }}")?;
        let name = placeholder.trim().trim_start_matches('.');
        let found = values.iter().position(|(known, _)| *known == name);
        let known = || values.iter().map(|(known, _)| format!("{{{{.{known}}}}}")).collect::<Vec<_>>().join(", ");
        let index = found.ok_or_else(|| format!("unknown placeholder {{{{{placeholder}}}}}, known are {}", known()))?;
        text.push_str(before);
        match values.get(index) {
            Some((_, Piece::Literal(value))) => text.push_str(value),
            _ => text.extend([BEGIN.to_string(), index.to_string(), END.to_string()]),
        }
        rest = after;
    }
    Ok(text + rest)
}

fn fragment(item: Value, values: &[(&str, Piece)]) -> Fragment {
    let mut fills = Vec::new();
    marked(&item, String::new(), &mut |at, text| {
        fills.push(Fill { at, content: Content::Text(pieces(text, values)) });
    });
    Fragment { json: item.to_string(), fills }
}

/// Calls `found` with pointer and text of each string that has a mark in it.
fn marked(value: &Value, at: String, found: &mut impl FnMut(String, &str)) {
    match value {
        Value::String(text) if text.contains(BEGIN) => found(at, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                marked(item, format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                marked(field, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn pieces(text: &str, values: &[(&str, Piece)]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for part in text.split_inclusive([BEGIN, END]) {
        match part.strip_suffix(END).map(|index| index.parse().ok().and_then(|index: usize| values.get(index))) {
            Some(Some((_, piece))) => pieces.push(piece.clone()),
            _ => pieces.push(Piece::Literal(part.trim_end_matches(BEGIN).to_owned())),
        }
    }
    pieces.retain(|piece| *piece != Piece::Literal(String::new()));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{host, literal};

    fn values() -> [(&'static str, Piece); 2] {
        [("Image", literal("a:1")), ("Addr", host("Master", 0))]
    }

    #[test]
    fn what_the_plugin_knows_is_text_and_what_the_host_knows_is_filled() {
        let template = "- image: {{.Image}}\n  command: [wait, 'for {{ .Addr }}!']\n- name: x\n";
        let found = fragments(template, &values()).unwrap();
        let content = Content::Text(vec![literal("for "), host("Master", 0), literal("!")]);
        let json = "{\"command\":[\"wait\",\"for \u{e000}1\u{e001}!\"],\"image\":\"a:1\"}";
        let first = Fragment { json: json.into(), fills: vec![Fill { at: "/command/1".into(), content }] };
        assert_eq!(found, [first, Fragment { json: "{\"name\":\"x\"}".into(), fills: Vec::new() }]);
    }

    #[test]
    fn an_admins_mistake_is_named() {
        for (template, expected) in [
            ("- {{.Other}}", "unknown placeholder {{.Other}}, known are {{.Image}}, {{.Addr}}"),
            ("- {{.Image", "a placeholder is not closed with }}"),
            ("name: x", "not a YAML list: invalid type: map, expected a sequence"),
        ] {
            assert_eq!(fragments(template, &values()), Err(expected.into()), "{template}");
        }
    }
}
