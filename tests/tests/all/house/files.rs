//! Files: none forgotten, none too long, each with a first line that says what it is.

use anyhow::Result;

use super::sources;

const LONGEST: usize = 300;

#[test]
fn every_file_is_reached_by_a_mod() -> Result<()> {
    assert_eq!(sources::orphans()?, [].into(), "no `mod` names these files: nobody compiles them");
    Ok(())
}

#[test]
fn files_are_short() -> Result<()> {
    let long: Vec<_> = sources::all()?
        .iter()
        .map(|source| (source.path.clone(), source.code.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST)
        .collect();
    assert_eq!(long, [], "more than {LONGEST} lines without tests");
    Ok(())
}

#[test]
fn every_file_says_what_it_is() -> Result<()> {
    let mut silent = sources::all()?;
    silent.retain(|source| !source.code.is_empty() && !source.code.starts_with("//! "));
    let silent: Vec<_> = silent.iter().map(|source| &source.path).collect();
    assert!(silent.is_empty(), "the first line is no `//! ` and a sentence: {silent:#?}");
    Ok(())
}
