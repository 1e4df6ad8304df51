//! The `trainyard` program: reads its command line and does what it says.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use trainyard::catalog::Needs;
use trainyard::cli::{self, Cli, Command, CrdsOptions, Output, Parsed};
use trainyard::failure::Failure;
use trainyard::{crd, framework_plugin, operator, plan, plugin, plugin_command, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    match &*arguments {
        [_, command, name] if *command == run::REPLICA => return run::replica(&name.to_string_lossy()),
        [_, command] if *command == plugin::COMPILE => return plugin::child(),
        _ => {}
    }
    match cli::parse(arguments) {
        Parsed::Say(said) => said.exit(),
        Parsed::Command(command) => act(*command).unwrap_or_else(|failure| {
            tell(&failure.problems);
            ExitCode::from(failure.code)
        }),
    }
}

fn act(command: Command) -> Result<ExitCode, Failure> {
    if !matches!(command, Command::Operator(_)) {
        log_warnings();
    }
    match command {
        Command::Run(options) => run::run(&options),
        Command::Plan(options) => plan::plan(&options),
        Command::Crds(options) => crds(&options),
        Command::Plugin { command } => plugin_command::plugin(&command),
        Command::Operator(options) => operator::operator(&options),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "trainyard", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Of what is named; if nothing is, of everything, and first what brings more.
fn crds(options: &CrdsOptions) -> Result<ExitCode, Failure> {
    let names = options.kinds.iter().cloned();
    let (own, kinds): (Vec<_>, Vec<_>) = names.partition(|name| framework_plugin::is_called(name));
    let is_all = options.kinds.is_empty();
    let mut definitions = Vec::new();
    if is_all || !own.is_empty() {
        definitions.push(framework_plugin::definition());
    }
    if is_all || !kinds.is_empty() {
        let catalog = plan::catalog(&options.plugins, &Needs::of_kinds(&kinds))?;
        for loaded in catalog.only(&kinds).map_err(Failure::input)?.kinds() {
            definitions.push(crd::of(&loaded.kind).map_err(Failure::trouble)?);
        }
    }
    plan::print(&definitions, Output::Yaml).map_err(Failure::trouble)?;
    Ok(ExitCode::SUCCESS)
}

/// What plugins and libraries have to say on a laptop: `RUST_LOG` changes it.
fn log_warnings() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
}

fn tell(problems: &[String]) {
    let mut output = std::io::stderr().lock();
    let is_coloured = output.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let error = if is_coloured { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    for problem in problems {
        // Nobody listens: nothing to be done about it.
        let _ = writeln!(output, "{error} {problem}");
    }
}
