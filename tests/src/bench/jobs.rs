//! Many jobs at a time, from the first create to the last that has succeeded, and the silence after.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::figure::{Figure, Section, Unit, by_kind, count, number};
use super::follow::Following;
use super::job::{Life, PYTORCH};
use super::place::{OPERATOR, Place};
use super::sample::Sample;
use super::{Options, say};
use crate::control_plane::Request;

/// Jobs that users create at once.
const USERS: usize = 16;
/// The goals: for 200 jobs of 4 pods on two cores.
const REQUESTS: f64 = 21.0;
const CPU: f64 = 13.0;
const MEMORY: f64 = 45.0;

pub(super) fn measure(place: &Place, options: &Options) -> Result<Section> {
    let namespace = place.cluster.namespace("jobs")?;
    say("starting the operator");
    let mut operator = place.operator()?;
    let before = Sample::of(&mut operator)?;
    let following = Following::start(&place.admin, &PYTORCH, &namespace)?;
    say(&format!("creating {} {}s", options.jobs, PYTORCH.name));
    let jobs: Vec<_> =
        (0..options.jobs).map(|job| PYTORCH.job(&format!("job-{job}"), options.workers + 1, Life::Short)).collect();
    place.admin.create(&PYTORCH.path(&namespace), &jobs, USERS)?;
    following.wait(options.jobs, "have succeeded", |job| job.succeeded.is_some(), || operator.check())?;
    let ended = following.last_success().context("no job has succeeded")?;
    place.wait_for_pods(&namespace)?;
    let after = place.settle(&mut operator)?;
    let writes = following.writes();
    say(&format!("{} s of silence", options.quiet));
    thread::sleep(Duration::from_secs(options.quiet.into()));
    let later = Sample::of(&mut operator)?;
    let all = place.requests(OPERATOR, before.at)?;
    let (requests, quiet): (Vec<_>, Vec<_>) = all.into_iter().partition(|request| request.received < after.at);
    drop(operator);
    place.clear(&namespace)?;

    let first = place.cluster.requests()?.into_iter().filter(|request| {
        request.verb == "create" && request.namespace == namespace && request.resource == PYTORCH.plural
    });
    let first = first.map(|request| request.received).min().context("no job was created")?;
    let mut figures = costs(options, &requests, &before, &after);
    figures.push(unchanged(&requests, writes));
    figures.push(Figure::new("first create to last Succeeded", seconds(first, ended), Unit::Seconds));
    figures.extend(silence(options, &quiet, &after, &later));
    let title = format!("{} {}s of 1 master and {} workers", options.jobs, PYTORCH.name, options.workers);
    let requests = by_kind(&requests, options.jobs.into());
    Ok(Section { title, figures, requests, pods: Vec::new() })
}

fn costs(options: &Options, requests: &[Request], before: &Sample, after: &Sample) -> Vec<Figure> {
    let jobs = f64::from(options.jobs);
    let each = |count: Option<f64>| count.map(|count| count / jobs);
    let refused = |is: fn(u64) -> bool| count(requests, |request| is(request.code));
    vec![
        Figure::new("requests a job", number(requests.len()) / jobs, Unit::Number).at_most(REQUESTS),
        Figure::new("CPU a job", after.cpu(before) * 1000.0 / jobs, Unit::Milliseconds).at_most(CPU),
        Figure::new("memory before the jobs", mebibytes(before.usage.resident), Unit::Mebibytes),
        Figure::new("memory at the end", mebibytes(after.usage.resident), Unit::Mebibytes).at_most(MEMORY),
        Figure::new("memory at its highest", mebibytes(after.usage.peak), Unit::Mebibytes),
        Figure::new("plugin calls a job", each(after.calls(before)), Unit::Number),
        Figure::new("passes a job", each(after.passes(before)), Unit::Number),
        Figure::new("requests answered 409", refused(|code| code == 409), Unit::Number).at_most(0.0),
        Figure::new("requests answered 404", refused(|code| code == 404), Unit::Number),
        Figure::new(
            "requests refused otherwise",
            refused(|code| code >= 400 && code != 404 && code != 409),
            Unit::Number,
        ),
    ]
}

/// Every write that changes a job makes a version of it, which the watch shows; nobody else writes these jobs.
fn unchanged(requests: &[Request], versions: usize) -> Figure {
    let is_write = |request: &Request| {
        ["update", "patch"].contains(&&*request.verb)
            && request.code == 200
            && request.resource.split('/').next() == Some(PYTORCH.plural)
    };
    let unchanged = count(requests, is_write) - number(versions);
    Figure::new("writes of a job that changed nothing", unchanged, Unit::Number).at_most(0.0)
}

fn silence(options: &Options, quiet: &[Request], after: &Sample, later: &Sample) -> Vec<Figure> {
    let within = format!("in {} s of silence", options.quiet);
    vec![
        Figure::new(format!("requests {within}"), number(quiet.len()), Unit::Number).at_most(0.0),
        Figure::new(format!("plugin calls {within}"), later.calls(after), Unit::Number).at_most(0.0),
        Figure::new(format!("passes {within}"), later.passes(after), Unit::Number),
        Figure::new(format!("CPU {within}"), later.cpu(after) * 1000.0, Unit::Milliseconds),
        Figure::new(
            format!("memory after {} s of silence", options.quiet),
            mebibytes(later.usage.resident),
            Unit::Mebibytes,
        ),
    ]
}

pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

pub(super) fn mebibytes(kibibytes: u32) -> f64 {
    f64::from(kibibytes) / 1024.0
}
