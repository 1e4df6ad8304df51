//! A plan is checked before it is believed: every part of it, against the job, against what the plugin announced, and
//! against what an admin grants.
//!
//! [`plan`] is total: whatever a plugin answers, it ends, takes no more memory than the answer is worth, and names the
//! first fault by its path in the plan. [`pods`] looks again at what became of it.

mod container;
mod defaults;
mod object;
mod pod;
mod rbac;
mod rendered;
mod replica;
mod scope;
mod size;
mod volume;

use std::collections::BTreeSet;

use serde_json::Value;

pub use self::defaults::defaults;
pub use self::rendered::pods;
use self::scope::Scope;
use crate::contract::{JobPlan, ObjectKind};
use crate::fill::{FillError, Filler};
use crate::grants::Grants;
use crate::job::Job;
use crate::line;
use crate::name;

/// What is wrong with an answer of a plugin, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct PlanFault {
    /// JSON path into the answer: `replicas[0].volumes[1].hostPath.path`.
    pub path: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong with a plan. Values are JSON, and cut where they are long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The plan and the job do not have the same types.
    #[error("the plan has replica types {planned:?}, the job has {wanted:?}")]
    WrongTypes {
        /// In the plan.
        planned: Vec<String>,
        /// In the job.
        wanted: Vec<String>,
    },
    /// Text that should be a JSON object.
    #[error("not a JSON object: {0}")]
    NotAnObject(String),
    /// What nobody could use.
    #[error("{value} is not {expected}")]
    Invalid {
        /// What it is.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// What may be there once.
    #[error("{0} is there twice")]
    Twice(String),
    /// More than any job needs.
    #[error("{found} {what} are more than {most}")]
    TooMuch {
        /// In the plan.
        found: usize,
        /// That are allowed.
        most: usize,
        /// Of what.
        what: &'static str,
    },
    /// What an admin could grant, and has not.
    #[error("{0} is not granted")]
    NotGranted(String),
    /// What the host, or the user, alone says.
    #[error("{0} is not for a plugin to say")]
    Forbidden(String),
    /// What the host cannot complete.
    #[error(transparent)]
    Unfillable(#[from] FillError),
}

/// What plans of a plugin may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    /// Kinds of extra object that the plugin announced.
    pub announced: &'a [ObjectKind],
    /// What an admin grants.
    pub grants: &'a Grants,
    /// The admin's settings for the plugin: what they name is granted.
    pub settings: &'a Value,
}

type Checked = Result<(), PlanFault>;

/// Compares a plan with the job and with what plugins may do.
pub fn plan(plan: &JobPlan, filler: &Filler<'_>, allowed: Allowed<'_>) -> Checked {
    types(plan, filler.job)?;
    size::check(plan, filler)?;
    let objects = object::filled(plan, filler)?;
    let scope = Scope { plan, job: filler.job, kind: filler.kind, allowed, objects: &objects };
    each(&plan.ssh_keys, "ssh_keys", |key| {
        valid(name::is_dns_subdomain(key), key, "a name of an object")
            .and_then(|()| valid(scope.owns(key), key, object::OF_JOB))
    })?;
    no_twins(plan.ssh_keys.iter().map(String::as_str), "ssh_keys")?;
    // What is made is believed first: the pods lean on it.
    object::check(&scope)?;
    each(&plan.replicas, "replicas", |planned| replica::check(planned, &scope))?;
    replica::check_gates(&plan.replicas)
}

fn types(plan: &JobPlan, job: &Job) -> Checked {
    let mut planned: Vec<_> = plan.replicas.iter().map(|replica| replica.replica_type.clone()).collect();
    let mut wanted: Vec<_> = job.replicas.iter().map(|spec| spec.name.clone()).collect();
    planned.sort();
    wanted.sort();
    if planned == wanted { Ok(()) } else { Err(at("replicas", Fault::WrongTypes { planned, wanted })) }
}

/// Checks all items of a list.
fn each<T>(items: &[T], list: &str, check: impl Fn(&T) -> Checked) -> Checked {
    items.iter().enumerate().try_for_each(|(index, item)| within(&format!("{list}[{index}]"), check(item)))
}

/// Checks all items of a list in JSON, if it is there.
fn each_item(object: &Value, list: &str, check: impl Fn(&Value) -> Checked) -> Checked {
    match object.get(list) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(items)) => each(items, list, check),
        Some(other) => within(list, Err(invalid(other, "a list"))),
    }
}

/// All fields are among these; others are what `fault` says.
fn only(object: &Value, known: &[&str], fault: fn(&Value) -> PlanFault) -> Checked {
    let mut fields = object.as_object().into_iter().flatten();
    match fields.find(|(field, _)| !known.contains(&field.as_str())) {
        Some((field, value)) => within(field, Err(fault(value))),
        None if object.is_object() => Ok(()),
        None => Err(invalid(object, "an object")),
    }
}

/// No name is there twice.
fn no_twins<'a>(names: impl Iterator<Item = &'a str>, list: &str) -> Checked {
    let mut seen = BTreeSet::new();
    names.enumerate().try_for_each(|(index, name)| {
        if seen.insert(name) {
            return Ok(());
        }
        Err(at(&format!("{list}[{index}]"), Fault::Twice(quoted(name))))
    })
}

fn within(path: &str, checked: Checked) -> Checked {
    checked.map_err(|PlanFault { path: inner, fault }| {
        let dot = if inner.is_empty() || inner.starts_with('[') { "" } else { "." };
        let path = format!("{path}{dot}{inner}");
        PlanFault { path, fault }
    })
}

fn at(path: &str, fault: Fault) -> PlanFault {
    PlanFault { path: path.to_owned(), fault }
}

fn valid(is_valid: bool, value: &str, expected: &'static str) -> Checked {
    if is_valid { Ok(()) } else { Err(at("", Fault::Invalid { value: quoted(value), expected })) }
}

fn invalid(value: &Value, expected: &'static str) -> PlanFault {
    at("", Fault::Invalid { value: shown(value), expected })
}

fn not_granted(value: &Value) -> PlanFault {
    at("", Fault::NotGranted(shown(value)))
}

fn forbidden(value: &Value) -> PlanFault {
    at("", Fault::Forbidden(shown(value)))
}

/// Whether it can be a part of a command or of an environment: lines, but nothing that a terminal would obey.
fn is_clean(text: &str) -> bool {
    !text.contains(|each: char| each.is_control() && !matches!(each, '\n' | '\t'))
}

const CLEAN: &str = "free of control characters";

fn quoted(text: &str) -> String {
    shown(&text.into())
}

fn shown(value: &Value) -> String {
    const LONGEST: usize = 128;
    line::of(&value.to_string(), LONGEST)
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
