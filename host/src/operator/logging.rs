//! The operator's log: for people or for machines, as v1's flags say.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::cli::{LogFormat, OperatorOptions};
use crate::failure::Failure;

/// Starts logging to standard error; `RUST_LOG` wins over the flags.
pub(super) fn init(options: &OperatorOptions) -> Result<(), Failure> {
    let filter = match EnvFilter::try_from_default_env() {
        Ok(filter) => filter,
        Err(_) => EnvFilter::new(format!("warn,trainyard={}", level(options)?)),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format(options)? {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text => {
            let has_colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            log.with_ansi(has_colour).init();
        }
    }
    Ok(())
}

fn format(options: &OperatorOptions) -> Result<LogFormat, Failure> {
    match (options.log_format, options.zap_encoder.as_deref()) {
        (Some(format), _) => Ok(format),
        (None, Some("json")) => Ok(LogFormat::Json),
        (None, Some("console")) => Ok(LogFormat::Text),
        (None, Some(other)) => {
            Err(Failure::input(format!("invalid value {other:?} for --zap-encoder: json or console")))
        }
        (None, None) => Ok(if options.zap_devel { LogFormat::Text } else { LogFormat::Json }),
    }
}

fn level(options: &OperatorOptions) -> Result<&'static str, Failure> {
    match options.zap_log_level.as_deref() {
        None | Some("info") => Ok("info"),
        Some("debug") => Ok("debug"),
        Some("error" | "panic") => Ok("error"),
        Some(number) if number.parse::<u8>().is_ok_and(|number| number > 0) => Ok("trace"),
        Some(other) => Err(Failure::input(format!(
            "invalid value {other:?} for --zap-log-level: debug, info, error, panic or a number above 0"
        ))),
    }
}
