//! `trainyard plugin`: plugins into registries, out of them, and what they say of themselves.

mod file;
mod login;
mod progress;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use serde_json::{Value, json};
use trainyard_core::grants::Pattern;

use self::progress::Bar;
use crate::cli::{
    InspectOptions, InspectOutput, PluginCommand, PullOptions, PushOptions, RegistryOptions, TrustOptions,
};
use crate::failure::{Failure, chain};
use crate::plan::tell;
use crate::plugin::{CompileLimits, Compiler, Engine, Limits, Plugin, names};
use crate::source::{
    self, Demand, Fault, Fetched, Identity, Policy, PublicKey, Pushed, Reference, SignatureError, Source, SourceError,
};

/// Does what the command says.
pub fn plugin(command: &PluginCommand) -> Result<ExitCode, Failure> {
    match command {
        PluginCommand::Push(options) => push(options),
        PluginCommand::Pull(options) => pull(options),
        PluginCommand::Inspect(options) => inspect(options),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn push(options: &PushOptions) -> Result<(), Failure> {
    let PushOptions { file, reference, registry } = options;
    let access = login::access(registry)?;
    let fetched = fetch(Source::File { path: file.clone(), within: None }, &TrustOptions::default(), registry)?;
    load(&fetched, &file.display().to_string())?;
    let bar = Bar::new("pushing");
    let Pushed { reference: pinned, digest } =
        wait(source::push(fetched.component, reference, &access, bar.pushing()))?.map_err(failure)?;
    bar.end();
    tell("pushed", &[format!("{reference}, the component is {digest}")]);
    print(&format!("{pinned}\n"))
}

fn pull(options: &PullOptions) -> Result<(), Failure> {
    let PullOptions { reference, output, trust, registry } = options;
    let fetched = fetch(Source::Oci(reference.clone()), trust, registry)?;
    let output = output.clone().unwrap_or_else(|| default_file(reference));
    if output == Path::new("-") {
        return write(&mut io::stdout().lock(), &fetched.component).map_err(Failure::trouble);
    }
    let written = file::write(&output, &fetched.component);
    written.map_err(|error| {
        let problem = format!("cannot write {}: {error}", output.display());
        Failure { problems: vec![problem], code: 1 }
    })?;
    tell("pulled", &[format!("{reference} to {}, the component is {}", output.display(), fetched.digest)]);
    Ok(())
}

fn inspect(options: &InspectOptions) -> Result<(), Failure> {
    let InspectOptions { plugin, output, trust, registry } = options;
    let fetched = fetch(named(plugin)?, trust, registry)?;
    let about = about(&fetched, &load(&fetched, plugin)?)?;
    print(&match output {
        InspectOutput::Text => text(&about),
        InspectOutput::Json => format!("{about:#}\n"),
    })
}

/// A file if there is one; nobody has files of such names as references have.
fn named(plugin: &str) -> Result<Source, Failure> {
    let path = PathBuf::from(plugin);
    if path.exists() {
        return Ok(Source::File { path, within: None });
    }
    let not_here = |error| Failure::input(format!("there is no file {plugin:?}, and it is {error}"));
    plugin.parse().map(Source::Oci).map_err(not_here)
}

fn about(fetched: &Fetched, plugin: &Plugin) -> Result<Value, Failure> {
    let description = plugin.description();
    let names = names(&fetched.component).map_err(Failure::input)?;
    let kinds = description.kinds.iter().map(|kind| format!("{}/{} {}", kind.group, kind.version, kind.kind));
    let mut about = json!({
        "name": description.name,
        "version": description.version,
        "digest": fetched.digest.to_string(),
        "size": fetched.component.len(),
        "kinds": kinds.collect::<Vec<_>>(),
        "imports": names.imports,
        "exports": names.exports,
    });
    if let (Some(manifest), Some(about)) = (fetched.manifest, about.as_object_mut()) {
        about.insert("manifest".into(), manifest.to_string().into());
    }
    Ok(about)
}

/// A line each, a line for each of several.
fn text(about: &Value) -> String {
    let mut text = Vec::new();
    for field in ["name", "version", "digest", "manifest", "size", "kinds", "imports", "exports"] {
        let lines = match about.get(field) {
            None => continue,
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::Number(bytes)) => vec![format!("{bytes} bytes")],
            Some(value) => vec![value.as_str().unwrap_or_default().to_owned()],
        };
        let lines = if lines.is_empty() { vec!["-".to_owned()] } else { lines };
        for (line, title) in lines.iter().zip(std::iter::once(field).chain(std::iter::repeat(""))) {
            text.push(format!("{title:8}  {line}\n"));
        }
    }
    text.concat()
}

fn fetch(source: Source, trust: &TrustOptions, registry: &RegistryOptions) -> Result<Fetched, Failure> {
    let is_remote = matches!(source, Source::Oci(_));
    let access = if is_remote { login::access(registry)? } else { source::Access::default() };
    let demand = Demand { signature: policy(trust)?, digest: None };
    let bar = Bar::new("pulling");
    let watch = |progress| bar.show(progress);
    let fetched = wait(source::fetch(&source, &demand, &access, None, &watch))?.map_err(failure);
    bar.end();
    fetched
}

fn policy(trust: &TrustOptions) -> Result<Policy, Failure> {
    let TrustOptions { keys, certificate_identity, certificate_oidc_issuer, trusted_root } = trust;
    // The three go together.
    if let (Some(subject), Some(issuer), Some(root)) = (certificate_identity, certificate_oidc_issuer, trusted_root) {
        let text = String::from_utf8_lossy(&read(root)?).into_owned();
        let identity = Identity::new(Pattern(subject.clone()), issuer.clone(), text);
        return identity.map(Policy::Identity).map_err(|error| wrong(root, &error));
    }
    let key = |path: &PathBuf| PublicKey::parse(&read(path)?).map_err(|error| wrong(path, &error));
    let keys = keys.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    Ok(if keys.is_empty() { Policy::None } else { Policy::Keys(keys) })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))
}

