//! Whether a job may be stored at all: what is the same for every kind, then what the plugin says.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::contract::{Issue, Kind, Severity};
use crate::field::FieldError;
use crate::job::{self, Job};
use crate::json;
use crate::name;
use crate::planner::{Planner, PlannerError};
use crate::run_policy::{CleanPodPolicy, MULTIKUEUE, OURSELVES};

/// What is wrong with a job, and what its author should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The job is refused.
    pub errors: Vec<FieldError>,
    /// The user is told.
    pub warnings: Vec<String>,
}

/// Looks at a job as the user wrote it; `old` is the stored one on update.
pub fn of(
    kind: &Kind,
    object: &Value,
    old: Option<&Value>,
    planner: &dyn Planner,
    settings: &Value,
) -> Result<Findings, PlannerError> {
    let mut findings = Findings { errors: common(kind, object, old), warnings: Vec::new() };
    // The plugin gets jobs whose shape is right, but for numbers below zero: of them some have words of their own.
    let (readable, negative) = without_negatives(kind, object);
    match Job::parse(kind, &readable) {
        Err(error) => findings.errors.push(error),
        Ok(job) => {
            let context = job::context(object, settings);
            let old = old.map(|old| job::context(old, settings).job);
            for issue in planner.validate(&context, old.as_deref())?.into_iter().take(MOST_ISSUES) {
                findings.add(issue);
            }
            let has_said = |found: &FieldError| findings.errors.iter().any(|error| error.path() == found.path());
            let unsaid: Vec<_> = negative.into_iter().filter(|found| !has_said(found)).collect();
            findings.errors.extend(unsaid);
            if findings.errors.is_empty() {
                findings
                    .errors
                    .extend(no_replicas(kind, &job).or_else(|| twice(kind, &job)).or_else(|| names(kind, &job)));
            }
        }
    }
    Ok(findings)
}

impl Findings {
    fn add(&mut self, issue: Issue) {
        match issue.severity {
            Severity::Error => self.errors.push(issue.into()),
            Severity::Warning => self.warnings.push(issue.detail.to_string()),
        }
    }
}

/// Of one answer: nobody reads more.
const MOST_ISSUES: usize = 100;
const MANAGED_BY: &str = "spec.runPolicy.managedBy";

fn common(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let name = json::text(object, "/metadata/name");
    let problems = problems(kind, name);
    if !problems.is_empty() {
        errors.push(FieldError::invalid(
            "metadata.name",
            &name.into(),
            format!("should match: {}", problems.join(",")),
        ));
    }
    errors.extend(policies(object, old));
    errors
}

/// What is wrong with the run policy of a job of any kind.
pub(crate) fn policies(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let manager_of = |object: &'_ Value| object.pointer("/spec/runPolicy/managedBy").cloned();
    let manager = manager_of(object);
    if old.is_some_and(|old| manager_of(old) != manager) {
        errors.push(FieldError::invalid(MANAGED_BY, manager.as_ref().unwrap_or(&Value::Null), "field is immutable"));
    }
    let manager = manager.as_ref().and_then(Value::as_str);
    if let Some(manager) = manager.filter(|manager| ![OURSELVES, MULTIKUEUE].contains(manager)) {
        errors.push(FieldError::not_supported(MANAGED_BY, manager, &[OURSELVES, MULTIKUEUE]));
    }
    errors.extend(run_policy(object.pointer("/spec/runPolicy").unwrap_or(&Value::Null)));
    errors
}

/// Counts and seconds of the run policy.
const NUMBERS: [&str; 5] = [
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "schedulingPolicy/minAvailable",
    "schedulingPolicy/scheduleTimeoutSeconds",
];

