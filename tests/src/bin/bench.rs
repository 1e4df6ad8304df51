//! `make bench`: what operators cost. The table goes to the terminal, and with a plot into `target/bench`.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use trainyard_tests::ROOT;
use trainyard_tests::bench::{self, Options};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut options = Options::parse();
    options.trainyard = env::current_exe()?.with_file_name("trainyard");
    ensure!(options.trainyard.is_file(), "there is no {}: `make bench` builds it", options.trainyard.display());
    let report = bench::run(&options)?;
    let folder = options.out.unwrap_or_else(|| Path::new(ROOT).join("target/bench"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    let (table, plot) = (folder.join("report.md"), folder.join("report.svg"));
    fs::write(&table, report.markdown())?;
    fs::write(&plot, report.svg())?;
    writeln!(io::stdout(), "{}\n{}\n{}", report.markdown(), table.display(), plot.display())?;
    Ok(())
}