fn wrong(path: &Path, error: &SignatureError) -> Failure {
    Failure::input(format!("{}: {error}", path.display()))
}

/// What an operator would do with it.
fn load(fetched: &Fetched, from: &str) -> Result<Plugin, Failure> {
    let engine = Engine::new(NonZeroU32::MIN, Compiler::Child(CompileLimits::default())).map_err(Failure::trouble)?;
    let loaded = Plugin::load(&engine, &fetched.component, Limits::default());
    loaded.map_err(|error| Failure::input(format!("{from}: {}", chain(&error))))
}

/// What a fault means for a command: whether it helps to write another one.
fn failure(error: SourceError) -> Failure {
    let code = match error.fault {
        Fault::NotFound(_)
        | Fault::Unauthorized(_)
        | Fault::TooLarge { .. }
        | Fault::NotAPlugin(_)
        | Fault::Configuration(_) => 2,
        Fault::Unavailable(_)
        | Fault::Timeout { .. }
        | Fault::DigestMismatch { .. }
        | Fault::BadAnswer(_)
        | Fault::Signature(_)
        | Fault::Disk { .. } => 1,
    };
    Failure { problems: vec![chain(&error)], code }
}

fn wait<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(Failure::trouble)?.block_on(future))
}

fn default_file(reference: &Reference) -> PathBuf {
    let name = reference.repository().rsplit('/').next().unwrap_or("plugin");
    PathBuf::from(format!("{name}.wasm"))
}

fn print(text: &str) -> Result<(), Failure> {
    write(&mut io::stdout().lock(), text.as_bytes()).map_err(Failure::trouble)
}

fn write(output: &mut impl io::Write, bytes: &[u8]) -> io::Result<()> {
    match output.write_all(bytes).and_then(|()| output.flush()) {
        // `| head`
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