/// v1 takes any text for `All`, and negative numbers for limits that are reached at once (bug 43).
fn run_policy(policy: &Value) -> Vec<FieldError> {
    let path = |field: &str| format!("spec.runPolicy.{}", field.replace('/', "."));
    let numbers = NUMBERS.iter().filter_map(|field| Some((field, policy.pointer(&format!("/{field}"))?)));
    let negative = numbers.filter(|(_, number)| number.as_i64().is_some_and(|number| number < 0));
    let negative =
        negative.map(|(field, number)| FieldError::invalid(path(field), number, "must be greater than or equal to 0"));
    let clean = json::text(policy, "/cleanPodPolicy");
    let unknown = !clean.is_empty() && CleanPodPolicy::parse(clean).is_none();
    let unknown = unknown.then(|| FieldError::not_supported(path("cleanPodPolicy"), clean, &CleanPodPolicy::NAMES));
    negative.chain(unknown).collect()
}

/// The job as if it had no replicas where it says fewer than none, and what is wrong with that.
fn without_negatives(kind: &Kind, object: &Value) -> (Value, Vec<FieldError>) {
    let mut object = object.clone();
    let mut errors = Vec::new();
    let specs = object.pointer_mut(&format!("/spec/{}", kind.replica_specs)).and_then(Value::as_object_mut);
    for (replica_type, spec) in specs.into_iter().flatten() {
        let Some(replicas) = spec.get_mut("replicas").filter(|replicas| replicas.as_i64().is_some_and(|n| n < 0))
        else {
            continue;
        };
        let path = format!("spec.{}[{replica_type}].replicas", kind.replica_specs);
        errors.push(FieldError::invalid(path, replicas, "must be greater than or equal to 0"));
        *replicas = 0.into();
    }
    (object, errors)
}

/// v1 takes an empty map and never looks at the job again (bug 19).
fn no_replicas(kind: &Kind, job: &Job) -> Option<FieldError> {
    let path = format!("spec.{}", kind.replica_specs);
    job.replicas.is_empty().then(|| FieldError::required(path, "must be required"))
}

/// `worker` beside `Worker`: the pods of both would have the same names. v1 lets one replace the other (bug 39).
fn twice(kind: &Kind, job: &Job) -> Option<FieldError> {
    let mut seen = BTreeSet::new();
    let again = job.replicas.iter().find(|spec| !seen.insert(spec.name.to_lowercase()))?;
    Some(FieldError::duplicate(format!("spec.{}[{}]", kind.replica_specs, again.name), &again.name))
}

/// A kind without a port is reached by its pods' names alone, as MPI is: v1 runs `2024-train` and `a.b` of it. Of such a job
/// only the label with its name is limited.
fn problems(kind: &Kind, name: &str) -> Vec<String> {
    let problems = name::dns_1035_problems(name);
    if kind.port.is_some() {
        return problems;
    }
    problems.into_iter().take(usize::from(name.len() > name::MAX_LABEL)).collect() // its length comes first
}

