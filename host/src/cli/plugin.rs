//! The options of `trainyard plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::source::Reference;

/// What can be done with a plugin.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Put a plugin into a registry
    #[command(after_help = PUSH_HELP)]
    Push(PushOptions),
    /// Fetch a plugin from a registry
    #[command(after_help = PULL_HELP)]
    Pull(PullOptions),
    /// Say what a plugin is: digest, size, name, kinds, imports
    #[command(after_help = INSPECT_HELP)]
    Inspect(InspectOptions),
}

const PUSH_HELP: &str =
    "The plugin is loaded first: what no operator would load is not pushed. The layout is that of the \
CNCF for WebAssembly, as wkg reads and writes it. Standard output has the reference with its digest, for scripts.

Exit code: 0 it is there, 1 the registry or this machine is in trouble, 2 it cannot be pushed.

Examples:
  trainyard plugin push my-framework.wasm registry.example/team/my-framework:1.0
  cosign sign --key cosign.key $(trainyard plugin push my-framework.wasm registry.example/team/my-framework:1.0)";

const PULL_HELP: &str = "What comes is compared with its digest, and written when it is whole.

Exit code: 0 it is here, 1 the registry or this machine is in trouble, or it is not what it should be, 2 there is no such \
plugin, or no access to it.

Examples:
  trainyard plugin pull registry.example/team/my-framework:1.0
  trainyard plugin pull registry.example/team/my-framework@sha256:... -o my-framework.wasm
  trainyard plugin pull --key cosign.pub registry.example/team/my-framework:1.0
  trainyard plugin pull --certificate-identity dev@team.example --certificate-oidc-issuer https://accounts.team.example \
    --trusted-root trusted_root.json registry.example/team/my-framework:1.0";

const INSPECT_HELP: &str = "The digest is what a FrameworkPlugin pins in spec.digest.

Exit code: 0, 1 the registry or this machine is in trouble, 2 it is no plugin.

Examples:
  trainyard plugin inspect my-framework.wasm
  trainyard plugin inspect registry.example/team/my-framework:1.0 -o json | jq -r .digest";

/// `trainyard plugin push`.
#[derive(Args, Debug)]
pub struct PushOptions {
    /// The component
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to: registry.example/team/plugin:1.0
    #[arg(value_name = "REFERENCE")]
    pub reference: Reference,
    /// The registry.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// `trainyard plugin pull`.
#[derive(Args, Debug)]
pub struct PullOptions {
    /// Which: registry.example/team/plugin:1.0, or with @sha256:... instead of the tag
    #[arg(value_name = "REFERENCE")]
    pub reference: Reference,
    /// Where to; - for standard output [default: plugin.wasm of registry.example/team/plugin]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Whose signature is wanted.
    #[command(flatten)]
    pub trust: TrustOptions,
    /// The registry.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// `trainyard plugin inspect`.
#[derive(Args, Debug)]
pub struct InspectOptions {
    /// A file, or what is in a registry
    #[arg(value_name = "FILE|REFERENCE")]
    pub plugin: String,
    /// Format
    #[arg(short, long, value_enum, default_value_t = InspectOutput::Text)]
    pub output: InspectOutput,
    /// Whose signature is wanted.
    #[command(flatten)]
    pub trust: TrustOptions,
    /// The registry.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// Whose signature is wanted: by default nobody's.
#[derive(Args, Debug, Default)]
pub struct TrustOptions {
    /// Only if it is signed by one of these (cosign.pub; repeatable)
    #[arg(long = "key", value_name = "FILE", conflicts_with = "certificate_identity")]
    pub keys: Vec<PathBuf>,
    /// Only if it is signed by this subject of a certificate of Sigstore; with * at the end by one that begins so
    #[arg(long, value_name = "SUBJECT", requires_all = ["certificate_oidc_issuer", "trusted_root"])]
    pub certificate_identity: Option<String>,
    /// Who says that it is this subject
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    pub certificate_oidc_issuer: Option<String>,
    /// The trusted root of that Sigstore, in JSON: its authorities and logs
    #[arg(long, value_name = "FILE", requires = "certificate_identity")]
    pub trusted_root: Option<PathBuf>,
}

/// How a plugin is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InspectOutput {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How a registry is reached. Without a user name it is as whom `docker login` has logged in.
#[derive(Args, Debug, Default)]
pub struct RegistryOptions {
    /// Speak to the registry without TLS
    #[arg(long)]
    pub plain_http: bool,
    /// Authorities (PEM) that are trusted beside those of the system
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The user; without one, what docker or podman login has stored
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    pub username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
}
