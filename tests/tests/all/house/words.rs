//! Words that belong in one place: frameworks in their plugins, generated bindings in their adapter.

use anyhow::Result;

use super::sources;

/// In any spelling, as part of a word (`pytorch`, `PyTorchJob`, `V1TFJob`).
const FRAMEWORKS: &[&str] =
    &["pytorch", "tensorflow", "tfjob", "xgboost", "mpijob", "paddle", "jaxjob", "deepspeed", "megatron"];
/// Only as a whole word: `compile` has one of them in it.
const SHORT: &[&str] = &["torch", "tf", "mpi", "jax"];

/// The only file that names what `bindgen!` makes of `wit/`. One for each track of the contract.
const ADAPTERS: &[&str] = &["host/src/plugin/v0_1.rs"];
const GENERATED: &[&str] = &["bindgen!", "exports::trainyard"];

/// The host knows no framework. Comments may give one as an example, and tests have to name some.
#[test]
fn the_host_spells_no_framework() -> Result<()> {
    let mut found = Vec::new();
    for source in sources::all()?.iter().filter(|source| source.path.starts_with("host/")) {
        for (number, line) in source.code.lines().enumerate() {
            if let Some(word) = words(without_comment(line)).find(|word| is_framework(word)) {
                found.push(format!("{}:{}: {word}", source.path, number + 1));
            }
        }
    }
    assert!(found.is_empty(), "frameworks belong in plugins/: {found:#?}");
    Ok(())
}

#[test]
fn one_file_names_the_generated_bindings() -> Result<()> {
    let mut naming = sources::all()?;
    naming.retain(|source| {
        source.path.starts_with("host/")
            && GENERATED.iter().any(|name| source.code.lines().any(|line| without_comment(line).contains(name)))
    });
    let naming: Vec<_> = naming.iter().map(|source| source.path.as_str()).collect();
    assert_eq!(naming, ADAPTERS);
    Ok(())
}

#[test]
fn words_are_told_apart() {
    for (line, expected) in [
        (r#"let kind = "PyTorchJob";"#, Some("PyTorchJob")),
        ("const MPI_LABEL: u8 = 1;", Some("MPI")),
        ("fn compile(COMPILE_LIMIT: usize)", None),
        ("call(); // as for a PyTorchJob", None),
        (r#"get("https://tfjobs")"#, Some("tfjobs")),
    ] {
        assert_eq!(words(without_comment(line)).find(|word| is_framework(word)), expected, "{line}");
    }
}

fn is_framework(word: &str) -> bool {
    let word = word.to_lowercase();
    SHORT.contains(&word.as_str()) || FRAMEWORKS.iter().any(|name| word.contains(name))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// What `https://` begins is no comment.
fn without_comment(line: &str) -> &str {
    let mut comments = line.match_indices("//").map(|(at, _)| at);
    comments.find(|at| !line[..*at].ends_with(':')).map_or(line, |at| &line[..at])
}
