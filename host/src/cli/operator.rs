//! `trainyard operator`: all flags of Training Operator v1.9.4, with their names and defaults, and few of our own.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::PluginOptions;
use crate::source::Mirror;

/// `trainyard operator`.
#[derive(Args, Debug)]
#[command(
    args_override_self = true,
    after_help = "Flags are those of Training Operator v1.9.4, in Go's syntax, too (-flag, --flag value, --flag=value).\n\
                  A setting of a plugin is set with --set, or as v1 does it: --PLUGIN-SETTING VALUE."
)]
pub struct OperatorOptions {
    /// Where metrics are served; 0: nowhere
    #[arg(long, value_name = "ADDRESS", default_value = ":8080")]
    pub metrics_bind_address: Listen,
    /// Where health is told; 0: nowhere
    #[arg(long, value_name = "ADDRESS", default_value = ":8081")]
    pub health_probe_bind_address: Listen,
    /// Work only while holding the lease, one replica at a time
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = boolean)]
    pub leader_elect: bool,
    /// Name of the lease
    #[arg(long, value_name = "NAME", default_value = "1ca428e5.training-operator.kubeflow.org")]
    pub leader_election_id: String,
    /// Work on this kind, in any case (repeatable); none: on all that are loaded
    #[arg(long, value_name = "KIND")]
    pub enable_scheme: Vec<String>,
    /// Who schedules gangs: volcano, or the name of a scheduler with scheduler-plugins; empty or none: nobody
    #[arg(long, value_name = "NAME", default_value = "")]
    pub gang_scheduler_name: String,
    /// The only namespace to watch; empty: all
    #[arg(long, env = "KUBEFLOW_NAMESPACE", default_value = "")]
    pub namespace: String,
    /// Jobs of one kind that are worked on at a time, if that is more than 16
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub controller_threads: u32,
    /// Requests per second to the API server; not given: as many as it takes
    #[arg(long, value_name = "NUMBER")]
    pub kube_api_qps: Option<f32>,
    /// Requests to the API server at once, above that rate
    #[arg(long, value_name = "NUMBER", default_value_t = 30)]
    pub kube_api_burst: u32,
    /// Answer admission reviews, and keep the webhook configuration; not given: in a cluster, and wherever there is a
    /// configuration already
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = boolean)]
    pub webhook: Option<bool>,
    /// Port of the admission webhook
    #[arg(long, value_name = "PORT", default_value_t = 9443)]
    pub webhook_server_port: u16,
    /// Service of the admission webhook: the name in its certificate
    #[arg(long, value_name = "NAME", default_value = "training-operator")]
    pub webhook_service_name: String,
    /// Secret with the certificate of the admission webhook
    #[arg(long, value_name = "NAME", default_value = "training-operator-webhook-cert")]
    pub webhook_secret_name: String,
    /// File that says which cluster; empty: the one around this pod, or the user's own
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Log for people, with debug messages, unless told otherwise
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", value_parser = boolean, help_heading = "Logging")]
    pub zap_devel: bool,
    /// json or console
    #[arg(long, value_name = "FORMAT", help_heading = "Logging")]
    pub zap_encoder: Option<String>,
    /// debug, info, error, panic, or a number above 0 for more
    #[arg(long, value_name = "LEVEL", help_heading = "Logging")]
    pub zap_log_level: Option<String>,
    /// Taken, and without effect: errors come with their causes
    #[arg(long, value_name = "LEVEL", help_heading = "Logging")]
    pub zap_stacktrace_level: Option<String>,
    /// Taken, and without effect: times are RFC 3339
    #[arg(long, value_name = "ENCODING", help_heading = "Logging")]
    pub zap_time_encoding: Option<String>,
    /// Instead of --zap-encoder
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Logging")]
    pub log_format: Option<LogFormat>,
    /// Folder for what plugins were fetched, so that nothing outside is needed after a restart; this program alone writes it
    #[arg(long, value_name = "FOLDER", help_heading = "Plugins")]
    pub plugin_cache: Option<PathBuf>,
    /// Bytes to keep there, beside those in use
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30, help_heading = "Plugins")]
    pub plugin_cache_size: u64,
    /// Asked before any registry, after the mirrors that a plugin names itself: HOST or HOST:PORT, with http:// in front if
    /// it has no TLS (repeatable)
    #[arg(long, value_name = "HOST", help_heading = "Plugins")]
    pub registry_mirror: Vec<Mirror>,
    /// The folder in which files that plugins name have to be; without it they name none
    #[arg(long, value_name = "FOLDER", help_heading = "Plugins")]
    pub plugin_dir: Option<PathBuf>,
    /// Which plugins.
    #[command(flatten)]
    pub plugins: PluginOptions,
}

/// How the operator logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// An object a line.
    Json,
    /// For people.
    Text,
}

/// An address to listen on, as Go writes it: `:8080`, `127.0.0.1:8080`; `0` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub Option<SocketAddr>);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "0" {
            return Ok(Self(None));
        }
        let address = if text.starts_with(':') { format!("[::]{text}") } else { text.to_owned() };
        let mut found = address.to_socket_addrs().map_err(|error| error.to_string())?;
        found.next().map(|address| Self(Some(address))).ok_or_else(|| "it is no address of this machine".to_owned())
    }
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Result<bool, &'static str> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it is neither true nor false"),
    }
}
