//! What an operator costs: many jobs, silence, and jobs of a thousand pods, on a real control plane whose nodes kwok plays.
//!
//! Any operator can be measured: a command starts it, and what it asks is in the API server's audit log under its name.

mod figure;
mod follow;
mod job;
mod jobs;
mod large;
mod place;
mod plain;
mod plot;
mod sample;
mod table;
mod usage;

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use self::figure::Section;
use self::place::Place;

/// What to measure.
#[derive(Parser, Debug)]
#[command(
    name = "bench",
    about = "Measures operators: requests, CPU, memory, and how fast they create pods. docs/bench.md explains the figures.",
    after_help = "Several operators are measured one after the other, each on a new control plane. In a COMMAND, which is one \
                  program with its arguments in a shell's words, stand:\n  \
                  {kubeconfig}  the file that says where the API server is, and as whom to act\n  \
                  {metrics}     an address to serve /metrics at\n  \
                  {health}      an address to tell health at\n  \
                  {webhook}     a port for admission\n\n\
                  Exit code: 0 all was measured, 1 something could not be, 2 the arguments are wrong."
)]
pub struct Options {
    /// PyTorch jobs to run at a time, each with one master
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: u32,
    /// Workers of each of these jobs
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub workers: u32,
    /// Pods of the one large job, of each kind that is there; 0: no large job
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(0..=5000))]
    pub large: u32,
    /// How often the large job and a plain client take turns
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub turns: u32,
    /// Seconds of silence after the jobs have succeeded
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub quiet: u32,
    /// How often to measure everything, the operators in turn; medians are shown
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// How to start an operator (repeatable); none: the trainyard beside this program, as `make build` leaves it
    #[arg(long = "operator", value_name = "COMMAND")]
    pub operators: Vec<String>,
    /// Folder for the table and the plot; not given: target/bench of this clone
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// The trainyard that is measured when no command is given, and says what the kinds of jobs are in any case
    #[arg(skip)]
    pub trainyard: PathBuf,
}

/// What was measured, of each operator.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the operators are called.
    operators: Vec<String>,
    /// The same sections of each.
    sections: Vec<Vec<Section>>,
}

/// Measures every operator in every round; whoever begins one round ends the next.
pub fn run(options: &Options) -> Result<Report> {
    let operators = operators(options);
    let mut rounds = vec![Vec::new(); operators.len()];
    for round in 0..options.rounds {
        let mut turns: Vec<_> = operators.iter().zip(&mut rounds).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for ((name, command), found) in turns {
            say(&format!("{name}, round {} of {}: starting a control plane", round + 1, options.rounds));
            found.push(measure(options, command)?);
        }
    }
    let names = operators.into_iter().map(|(name, _)| name).collect();
    Ok(Report { operators: names, sections: rounds.into_iter().map(figure::medians).collect() })
}

fn measure(options: &Options, command: &str) -> Result<Vec<Section>> {
    let place = Place::new(options, command)?;
    let mut sections = vec![jobs::measure(&place, options)?];
    if options.large > 0 {
        for kind in place.kinds()? {
            let turns = (0..options.turns).map(|_| large::measure(&place, kind, options.large));
            sections.extend(large::together(turns.collect::<Result<_>>()?));
        }
    }
    Ok(sections)
}

/// What to call each, and how to start it.
fn operators(options: &Options) -> Vec<(String, String)> {
    let ours = format!("'{}' operator {}", options.trainyard.display(), place::FLAGS);
    let commands = if options.operators.is_empty() { vec![ours] } else { options.operators.clone() };
    let mut named: Vec<(String, String)> = Vec::new();
    for command in commands {
        let name = place::program(&command).to_owned();
        let same = named.iter().filter(|(other, _)| other.split(' ').next() == Some(&*name)).count();
        named.push((if same == 0 { name } else { format!("{name} {}", same + 1) }, command));
    }
    named
}

/// Where it has got to, for whoever waits.
fn say(what: &str) {
    let coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (on, off) = if coloured { ("\x1b[36m", "\x1b[0m") } else { ("", "") };
    eprintln!("{on}bench:{off} {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_called_as_their_programs_are() {
        for (commands, expected) in [
            (&[][..], &["trainyard"][..]),
            (&["bin/manager --kubeconfig={kubeconfig}"], &["manager"]),
            (&["a/trainyard operator", "'b/trainyard' operator -v"], &["trainyard", "trainyard 2"]),
            (&["env LEVEL=1 ./manager"], &["manager"]),
        ] {
            let mut options = Options::parse_from(["bench"]);
            options.trainyard = PathBuf::from("target/release/trainyard");
            options.operators = commands.iter().map(|&command| command.to_owned()).collect();
            let names: Vec<_> = operators(&options).into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, expected, "{commands:?}");
        }
    }
}
