//! `trainyard plan`: the objects that a job would have, in the order in which they would be created.

mod preview;
mod summary;

use std::io::Write;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use trainyard_core::fill::Addresses;
use trainyard_core::job::Job;
use trainyard_core::planner::PlannerError;
use trainyard_core::{run_policy, validate};

use crate::catalog::{Catalog, Needs};
use crate::cli::{Output, PlanOptions, PluginOptions};
use crate::crd;
use crate::failure::{Failure, chain};
use crate::job_file::{Documents, JobFile, UserJob, unknown_fields};
use crate::plugin::{CompileLimits, Compiler, Engine};

pub use self::preview::Preview;
pub(crate) use self::preview::{meta, replica_type, set_status};

/// Prints the plan of every job in the file, or of the one that is named.
pub fn plan(options: &PlanOptions) -> Result<ExitCode, Failure> {
    let path = &options.job.file;
    let file = jobs(path, &options.plugins)?;
    let one = options.job.job.as_deref().map(|name| file.one(path, Some(name)).map_err(input)).transpose()?;
    let jobs: Vec<_> = one.map_or_else(|| file.jobs.iter().collect(), |job| vec![job]);
    tell("note", &file.ignored);
    let (mut objects, mut failures) = (Vec::new(), Vec::new());
    for job in &jobs {
        match plan_one(job) {
            Ok(planned) => objects.extend(planned),
            Err(failure) if jobs.len() == 1 => return Err(failure),
            Err(failure) => failures.push((job, failure)),
        }
    }
    if let Some(code) = failures.iter().map(|(_, failure)| failure.code).max() {
        let named = |(job, failure): (&&UserJob, Failure)| {
            failure.problems.into_iter().map(|problem| format!("{job}: {problem}")).collect::<Vec<_>>()
        };
        return Err(Failure { problems: failures.into_iter().flat_map(named).collect(), code });
    }
    print(&objects, options.output).map_err(Failure::trouble)?;
    Ok(ExitCode::SUCCESS)
}

fn plan_one(job: &UserJob) -> Result<Vec<Value>, Failure> {
    let addresses = Addresses::Cluster { domain: None };
    let Checked { object, warnings } = check(job)?;
    let preview = Preview::of(&job.loaded.framework(&addresses), &object)?;
    tell("warning", &warnings);
    tell("plan", &[summary::of(job, &preview)]);
    Ok(preview.objects)
}

/// Calls of plugins at once: more than there can be passes, for a pass makes one call at a time.
const CALLS: NonZeroU32 = NonZeroU32::MIN.saturating_add(127);

/// The plugins that a command works with.
pub fn catalog(options: &PluginOptions, needs: &Needs) -> Result<Catalog, Failure> {
    catalog_of(&engine()?, options, needs)
}

/// What runs the plugins of a command.
pub fn engine() -> Result<Engine, Failure> {
    Engine::new(CALLS, Compiler::Child(CompileLimits::default())).map_err(Failure::trouble)
}

/// The plugins that a command works with, in an engine in which there may be more.
pub fn catalog_of(engine: &Engine, options: &PluginOptions, needs: &Needs) -> Result<Catalog, Failure> {
    let catalog = Catalog::load(engine, &options.plugins, &options.settings, needs);
    catalog.and_then(|catalog| catalog.with_grants(&options.grants)).map_err(input)
}

/// The jobs of a file, each with its plugin.
pub fn jobs(path: &Path, options: &PluginOptions) -> Result<JobFile, Failure> {
    let documents = Documents::read(path).map_err(input)?;
    let catalog = catalog(options, &Needs::Kinds(documents.kinds()))?;
    documents.jobs(&catalog).map_err(input)
}

/// A job that may be planned, and what its author should know.
pub struct Checked {
    /// The job as an operator would work on it now.
    pub object: Value,
    /// A line each.
    pub warnings: Vec<String>,
}

/// Validates a job as the admission webhook does. What keeps an operator from working on it, a suspension or another
/// manager, is taken away: here is nobody to resume it.
pub fn check(job: &UserJob) -> Result<Checked, Failure> {
    let UserJob { loaded, object } = job;
    let definition = crd::of(&loaded.kind).map_err(Failure::trouble)?;
    let mut warnings: Vec<_> =
        unknown_fields(&definition, object).iter().map(|path| format!("unknown field {path:?}")).collect();
    let findings = validate::of(&loaded.kind, object, None, &loaded.plugin, &loaded.settings).map_err(planner)?;
    if !findings.errors.is_empty() {
        tell("warning", &warnings);
        return Err(Failure::inputs(findings.errors));
    }
    warnings.extend(findings.warnings);
    let policy = Job::parse(&loaded.kind, object).map_err(Failure::input)?.run_policy;
    let keeps = [("suspend", policy.is_suspended()), ("managedBy", run_policy::is_managed_elsewhere(object))];
    let mut object = object.clone();
    for (field, _) in keeps.iter().filter(|(_, keeps)| *keeps) {
        warnings.push(format!("spec.runPolicy.{field} keeps the operator from this job; it is ignored here"));
        if let Some(policy) = object.pointer_mut("/spec/runPolicy").and_then(Value::as_object_mut) {
            policy.remove(*field);
        }
    }
    Ok(Checked { object, warnings })
}

/// Lines on standard error.
pub fn tell(what: &str, lines: &[String]) {
    let mut output = std::io::stderr().lock();
    for line in lines {
        // Nobody listens: nothing to be done about it.
        let _ = writeln!(output, "{what}: {line}");
    }
}

/// What an error of a plugin means for a command.
pub fn planner(error: PlannerError) -> Failure {
    Failure { problems: vec![chain(&error)], code: if matches!(error, PlannerError::Refused(_)) { 2 } else { 1 } }
}

fn input(error: impl std::error::Error) -> Failure {
    Failure::input(chain(&error))
}

/// Prints objects so that `kubectl apply -f -` takes them.
pub fn print(objects: &[Value], output: Output) -> std::io::Result<()> {
    let text = match output {
        Output::Yaml => yaml(objects).map_err(std::io::Error::other)?,
        Output::Json => {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
            format!("{list:#}\n")
        }
    };
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // `| head`
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn yaml(objects: &[Value]) -> Result<String, serde_saphyr::ser::Error> {
    let mut text = String::new();
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            text.push_str("---\n");
        }
        // Long commands stay on one line, as kubectl shows them.
        let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
        text.push_str(&serde_saphyr::to_string_with_options(object, options)?);
    }
    Ok(text)
}
