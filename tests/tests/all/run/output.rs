//! What replicas say reaches the terminal whole.

use std::process::Command;

use anyhow::Result;
use serde_json::json;
use trainyard_tests::binary;

use super::program::{job, master, replicas, run};

#[test]
fn the_two_streams_stay_apart_and_are_prefixed() -> Result<()> {
    let ended = run(&master("Never", "echo out; echo err >&2; echo; printf open"))?;
    assert_eq!(ended.out, "master-0 | out\nmaster-0 | \nmaster-0 | open\n", "{ended:?}");
    assert!(ended.err.contains("\nmaster-0 | err\n"), "{ended:?}");
    assert!(!ended.out.contains('\u{1b}') && !ended.err.contains('\u{1b}'), "colours without a terminal: {ended:?}");
    Ok(())
}

#[test]
fn long_lines_and_many_lines_come_whole() -> Result<()> {
    let worker = "head -c 300000 /dev/zero | tr '\\0' x; echo; seq 1 20000";
    let ended = run(&job(json!({"Master": replicas(1, "Never", worker), "Worker": replicas(2, "Never", worker)})))?;
    assert_eq!(ended.code, Some(0), "{:?}", ended.err);
    for replica in ["master-0", "worker-0", "worker-1"] {
        let lines = ended.of(replica);
        assert_eq!((lines.len(), lines[0].len(), lines[20_000]), (20_001, 300_000, "20000"), "{replica}");
    }
    Ok(())
}

#[test]
fn bytes_that_are_no_text_pass() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), master("Never", "printf '\\377\\n'").to_string())?;
    let done = Command::new(binary::trainyard()?).args(["run", "-f"]).arg(file.path()).output()?;
    assert_eq!(done.stdout, b"master-0 | \xff\n");
    Ok(())
}
