//! The flags of `trainyard operator`, rewritten from Go's syntax to clap's.
//!
//! Go takes `-flag` for `--flag`, a value with or without `=`, and a boolean's value with `=` only. v1's flags for one
//! framework (`--<plugin>-<setting>`) are no options of ours: they come out as settings, for the catalog to place.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::catalog::Setting;

/// A command line that clap can read, and what is not for clap.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) arguments: Vec<OsString>,
    pub(super) settings: Vec<Setting>,
}

const OPERATOR: &str = "operator";
/// The program of v1's image. Under this name ours takes its flags, so that a Deployment changes its image only.
const MANAGER: &str = "manager";

/// Rewrites what follows `operator`; other commands are left as they are.
pub(super) fn normalise(mut arguments: Vec<OsString>, clap: &clap::Command) -> Line {
    let program = arguments.first().map(std::path::Path::new).and_then(|path| path.file_name());
    if program.is_some_and(|name| name == MANAGER) {
        arguments.insert(1, OPERATOR.into());
    }
    if arguments.get(1).is_none_or(|command| command != OPERATOR) {
        return Line { arguments, settings: Vec::new() };
    }
    let options = options(clap);
    let mut rest = arguments.split_off(2).into_iter();
    let mut line = Line { arguments, settings: Vec::new() };
    while let Some(argument) = rest.next() {
        let Some((name, value)) = argument.to_str().and_then(flag) else {
            line.arguments.push(argument);
            continue;
        };
        match (options.get(name), value) {
            (Some(Takes::MayTakeValue), None) => line.arguments.push(format!("--{name}").into()),
            (Some(_), Some(value)) => line.arguments.push(format!("--{name}={value}").into()),
            (Some(Takes::Value), None) => {
                let mut option = OsString::from(format!("--{name}"));
                if let Some(value) = rest.next() {
                    option.push("=");
                    option.push(value);
                }
                line.arguments.push(option);
            }
            (None, Some(value)) => line.settings.push(Setting::flag(name, value)),
            (None, None) => match rest.next().map(OsString::into_string) {
                Some(Ok(value)) => line.settings.push(Setting::flag(name, &value)),
                // For clap to refuse.
                Some(Err(_)) | None => line.arguments.push(argument),
            },
        }
    }
    line
}

#[derive(Clone, Copy)]
enum Takes {
    Value,
    MayTakeValue,
}

fn options(clap: &clap::Command) -> BTreeMap<String, Takes> {
    let arguments = clap.find_subcommand(OPERATOR).into_iter().flat_map(clap::Command::get_arguments);
    let option = |argument: &clap::Arg| {
        let needs_value = argument.get_num_args().is_some_and(|count| count.min_values() > 0);
        let takes = if needs_value { Takes::Value } else { Takes::MayTakeValue };
        argument.get_long().map(|name| (name.to_owned(), takes))
    };
    arguments.filter_map(option).collect()
}

/// Name and value of `-a`, `--a`, `--a=b`. The short options of clap (`-h`) are none.
fn flag(argument: &str) -> Option<(&str, Option<&str>)> {
    let name = argument.strip_prefix('-')?;
    let name = name.strip_prefix('-').unwrap_or(name);
    let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
    (name.len() > 1 && !name.starts_with('-')).then_some((name, value))
}
