//! Golden plans: what `trainyard plan` prints for every example and for jobs that use much of what a kind can say; and the
//! golden definition of `FrameworkPlugin`.
//!
//! `UPDATE=1 cargo test` rewrites them; the difference is the review.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use trainyard_tests::{ROOT, binary, generated};

#[test]
fn plans_are_as_recorded() -> Result<()> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut jobs = files(&golden.join("jobs"))?;
    for example in fs::read_dir(Path::new(ROOT).join("examples"))? {
        jobs.extend(files(&example?.path())?);
    }
    ensure!(jobs.len() >= 6, "where are the jobs? found {jobs:?}");
    for job in jobs {
        let done = Command::new(binary::trainyard()?).args(["plan", "-f"]).arg(&job).output()?;
        let complaint = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "trainyard plan -f {}: {complaint}", job.display());
        generated::up_to_date(&golden.join("plans").join(name(&job)?), &String::from_utf8(done.stdout)?)?;
    }
    Ok(())
}

/// What an API server is told of `FrameworkPlugin`: its fields are for ever.
#[test]
fn the_definition_of_framework_plugins_is_as_recorded() -> Result<()> {
    let done = Command::new(binary::trainyard()?).args(["crds", "FrameworkPlugin"]).output()?;
    ensure!(done.status.success(), "trainyard crds FrameworkPlugin: {}", String::from_utf8_lossy(&done.stderr));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/framework-plugin.yaml");
    generated::up_to_date(&golden, &String::from_utf8(done.stdout)?)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

/// `jobs/a.yaml` is `jobs-a.yaml`, `examples/pytorch/a.yaml` is `pytorch-a.yaml`.
fn name(job: &Path) -> Result<String> {
    let parts: Vec<_> = job.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    let [file, folder] = parts.as_slice() else { anyhow::bail!("{} is in no folder", job.display()) };
    Ok(format!("{folder}-{file}"))
}
