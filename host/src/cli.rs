//! The command line.

mod go_flags;
mod operator;
mod plugin;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::catalog::{Granted, Setting};

pub use self::operator::{Listen, LogFormat, OperatorOptions};
pub use self::plugin::{
    InspectOptions, InspectOutput, PluginCommand, PullOptions, PushOptions, RegistryOptions, TrustOptions,
};

/// `trainyard`, read.
#[derive(Debug, Parser)]
#[command(
    name = "trainyard",
    version,
    about = "Distributed training on Kubernetes; what it knows of a framework is in a WebAssembly plugin",
    after_help = "Examples:\n  trainyard run -f job.yaml          run a job here, without a cluster\n  \
                  trainyard plan -f job.yaml         see the pods and services it would have\n  \
                  trainyard crds | kubectl apply --server-side -f -\n  trainyard operator                 run the jobs of a cluster"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a job on this machine: replicas are processes, images are not used
    #[command(after_help = RUN_HELP)]
    Run(RunOptions),
    /// Show the objects that a job would have; nothing is run
    #[command(after_help = PLAN_HELP)]
    Plan(PlanOptions),
    /// Run the jobs of a cluster
    Operator(Box<OperatorOptions>),
    /// Print the definitions (CRD) of FrameworkPlugin, and of the kinds that are loaded
    Crds(CrdsOptions),
    /// Put plugins into registries, fetch them, look at them
    Plugin {
        /// What to do with one.
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Print the completion of a shell: source <(trainyard completion bash)
    Completion {
        /// The shell
        shell: Shell,
    },
}

const RUN_HELP: &str =
    "Each replica runs the command of its container that trains, with the environment its pod would \
get; addresses are 127.0.0.1 and free ports. Restart policies, deadlines, success and failure are those of a cluster. \
Other containers, init containers and volumes are left out. Ctrl-C ends the job and every process it has started.

Exit code: 0 the job succeeded, 1 it failed, 2 it cannot be run, 130 interrupted.

Examples:
  trainyard run -f job.yaml
  trainyard run -f jobs.yaml --job mnist
  trainyard run -f job.yaml --plugin my-framework.wasm";

const PLAN_HELP: &str =
    "Objects come in the order in which they are created, as the operator would send them. What only \
a cluster knows is left out: the job's uid in owner references, and the keys in secrets.

Exit code: 0, or 2 where the job is invalid, with a line for each problem.

Examples:
  trainyard plan -f job.yaml
  trainyard plan -f job.yaml -o json | jq '.items[].metadata.name'
  trainyard plan -f job.yaml --set PLUGIN.SETTING=VALUE";

/// Which job.
#[derive(Args, Debug)]
pub struct JobOptions {
    /// YAML or JSON, one or several documents; - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// The job of that name, if there are several
    #[arg(long, value_name = "NAME")]
    pub job: Option<String>,
}

/// Which plugins, and how they are set.
#[derive(Args, Debug, Default)]
pub struct PluginOptions {
    /// A plugin beside the bundled ones; it takes over their kinds (repeatable)
    #[arg(long = "plugin", value_name = "FILE")]
    pub plugins: Vec<PathBuf>,
    /// A setting of a plugin (repeatable)
    #[arg(long = "set", value_name = "PLUGIN.SETTING=VALUE")]
    pub settings: Vec<Setting>,
    /// What plans of a plugin may do beyond the safe set, in place of what it may: YAML with objects, images and the
    /// like (repeatable)
    #[arg(long = "grants", value_name = "PLUGIN=FILE")]
    pub grants: Vec<Granted>,
}

/// `trainyard run`.
#[derive(Args, Debug)]
pub struct RunOptions {
    /// Which job.
    #[command(flatten)]
    pub job: JobOptions,
    /// Which plugins.
    #[command(flatten)]
    pub plugins: PluginOptions,
}

/// `trainyard plan`.
#[derive(Args, Debug)]
pub struct PlanOptions {
    /// Which jobs; all if none is named.
    #[command(flatten)]
    pub job: JobOptions,
    /// Format
    #[arg(short, long, value_enum, default_value_t = Output::Yaml)]
    pub output: Output,
    /// Which plugins.
    #[command(flatten)]
    pub plugins: PluginOptions,
}

/// How objects are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Documents.
    Yaml,
    /// A List.
    Json,
}

/// `trainyard crds`.
#[derive(Args, Debug)]
pub struct CrdsOptions {
    /// Kinds; all if none is named
    #[arg(value_name = "KIND")]
    pub kinds: Vec<String>,
    /// Which plugins.
    #[command(flatten)]
    pub plugins: PluginOptions,
}

/// What came of reading the command line.
#[derive(Debug)]
pub enum Parsed {
    /// Something to do.
    Command(Box<Command>),
    /// Something clap has to say: help, version, a mistake.
    Say(clap::Error),
}

/// Reads a command line, program name included.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Parsed {
    let mut clap = Cli::command();
    clap.build();
    let line = go_flags::normalise(arguments.into_iter().collect(), &clap);
    let parsed = clap.try_get_matches_from(line.arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(Cli { command: Command::Operator(mut options) }) => {
            options.plugins.settings.extend(line.settings);
            Parsed::Command(Box::new(Command::Operator(options)))
        }
        Ok(Cli { command }) => Parsed::Command(Box::new(command)),
        Err(said) => Parsed::Say(said),
    }
}

#[cfg(test)]
mod tests;
