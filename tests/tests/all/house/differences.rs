//! What differs from v1 is said twice: to people in `docs/`, case by case to the conformance kit. Both say the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use trainyard_tests::ROOT;

#[test]
fn every_difference_of_a_case_is_explained_to_people() -> Result<()> {
    let root = Path::new(ROOT);
    let page = fs::read_to_string(root.join("docs/differences-from-v1.md"))?;
    let cases = fs::read_to_string(root.join("tests/conformance/differences.yaml"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |")?.0.parse::<u32>().ok());
    let rows: Vec<_> = rows.collect();
    let explained: BTreeSet<_> = rows.iter().copied().collect();
    assert_eq!(explained.len(), rows.len(), "a number is there twice: {rows:?}");
    assert_eq!(explained, (1..=54).collect(), "the numbers are those of the known bugs of v1");
    for line in cases.lines().filter_map(|line| line.strip_prefix("  bug: ")) {
        let number: u32 = line.parse().with_context(|| format!("tests/conformance/differences.yaml: bug: {line}"))?;
        assert!(explained.contains(&number), "docs/differences-from-v1.md says nothing of {number}");
    }
    Ok(())
}