/// A pod and its service have the same name, and a service's is a DNS label: v1 takes such a job and never runs it.
fn names(kind: &Kind, job: &Job) -> Option<FieldError> {
    let made = job.replicas.iter().filter(|spec| spec.replicas > 0);
    let detail = made.map(|spec| job.pod_name(spec, spec.replicas - 1)).find_map(|pod| {
        let mut problems = name::dns_1035_problems(&pod);
        if kind.port.is_none() && name::is_dns_subdomain(&pod) {
            problems.clear();
        }
        (!problems.is_empty()).then(|| format!("its pod would be called {pod:?}: {}", problems.join(",")))
    })?;
    Some(FieldError::invalid("metadata.name", &job.name.as_str().into(), detail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::{self, Scripted};

    fn errors(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut object = fixture::job();
        change(&mut object);
        let found = of(&fixture::kind(), &object, Some(&fixture::job()), &Scripted::default(), &json!({})).unwrap();
        found.errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_job_has_no_errors() {
        assert_eq!(errors(|_| ()), [""; 0]);
    }

    #[test]
    fn what_is_the_same_for_every_kind() {
        let long = "a".repeat(60);
        for (broken, expected) in [
            (
                errors(|job| job["metadata"]["name"] = "0-train".into()),
                "metadata.name: Invalid value: \"0-train\": should match: a DNS-1035 label",
            ),
            (errors(|job| job["metadata"]["name"] = long.clone().into()), "metadata.name: Invalid value: \"aaaa"),
            (
                errors(|job| job["spec"]["runPolicy"]["managedBy"] = OURSELVES.into()),
                "spec.runPolicy.managedBy: Invalid value: \"kubeflow.org/training-operator\": field is immutable",
            ),
            (
                errors(|job| job["spec"]["testReplicaSpecs"] = json!({})),
                "spec.testReplicaSpecs: Required value: must be required",
            ),
            (
                errors(|job| job["spec"]["testReplicaSpecs"]["worker"] = json!({})),
                "spec.testReplicaSpecs[worker]: Duplicate value: \"worker\"",
            ),
            (
                errors(|job| job["spec"]["testReplicaSpecs"]["Worker"]["replicas"] = json!(-1)),
                "spec.testReplicaSpecs[Worker].replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (errors(|job| job["spec"]["runPolicy"]["backoffLimit"] = json!("x")), "spec.runPolicy: Invalid value: "),
            (
                errors(|job| job["spec"]["runPolicy"]["backoffLimit"] = json!(-1)),
                "spec.runPolicy.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                errors(|job| job["spec"]["runPolicy"]["schedulingPolicy"] = json!({"minAvailable": -2})),
                "spec.runPolicy.schedulingPolicy.minAvailable: Invalid value: -2: must be greater than or equal to 0",
            ),
            (
                errors(|job| job["spec"]["runPolicy"]["cleanPodPolicy"] = "Sometimes".into()),
                "spec.runPolicy.cleanPodPolicy: Unsupported value: \"Sometimes\": \
                 supported values: \"All\", \"None\", \"Running\"",
            ),
            (
                errors(|job| job["spec"]["testReplicaSpecs"]["Wörker"] = json!({"template": fixture::template()})),
                "metadata.name: Invalid value: \"train\": its pod would be called \"train-wörker-0\": a DNS-1035 label",
            ),
        ] {
            assert_eq!(broken.len(), 1, "{broken:?}");
            assert!(broken[0].starts_with(expected), "{broken:?}");
        }
    }

    /// As of an `MPIJob` in v1.
    #[test]
    fn a_kind_without_a_port_needs_no_name_for_a_service() {
        let kind = Kind { port: None, ..fixture::kind() };
        let errors = |name: &str| {
            let mut object = fixture::job();
            object["metadata"]["name"] = name.into();
            let found = of(&kind, &object, None, &Scripted::default(), &json!({})).unwrap();
            found.errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for name in ["2024-train", "a.b", &"a".repeat(63)] {
            assert_eq!(errors(name), [""; 0], "{name}");
        }
        let long = "a".repeat(64);
        let why = format!("metadata.name: Invalid value: {long:?}: should match: must be no more than 63 characters");
        assert_eq!(errors(&long), [why]);
    }

    /// v1 takes it for `All`, and so do jobs that people have.
    #[test]
    fn an_empty_clean_pod_policy_is_allowed() {
        assert_eq!(errors(|job| job["spec"]["runPolicy"]["cleanPodPolicy"] = "".into()), [""; 0]);
    }

    #[test]
    fn an_unknown_manager_is_refused_as_v1_refuses_it() {
        let mut object = fixture::job();
        object["spec"]["runPolicy"]["managedBy"] = "other".into();
        let found = of(&fixture::kind(), &object, None, &Scripted::default(), &json!({})).unwrap();
        let text = "spec.runPolicy.managedBy: Unsupported value: \"other\": supported values: \
            \"kubeflow.org/training-operator\", \"kueue.x-k8s.io/multikueue\"";
        assert_eq!(found.errors[0].to_string(), text);
    }
}
