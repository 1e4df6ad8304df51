//! What files say, and what is wrong with them.

use serde_json::json;

use super::*;

fn read(text: &str) -> Result<Vec<(String, Value)>, String> {
    let documents = documents("job.yaml", text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(documents.into_iter().map(|document| (document.place, document.object)).collect())
}

#[test]
fn yaml_and_json_are_read_as_kubectl_reads_them() {
    let object = |spec: Value| json!({"apiVersion": "v1", "kind": "A", "spec": spec});
    for (name, text, expected) in [
        ("json", r#"{"apiVersion": "v1", "kind": "A", "spec": [1]}"#, object(json!([1]))),
        ("anchors", "apiVersion: v1\nkind: A\nspec: [&x {a: 1}, *x]\n", object(json!([{"a": 1}, {"a": 1}]))),
        (
            "merge keys",
            "apiVersion: v1\nkind: A\nspec: [&x {a: 1}, {<<: *x, b: 2}]\n",
            object(json!([{"a": 1}, {"a": 1, "b": 2}])),
        ),
        ("old octals", "apiVersion: v1\nkind: A\nspec: 0755\n", object(json!(493))),
        ("old booleans", "apiVersion: v1\nkind: A\nspec: yes\n", object(json!(true))),
        ("blocks", "apiVersion: v1\nkind: A\nspec: |\n  a\n  b\n", object(json!("a\nb\n"))),
    ] {
        assert_eq!(read(text), Ok(vec![("job.yaml: document 1 (line 1)".to_owned(), expected)]), "{name}");
    }
}

#[test]
fn documents_are_counted_and_empty_ones_are_not() {
    let text = "# a comment\n---\napiVersion: v1\nkind: A\n---\n---\n\napiVersion: v1\nkind: B\n";
    let places: Vec<_> = read(text).unwrap().into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, ["job.yaml: document 1 (line 3)", "job.yaml: document 2 (line 8)"]);
    assert_eq!(read(""), Ok(vec![]));
}

#[test]
fn mistakes_name_file_document_and_line() {
    let good = "apiVersion: v1\nkind: A\n---\n";
    for (text, expected) in [
        ("a: 1\n b: 2\n", "job.yaml: document 1: mapping values are not allowed in this context at line 2, column 3"),
        (&format!("{good}a: [1\n"), "job.yaml: document 2: unclosed bracket '[' at line 4, column 4"),
        ("kind: A\nkind: B\n", "job.yaml: document 1: duplicate mapping key: kind at line 2"),
        (&format!("{good}- a\n"), "job.yaml: document 2 (line 4): it is no object of Kubernetes"),
        (&format!("{good}kind: A\n"), "job.yaml: document 2 (line 4): apiVersion is missing"),
        ("apiVersion: v1\n", "job.yaml: document 1 (line 1): kind is missing"),
    ] {
        assert_eq!(read(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_job_without_a_namespace_is_in_the_default_one() {
    assert_eq!(in_namespace(json!({"status": {}})), json!({"metadata": {"namespace": "default"}}));
    let object = json!({"metadata": {"name": "a", "namespace": "b"}});
    assert_eq!(in_namespace(object.clone()), object);
}
