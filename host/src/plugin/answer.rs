//! Whether what a plugin calls JSON is JSON: nobody behind this line meets text that does not parse.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};
use trainyard_core::contract::{Fragment, Issue, JobPlan, Json, Problem, Refusal, ReplicaPlan};

use super::{CallError, Function, one_line};

type Checked = Result<(), CallError>;

/// The answer of a function, as JSON of the model.
pub(super) fn check(function: Function, answer: &[u8]) -> Checked {
    match function {
        Function::Describe | Function::Assess => Ok(()),
        Function::Default => check_patch(&model::<Json>(answer)?),
        Function::Validate => check_issues(&model::<Vec<Issue>>(answer)?),
        Function::Plan => check_plan(&model(answer)?),
    }
}

fn model<T: DeserializeOwned>(answer: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(answer).map_err(|error| CallError::HostBug(error.to_string()))
}

fn check_patch(patch: &str) -> Checked {
    parse::<Map<String, Value>>("the merge patch", patch)
}

fn check_issues(issues: &[Issue]) -> Checked {
    issues.iter().try_for_each(|issue| match &issue.problem {
        Problem::Required | Problem::Forbidden => Ok(()),
        Problem::Invalid(value) | Problem::Duplicate(value) | Problem::NotSupported((value, _)) => {
            parse::<IgnoredAny>("a value in an issue", value)
        }
    })
}

fn check_plan(plan: &JobPlan) -> Checked {
    plan.replicas.iter().try_for_each(check_replica_plan)?;
    plan.objects.iter().try_for_each(|object| check_fragment("an object", &object.object))
}

/// The plugin's own no.
pub(super) fn check_refusal(refusal: &Refusal) -> Checked {
    match refusal {
        Refusal::Invalid(issues) => check_issues(issues),
        Refusal::Unsupported(_) => Ok(()),
    }
}

fn check_replica_plan(plan: &ReplicaPlan) -> Checked {
    plan.init_containers.iter().try_for_each(|each| check_fragment("an init container", each))?;
    plan.volumes.iter().try_for_each(|volume| parse::<Map<String, Value>>("a volume", volume))?;
    plan.mounts.iter().try_for_each(|each| parse::<Map<String, Value>>("a mount", &each.mount))
}

fn check_fragment(what: &str, fragment: &Fragment) -> Checked {
    parse::<Map<String, Value>>(what, &fragment.json)
}

fn parse<'a, T: serde::Deserialize<'a>>(what: &str, text: &'a str) -> Checked {
    match serde_json::from_str::<T>(text) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(CallError::BadOutput { detail: one_line(&format!("{what} is not the JSON it should be: {error}")) })
        }
    }
}
