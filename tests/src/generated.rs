//! Generated files: kept in the clone, compared with what would be generated now.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

/// Checks that the file says `expected`; with `UPDATE=1` in the environment it is written instead.
pub fn up_to_date(file: &Path, expected: &str) -> Result<()> {
    if env::var_os("UPDATE").is_some() { write(file, expected) } else { compare(file, expected) }
}

fn write(file: &Path, expected: &str) -> Result<()> {
    if compare(file, expected).is_ok() {
        return Ok(()); // its time of change stays, so that nothing is rebuilt
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, expected).with_context(|| format!("cannot write {}", file.display()))
}

fn compare(file: &Path, expected: &str) -> Result<()> {
    let name = file.display();
    let found =
        fs::read_to_string(file).with_context(|| format!("{name} is missing: UPDATE=1 cargo test writes it"))?;
    let line = found.lines().zip(expected.lines()).take_while(|(found, expected)| found == expected).count() + 1;
    ensure!(found == expected, "{name} is out of date from line {line} on: UPDATE=1 cargo test rewrites it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_missing_then_written_then_out_of_date() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("docs/page.md");
        let name = file.display();

        let missing = compare(&file, "one\ntwo\n").unwrap_err();
        assert_eq!(missing.to_string(), format!("{name} is missing: UPDATE=1 cargo test writes it"));

        write(&file, "one\ntwo\n").unwrap();
        compare(&file, "one\ntwo\n").unwrap();

        let old = compare(&file, "one\nthree\n").unwrap_err();
        assert_eq!(old.to_string(), format!("{name} is out of date from line 2 on: UPDATE=1 cargo test rewrites it"));
    }
}
