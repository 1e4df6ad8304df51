//! `trainyard run`: a job on this machine. Replicas are processes with the environment their pods would get; what
//! happens to them is decided by the same [`think`] as in a cluster.

mod environment;
mod expand;
mod guard;
mod local_pod;
mod output;
mod ports;
mod process_tree;
mod program;
mod replica;
mod report;
mod session;
mod signals;
mod world;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use trainyard_core::contract::Network;
use trainyard_core::job::Job;
use trainyard_core::json;
use trainyard_core::planner::Planner;

use self::output::Style;
use self::ports::Ports;
use self::program::Program;
use self::replica::Stage;
use self::session::{End, Session};
use self::world::World;
use crate::catalog::LoadedKind;
use crate::cli::RunOptions;
use crate::failure::{Failure, chain};
use crate::job_file::UserJob;
use crate::plan::{self, Checked, Preview};

pub use self::guard::{REPLICA, replica};

/// Runs the job of a file to its end.
pub fn run(options: &RunOptions) -> Result<ExitCode, Failure> {
    let path = &options.job.file;
    let input = |error| Failure::input(chain(&error));
    let file = plan::jobs(path, &options.plugins)?;
    let job = file.one(path, options.job.job.as_deref()).map_err(input)?;
    plan::tell("note", &file.ignored);
    let Checked { mut object, warnings } = plan::check(job)?;
    plan::tell("warning", &warnings);
    json::merge(&mut object, &serde_json::json!({"metadata": {"uid": world::uid(job.name())}}));
    let planned = with_defaults(&job.loaded, &object)?;
    refuse_other_ways(job, &planned)?;
    let (ports, addresses) = Ports::keep(&job.loaded.kind, &planned).map_err(Failure::trouble)?;
    let preview = Preview::of(&job.loaded.framework(&addresses), &object)?;
    check_programs(&job.loaded.kind.container, &planned, &preview)?;
    let session = session(job, object, &preview, ports)?;
    Ok(match session.run(&job.loaded.framework(&addresses)) {
        End::Succeeded => ExitCode::SUCCESS,
        End::Failed => ExitCode::from(1),
        End::Interrupted => ExitCode::from(130),
    })
}

fn session(job: &UserJob, object: Value, preview: &Preview, ports: Ports) -> Result<Session, Failure> {
    let (sender, events) = mpsc::channel();
    signals::forward(sender.clone()).map_err(Failure::trouble)?;
    process_tree::adopt_orphans().map_err(Failure::trouble)?;
    let names: Vec<_> = preview.pods().map(|pod| json::text(pod, "/metadata/name").to_owned()).collect();
    let prefix = format!("{}-", job.name());
    let style = Style::of(names.iter().map(|name| name.strip_prefix(&prefix).unwrap_or(name)));
    let stage = Stage { style, events: sender, guards: Arc::new(Mutex::default()) };
    let world = World::of(object, &job.loaded.kind.container, names, ports, stage);
    Ok(Session::of(job.to_string(), world, events))
}

fn with_defaults(loaded: &LoadedKind, object: &Value) -> Result<Job, Failure> {
    let LoadedKind { kind, plugin, settings, .. } = loaded;
    let job = Job::parse(kind, object).map_err(Failure::input)?;
    let defaults = Planner::defaults(plugin, &job.context(settings)).map_err(plan::planner)?;
    let defaults = serde_json::from_str(&defaults).map_err(Failure::trouble)?;
    job.with_defaults(kind, &defaults).map_err(Failure::input)
}

/// Replicas that reach each other by a cluster's means, not over the network, cannot do so here.
fn refuse_other_ways(job: &UserJob, planned: &Job) -> Result<(), Failure> {
    let LoadedKind { plugin, settings, .. } = &*job.loaded;
    let plan = Planner::plan(plugin, &planned.context(settings)).map_err(plan::planner)?;
    let refused = |means: &str| {
        let plugin = &plugin.description().name;
        Err(Failure::input(format!(
            "{job} cannot run here: by the plan of plugin {plugin} its replicas reach each other {means}"
        )))
    };
    match plan.network {
        Network::None => refused("by other means than the network, as kubectl exec, which only a cluster has"),
        Network::ServicePerReplica | Network::SharedService if !plan.ssh_keys.is_empty() => {
            refused("by ssh, which needs a server in each of them")
        }
        Network::ServicePerReplica | Network::SharedService => Ok(()),
    }
}

/// Nothing starts unless everything could.
fn check_programs(container: &str, planned: &Job, preview: &Preview) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for pod in preview.pods() {
        let mut pod = pod.clone();
        world::settle(&mut pod, "");
        let replica_type = plan::replica_type(&pod);
        let errors = Program::of(&pod, container).err().unwrap_or_default();
        problems.extend(errors.iter().map(|error| format!("{replica_type}: {error}")));
    }
    // Each replica of a type has the same.
    problems.dedup();
    if !problems.is_empty() {
        return Err(Failure::inputs(problems));
    }
    let left_out: BTreeSet<_> =
        planned.replicas.iter().flat_map(|spec| program::left_out(&spec.template, container)).collect();
    if !left_out.is_empty() {
        let names: Vec<_> = left_out.into_iter().collect();
        output::note(&format!("only the container that trains runs here, not: {}", names.join(", ")));
    }
    Ok(())
}
