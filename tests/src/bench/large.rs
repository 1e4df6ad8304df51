//! One job of many pods: how fast they are created, beside a plain client that creates the very same pods.

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::figure::{self, Figure, Section, Unit, by_kind, count, number};
use super::follow::Following;
use super::job::{Kind, Life};
use super::jobs::{mebibytes, seconds};
use super::place::{OPERATOR, Place};
use super::sample::Sample;
use super::{plain, say};
use crate::control_plane::Request;

/// Per cent of the plain client's rate.
const SHARE: f64 = 80.0;

/// When pods were asked for and there, in the order in which they were.
struct Creation {
    asked: Timestamp,
    created: Vec<Timestamp>,
}

pub(super) fn measure(place: &Place, kind: &Kind, pods: u32) -> Result<Section> {
    let namespace = place.cluster.namespace("large")?;
    let mut operator = place.operator()?;
    let before = Sample::of(&mut operator)?;
    let following = Following::start(&place.admin, kind, &namespace)?;
    say(&format!("creating a {} of {pods} pods", kind.name));
    place.admin.create(&kind.path(&namespace), &[kind.job("large", pods, Life::Endless)], 1)?;
    following.wait(1, "run", |job| job.active() == u64::from(pods), || operator.check())?;
    let after = place.settle(&mut operator)?;
    let mut requests = place.requests(OPERATOR, before.at)?;
    requests.retain(|request| request.received < after.at);
    drop(operator);
    let of_operator = Creation::of(&requests)?;
    let of_plain = Creation::of(&plain::create(place, &namespace)?)?;

    let refused = |is: fn(u64) -> bool| count(&requests, |request| is(request.code));
    let (rate, plain_rate) = (of_operator.rate(), of_plain.rate());
    say(&format!("{rate:.0} pods a second; {plain_rate:.0} by a plain client"));
    let figures = vec![
        Figure::new("pods created", rate, Unit::PerSecond),
        Figure::new("pods created by a plain client", plain_rate, Unit::PerSecond),
        Figure::new("share of the plain client's rate", rate / plain_rate * 100.0, Unit::Percent).at_least(SHARE),
        Figure::new("first pod to last pod", seconds(of_operator.asked, of_operator.last()), Unit::Seconds),
        Figure::new("other requests meanwhile", of_operator.others(&requests), Unit::Number),
        Figure::new("requests until all pods run", number(requests.len()), Unit::Number),
        Figure::new("CPU until all pods run", after.cpu(&before), Unit::Seconds),
        Figure::new("memory at the end", mebibytes(after.usage.resident), Unit::Mebibytes),
        Figure::new("memory at its highest", mebibytes(after.usage.peak), Unit::Mebibytes),
        Figure::new("requests answered 409", refused(|code| code == 409), Unit::Number).at_most(0.0),
        Figure::new("requests refused otherwise", refused(|code| code >= 400 && code != 409), Unit::Number),
    ];
    let curves = vec![(String::new(), of_operator.curve()), ("plain client".to_owned(), of_plain.curve())];
    let title = format!("One {} of {pods} pods", kind.name);
    Ok(Section { title, figures, requests: by_kind(&requests, 1.0), pods: curves })
}

/// Turns as one: what a machine does in four seconds is chance, so rates are those of all turns together.
pub(super) fn together(turns: Vec<Section>) -> Vec<Section> {
    let mut all = figure::medians(turns.into_iter().map(|turn| vec![turn]).collect());
    for section in &mut all {
        if let [rate, plain, share, ..] = section.figures.as_mut_slice() {
            share.value = rate.value.zip(plain.value).map(|(rate, plain)| rate / plain * 100.0);
        }
    }
    all
}

impl Creation {
    /// Of the pods among these requests, by the API server's own clock.
    fn of(requests: &[Request]) -> Result<Self> {
        let creates =
            |request: &&Request| request.verb == "create" && request.resource == "pods" && request.code == 201;
        let asked = requests.iter().filter(creates).map(|request| request.received).min();
        let mut created: Vec<_> = requests.iter().filter(creates).map(|request| request.answered).collect();
        created.sort();
        Ok(Self { asked: asked.context("no pod was created")?, created })
    }

    fn last(&self) -> Timestamp {
        self.created.last().copied().unwrap_or(self.asked)
    }

    /// Pods a second.
    fn rate(&self) -> f64 {
        number(self.created.len()) / seconds(self.asked, self.last())
    }

    /// What was asked between the first pod and the last, pods aside.
    fn others(&self, requests: &[Request]) -> f64 {
        let meanwhile = |request: &Request| (self.asked..self.last()).contains(&request.received);
        count(requests, |request| request.resource != "pods" && meanwhile(request))
    }

    fn curve(&self) -> Vec<(f64, f64)> {
        let count = self.created.iter().zip(1_u32..);
        count.map(|(at, count)| (seconds(self.asked, *at), f64::from(count))).collect()
    }
}
