use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::action::Action;
use crate::contract::{
    Failure, Fragment, Gate, GateState, Object, ObjectExisting, ObjectKind, Restart, RestartScope, Verdict,
    WhileSuspended,
};
use crate::fixture::{self, Scripted, at, pod, seen};
use crate::grants::Grants;
use crate::label;
use crate::observed::{ContainerStatus, Meta, Pod};

fn pass(planner: &Scripted, object: &Value, observed: &Observed) -> Thought {
    let framework = Framework {
        kind: &fixture::kind(),
        plugin: "test",
        digest: None,
        grants: &Grants::default(),
        announced: &[config_map()],
        planner,
        settings: &json!({}),
        addresses: &Addresses::Cluster { domain: None },
        gang: &GangScheduler::Off,
    };
    think(&framework, object, observed).unwrap()
}

fn config_map() -> ObjectKind {
    ObjectKind { api_version: "v1".into(), kind: "ConfigMap".into() }
}

/// A plan with config maps of these names.
fn with_objects(objects: &[(&str, ObjectExisting)]) -> Scripted {
    let object = |(name, existing): &(&str, ObjectExisting)| {
        let json = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}});
        let object = Fragment { json: json.to_string(), fills: vec![] };
        Object { object, existing: *existing, while_suspended: WhileSuspended::Keep }
    };
    let replicas = vec![fixture::replica("Master"), fixture::replica("Worker")];
    let plan = crate::contract::JobPlan { objects: objects.iter().map(object).collect(), ..fixture::plan(replicas) };
    Scripted { plan: Some(plan), ..scripted() }
}

/// What is there under which name, and who controls it.
fn with_names(mut observed: Observed, names: &[(&str, &str)]) -> Observed {
    let names = names.iter().map(|(name, controller)| ((*name).to_owned(), (*controller).to_owned()));
    observed.names.insert(config_map(), Arc::new(names.collect()));
    observed
}

fn scripted() -> Scripted {
    <Scripted as Default>::default()
}

/// A job that runs since second 0.
fn started(run_policy: Value) -> Value {
    let mut job = with_status(&fixture::job(), pass(&scripted(), &fixture::job(), &seen(0, vec![])).status.unwrap());
    job["spec"]["runPolicy"] = run_policy;
    job
}

fn with_status(job: &Value, status: JobStatus) -> Value {
    let mut job = job.clone();
    job["status"] = serde_json::to_value(status).unwrap();
    job
}

fn all(phase: &str) -> Vec<Pod> {
    [("Master", 0), ("Worker", 0), ("Worker", 1)].map(|(name, index)| pod(name, index, phase, None)).into()
}

fn with_services(mut observed: Observed) -> Observed {
    let names = ["train-master-0", "train-worker-0", "train-worker-1"];
    let service = |name: &str| Meta { name: name.into(), uid: format!("svc-{name}"), ..Meta::default() };
    observed.services = names.map(service).map(Arc::new).into();
    observed
}

/// `+pod train-master-0`, `-service x`, by batch.
fn actions(thought: &Thought) -> Vec<Vec<String>> {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    let say = |action: &Action| match action {
        Action::CreatePod { pod, .. } => format!("+pod {}", name(pod)),
        Action::CreateService(service) => format!("+service {}", name(service)),
        Action::DeletePod(target) => format!("-pod {}", target.name),
        Action::DeleteService(target) => format!("-service {}", target.name),
        Action::CreateObject { object, .. } => format!("+object {}", name(object)),
        Action::ReplaceObject(object) => format!("=object {}", name(object)),
        Action::DeleteObject(object) => format!("-object {}", name(object)),
        Action::CreateSshKey(secret) => format!("+key {}", name(secret)),
        Action::CreatePodGroup(group) => format!("+group {}", name(group)),
        Action::ReplacePodGroup(group) => format!("=group {}", name(group)),
        Action::DeletePodGroup(group) => format!("-group {}", name(group)),
        Action::DeleteJob => "-job".to_owned(),
    };
    thought.batches.iter().map(|batch| batch.iter().map(say).collect()).collect()
}

/// `Running=True TestJobRunning`.
fn conditions(thought: &Thought) -> Vec<String> {
    let conditions = thought.status.iter().flat_map(|status| &status.conditions);
    conditions.map(|each| format!("{:?}={:?} {}", each.kind, each.status, each.reason)).collect()
}

fn events(thought: &Thought) -> Vec<String> {
    let say = |event: &Event| {
        format!("{} {}: {}", if event.warning { "Warning" } else { "Normal" }, event.reason, event.message)
    };
    thought.events.iter().map(say).collect()
}

#[test]
fn a_new_job_is_acknowledged_and_made() {
    let thought = pass(&scripted(), &fixture::job(), &seen(7, vec![]));
    assert_eq!(conditions(&thought), ["Created=True TestJobCreated"]);
    let status = thought.status.as_ref().unwrap();
    assert_eq!(status.start_time, Some(at(7)));
    assert_eq!(status.replica_statuses.keys().collect::<Vec<_>>(), ["Master", "Worker"]);
    assert_eq!(
        actions(&thought),
        [
            vec!["+pod train-master-0"],
            vec!["+service train-master-0"],
            vec!["+pod train-worker-0", "+pod train-worker-1"],
            vec!["+service train-worker-0", "+service train-worker-1"],
        ]
    );
    assert_eq!((thought.counts, thought.events), (vec![Count::Created], vec![]));
}

#[test]
fn a_job_gets_its_pods_before_it_ends() {
    let planner = Scripted { verdicts: vec![Verdict::Succeeded("done".into())], ..scripted() };
    let first = pass(&planner, &fixture::job(), &seen(7, vec![]));
    assert_eq!(conditions(&first), ["Created=True TestJobCreated"]);
    assert_eq!(actions(&first).concat().len(), 6);
    let second = pass(&planner, &with_status(&fixture::job(), first.status.unwrap()), &seen(8, all("Pending")));
    assert_eq!(conditions(&second), ["Created=True TestJobCreated", "Succeeded=True TestJobSucceeded"]);

    let mut none = fixture::job();
    for replica_type in ["Master", "Worker"] {
        none["spec"]["testReplicaSpecs"][replica_type]["replicas"] = json!(0);
    }
    let only = pass(&planner, &none, &seen(7, vec![]));
    assert_eq!(conditions(&only), ["Created=True TestJobCreated", "Succeeded=True TestJobSucceeded"]);
    assert_eq!(actions(&only), [[""; 0]; 0]);
}

#[test]
fn a_settled_job_asks_for_nothing() {
    let planner = Scripted { verdicts: vec![Verdict::Running("runs".into())], ..scripted() };
    let observed = with_services(seen(9, all("Running")));
    let first = pass(&planner, &started(json!({})), &observed);
    assert_eq!(conditions(&first), ["Created=True TestJobCreated", "Running=True TestJobRunning"]);
    assert_eq!(pass(&planner, &with_status(&started(json!({})), first.status.unwrap()), &observed), Thought::default());
}

#[test]
fn jobs_of_others_and_jobs_that_go_are_left_alone() {
    let mut elsewhere = fixture::job();
    elsewhere["spec"]["runPolicy"]["managedBy"] = "kueue.x-k8s.io/multikueue".into();
    let mut deleting = fixture::job();
    deleting["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    for job in [elsewhere, deleting] {
        assert_eq!(pass(&scripted(), &job, &seen(0, all("Running"))), Thought::default());
    }
}

#[test]
fn an_invalid_job_fails_before_anything_is_made() {
    let mut job = fixture::job();
    job["spec"]["testReplicaSpecs"]["Worker"]["replicas"] = (-1).into();
    let thought = pass(&scripted(), &job, &seen(0, vec![]));
    assert_eq!(conditions(&thought), ["Created=True TestJobCreated", "Failed=True TestJobFailedValidation"]);
    let text = "Warning TestJobFailedValidation: TestJob failed validation because \
        spec.testReplicaSpecs[Worker].replicas: Invalid value: -1: must be an integer from 0 to 10000";
    assert_eq!((events(&thought), actions(&thought)), (vec![text.to_owned()], vec![]));
    assert_eq!(thought.counts, [Count::Created, Count::Failed]);
}

#[test]
fn a_job_that_its_plugin_could_not_look_at_is_looked_at_when_it_can() {
    let broken = Scripted { plan: Some(fixture::plan(vec![fixture::replica("Nobody")])), ..scripted() };
    let mut job = fixture::job();
    let stood_still = pass(&broken, &job, &seen(0, vec![])).status.unwrap();
    assert!(stood_still.condition(&ConditionType::PluginFailed).is_some());
    job = with_status(&job, stood_still);
    job["spec"]["runPolicy"] = json!({"cleanPodPolicy": "Sometimes"});
    let thought = pass(&scripted(), &job, &seen(1, vec![]));
    assert_eq!(conditions(&thought).last().unwrap(), "Failed=True TestJobFailedValidation");
}

/// A scale subresource asks nobody.
#[test]
fn a_running_job_that_becomes_invalid_stands_still() {
    let mut job = started(json!({}));
    job["spec"]["testReplicaSpecs"]["Worker"]["replicas"] = 2_000_000_000.into();
    let thought = pass(&scripted(), &job, &seen(9, all("Running")));
    let text = "Warning TestJobFailedValidation: TestJob failed validation because \
        spec.testReplicaSpecs[Worker].replicas: Invalid value: 2000000000: must be an integer from 0 to 10000";
    assert_eq!((events(&thought), actions(&thought)), (vec![text.to_owned()], vec![]));
}

#[test]
fn a_bad_plan_makes_nothing_and_fails_nothing() {
    let planner = Scripted { plan: Some(fixture::plan(vec![])), ..scripted() };
    let thought = pass(&planner, &fixture::job(), &seen(0, vec![]));
    assert_eq!(conditions(&thought), ["Created=True TestJobCreated", "PluginFailed=True TestJobPluginFailed"]);
    let text = r#"Warning PluginFailed: plugin "test": the plan is not used: replicas: the plan has replica types [], the job has ["Master", "Worker"]"#;
    assert_eq!((events(&thought), actions(&thought)), (vec![text.to_owned()], vec![]));
}

/// A volume of the node, with a name that would draw on the reader's terminal.
fn hostile() -> Scripted {
    let mut worker = fixture::replica("Worker");
    worker.volumes = vec![json!({"name": "x", "hostPath": {"path": "/\u{1b}[2J\u{202e}etc"}}).to_string()];
    Scripted { plan: Some(fixture::plan(vec![fixture::replica("Master"), worker])), ..scripted() }
}

#[test]
fn a_repaired_plugin_goes_on_where_it_was() {
    let text =
        r#"plugin "test": the plan is not used: replicas[1].volumes[0].hostPath.path: "/\u001b[2J etc" is not granted"#;
    let blamed = pass(&hostile(), &fixture::job(), &seen(0, vec![]));
    assert_eq!((actions(&blamed), events(&blamed)), (vec![], vec![format!("Warning PluginFailed: {text}")]));
    let status = blamed.status.unwrap();
    assert_eq!(status.conditions[1].message, text);
    let job = with_status(&fixture::job(), status);
    let again = pass(&hostile(), &job, &seen(1, vec![]));
    assert_eq!((&again.status, actions(&again)), (&None, vec![]), "it is said once");
    let other = pass(&Scripted { plan: Some(fixture::plan(vec![])), ..scripted() }, &job, &seen(2, vec![]));
    let condition = &other.status.as_ref().unwrap().conditions[1];
    assert_eq!((condition.last_transition_time, condition.last_update_time), (Some(at(0)), Some(at(2))));
    let repaired = pass(&scripted(), &job, &seen(3, vec![]));
    assert_eq!(conditions(&repaired), ["Created=True TestJobCreated"]);
    assert_eq!((actions(&repaired).concat().len(), repaired.counts), (6, vec![]));
}

#[test]
fn a_bad_plan_changes_nothing_of_what_runs_or_has_ended() {
    let observed = with_services(seen(9, all("Running")));
    let blamed = pass(&hostile(), &started(json!({})), &observed);
    assert_eq!(
        (conditions(&blamed).pop().unwrap(), actions(&blamed)),
        ("PluginFailed=True TestJobPluginFailed".into(), vec![])
    );
    let succeeds = Scripted { verdicts: vec![Verdict::Succeeded("done".into())], ..scripted() };
    let ended = with_status(&started(json!({})), pass(&succeeds, &started(json!({})), &observed).status.unwrap());
    let mut observed = observed;
    observed.objects = vec![Arc::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}))];
    let after = pass(&hostile(), &ended, &observed);
    assert_eq!((&after.status, actions(&after), after.events.len()), (&None, vec![], 1), "the job has ended as it has");
}

/// A hostile default would move the job to another namespace, or rewrite its templates.
#[test]
fn defaults_that_change_the_job_are_not_used() {
    let defaults = json!({"metadata": {"namespace": "kube-system"}}).to_string();
    let thought = pass(&Scripted { defaults, ..scripted() }, &fixture::job(), &seen(0, vec![]));
    let text =
        r#"plugin "test": the defaults are not used: metadata: {"namespace":"kube-system"} is not for a plugin to say"#;
    assert_eq!((events(&thought), actions(&thought)), (vec![format!("Warning PluginFailed: {text}")], vec![]));
}

/// What plugins say reaches conditions and events as one plain line.
#[test]
fn a_plugins_words_are_plain_wherever_they_go() {
    let forged = "done\n\u{1b}[31mWarning Failed: the cluster \u{202e}is gone";
    let plain = "done  [31mWarning Failed: the cluster  is gone";
    let observed = || with_services(seen(9, all("Running")));
    for verdict in [
        Verdict::Running(forged.into()),
        Verdict::Restarting(forged.into()),
        Verdict::Succeeded(forged.into()),
        Verdict::Failed(Failure { reason: Some(forged.into()), message: forged.into() }),
    ] {
        let thought = pass(&Scripted { verdicts: vec![verdict], ..scripted() }, &started(json!({})), &observed());
        assert_eq!(thought.status.as_ref().unwrap().conditions.last().unwrap().message, plain);
        assert!(thought.events.iter().all(|event| event.message == plain), "{:?}", thought.events);
    }
    let long = Verdict::Succeeded("x".repeat(5000).into());
    let thought = pass(&Scripted { verdicts: vec![long], ..scripted() }, &started(json!({})), &observed());
    let message = &thought.status.as_ref().unwrap().conditions.last().unwrap().message;
    assert_eq!((message.len(), thought.events[0].message.len()), (1024, 256));
}

#[test]
fn a_plugin_that_wants_to_be_asked_at_once_is_asked_in_a_second() {
    let job = started(json!({}));
    for (asked, expected) in [(0, 1), (1, 1), (60, 60)] {
        let planner = Scripted { check_after: Some(asked), ..scripted() };
        let thought = pass(&planner, &job, &with_services(seen(9, all("Running"))));
        assert_eq!(thought.check_after, Some(SignedDuration::from_secs(expected)), "{asked}");
    }
}

#[test]
fn failed_pods_meet_the_fate_their_restart_policy_says() {
    let failed = |policy: &str, exit| {
        let mut job = started(json!({}));
        job["spec"]["testReplicaSpecs"]["Worker"]["restartPolicy"] = policy.into();
        let mut pods = all("Running");
        pods[1] = pod("Worker", 0, "Failed", exit);
        let thought = pass(&scripted(), &job, &with_services(seen(9, pods)));
        (conditions(&thought).pop().unwrap_or_default(), actions(&thought).concat())
    };
    let replaced = || ("Restarting=True TestJobRestarting".to_owned(), vec!["-pod train-worker-0".to_owned()]);
    for (policy, exit, expected) in [
        ("Never", Some(1), ("Created=True TestJobCreated".to_owned(), vec![])),
        ("OnFailure", Some(1), replaced()),
        ("Always", None, replaced()),
        ("ExitCode", Some(137), replaced()),
        ("ExitCode", None, replaced()),
        ("ExitCode", Some(1), ("Failed=True TestJobFailed".to_owned(), vec![])),
    ] {
        assert_eq!(failed(policy, exit), expected, "{policy} {exit:?}");
    }
}

#[test]
fn a_restart_is_told_once() {
    let job = started(json!({}));
    let mut pods = all("Running");
    pods[1] = pod("Worker", 0, "Failed", Some(1));
    let planner = Scripted { verdicts: vec![Verdict::Restarting("TestJob train is restarting".into())], ..scripted() };
    let first = pass(&planner, &job, &with_services(seen(9, pods.clone())));
    assert_eq!(
        events(&first),
        [
            "Normal ExitedWithCode: Pod: ns.train-worker-0 exited with code 1",
            "Warning TestJobRestarting: job train is restarting because Worker replica(s) failed.",
            "Warning TestJobRestarting: TestJob train is restarting",
        ]
    );
    assert_eq!(first.counts, [Count::FailedPods(1), Count::Restarted]);
    pods[1].meta.deleting = true;
    let second = pass(&planner, &with_status(&job, first.status.unwrap()), &with_services(seen(10, pods)));
    assert_eq!((second.status, second.batches, second.counts), (None, vec![], vec![]));
    assert_eq!(second.events.len(), 1, "that the pod exited is the same event as before: {:?}", second.events);
}

#[test]
fn restarts_are_counted_where_there_is_a_limit() {
    let mut pods = all("Running");
    pods[1] = pod("Worker", 0, "Failed", Some(1));
    let observed = with_services(seen(9, pods));
    let thought = pass(&scripted(), &started(json!({"backoffLimit": 1})), &observed);
    assert_eq!(thought.status.as_ref().map(|status| status.restarts), Some(1));
    let job = with_status(&started(json!({"backoffLimit": 1})), thought.status.unwrap());
    let again = pass(&scripted(), &job, &observed);
    let text = "Normal TestJobFailed: Job train has failed because it has reached the specified backoff limit";
    assert_eq!(events(&again), [text]);
    assert_eq!(conditions(&again).pop().unwrap(), "Failed=True TestJobFailed");
}

#[test]
fn kubelets_restarts_count_towards_the_limit() {
    let mut pods = all("Running");
    let container = &mut pods[1].status.container_statuses[0];
    *container = ContainerStatus { restart_count: 3, ..container.clone() };
    let observed = with_services(seen(9, pods));
    for (limit, fails) in [(4, false), (3, true)] {
        let thought = pass(&scripted(), &started(json!({"backoffLimit": limit})), &observed);
        assert_eq!(thought.counts.contains(&Count::Failed), fails, "{limit}");
    }
}

#[test]
fn a_huge_job_gets_its_pods_in_several_passes() {
    let mut job = started(json!({}));
    for (workers, made, again) in [(1_998, 1_999, None), (9_999, 400, Some(SignedDuration::ZERO))] {
        job["spec"]["testReplicaSpecs"]["Worker"]["replicas"] = workers.into();
        let thought = pass(&scripted(), &job, &seen(9, vec![]));
        let pods = thought.batches.iter().flatten().filter(|action| matches!(action, Action::CreatePod { .. }));
        assert_eq!((pods.count(), thought.check_after), (made, again), "{workers}");
    }
}

#[test]
fn the_first_status_may_wait_while_it_says_little() {
    let mut job = fixture::job();
    job["metadata"]["creationTimestamp"] = "1970-01-01T00:00:00Z".into();
    for (second, pods, expected) in [
        (9, vec![], true),
        (60, vec![], true), // its pods are only being made
        (9, all("Pending"), true),
        (60, all("Pending"), false),
        (9, all("Failed"), false),
    ] {
        let what = format!("{second} {}", pods.len());
        let thought = pass(&scripted(), &job, &with_services(seen(second, pods)));
        assert_eq!((thought.may_wait, thought.status.is_some()), (expected, true), "{what}");
    }
    let known = with_status(&job, pass(&scripted(), &job, &seen(0, vec![])).status.unwrap());
    assert!(!pass(&scripted(), &known, &with_services(seen(9, all("Pending")))).may_wait);
}

#[test]
fn the_deadline_fails_the_job_when_it_passes() {
    let job = started(json!({"activeDeadlineSeconds": 60, "cleanPodPolicy": "All"}));
    let observed = |second| with_services(seen(second, all("Running")));
    let before = pass(&scripted(), &job, &observed(59));
    assert_eq!(before.check_after, Some(SignedDuration::from_secs(1)));
    let after = pass(&scripted(), &job, &observed(60));
    assert_eq!(
        events(&after),
        ["Normal TestJobFailed: Job train has failed because it was active longer than specified deadline"]
    );
    assert_eq!(after.status.as_ref().and_then(|status| status.completion_time), Some(at(60)));
    assert_eq!(actions(&after).concat().len(), 6, "all pods and services go");
}

/// Bug for bug: even a deadline of 0 is looked at when the job has begun.
#[test]
fn a_job_without_time_begins_and_fails() {
    let limits = json!({"activeDeadlineSeconds": 0});
    let mut job = fixture::job();
    job["spec"]["runPolicy"] = limits.clone();
    let first = pass(&scripted(), &job, &seen(0, vec![]));
    assert!(first.status.is_some_and(|status| status.start_time == Some(at(0))));
    assert_eq!(first.check_after, Some(SignedDuration::from_secs(1)));
    let second = pass(&scripted(), &started(limits), &with_services(seen(1, all("Running"))));
    assert!(conditions(&second).contains(&"Failed=True TestJobFailed".to_owned()), "{:?}", conditions(&second));
}

#[test]
fn the_first_verdict_that_ends_a_job_is_the_last() {
    let failure = || Verdict::Failed(Failure { reason: None, message: "failed".into() });
    let end = |verdicts| {
        let thought =
            pass(&Scripted { verdicts, ..scripted() }, &started(json!({})), &with_services(seen(9, all("Running"))));
        (conditions(&thought).pop().unwrap(), events(&thought), thought.counts)
    };
    let succeeded = (
        "Succeeded=True TestJobSucceeded".to_owned(),
        vec!["Normal TestJobSucceeded: done".to_owned()],
        vec![Count::Successful],
    );
    assert_eq!(end(vec![Verdict::Succeeded("done".into()), failure()]), succeeded);
    let failed =
        ("Failed=True TestJobFailed".to_owned(), vec!["Normal TestJobFailed: failed".to_owned()], vec![Count::Failed]);
    assert_eq!(end(vec![failure(), Verdict::Succeeded("done".into())]), failed);
    let named = Verdict::Failed(Failure { reason: Some("Evicted".into()), message: "gone".into() });
    assert_eq!(end(vec![named]).0, "Failed=True TestJobEvicted");
}

#[test]
fn the_clean_pod_policy_says_what_stays_after_the_end() {
    let mut pods = all("Running");
    pods[0] = pod("Master", 0, "Succeeded", Some(0));
    let planner = Scripted { verdicts: vec![Verdict::Succeeded("done".into())], ..scripted() };
    for (policy, expected) in [
        ("None", vec![]),
        (
            "Running",
            vec!["-pod train-worker-0", "-pod train-worker-1", "-service train-worker-0", "-service train-worker-1"],
        ),
        (
            "All",
            vec![
                "-pod train-master-0",
                "-pod train-worker-0",
                "-pod train-worker-1",
                "-service train-master-0",
                "-service train-worker-0",
                "-service train-worker-1",
            ],
        ),
    ] {
        let thought =
            pass(&planner, &started(json!({"cleanPodPolicy": policy})), &with_services(seen(9, pods.clone())));
        assert_eq!(actions(&thought).concat(), expected, "{policy}");
        let worker = &thought.status.unwrap().replica_statuses["Worker"];
        assert_eq!((worker.active, worker.succeeded), (0, 2), "what still runs counts as done");
    }
}

#[test]
fn a_finished_job_is_deleted_in_time() {
    let job = started(json!({"ttlSecondsAfterFinished": 5}));
    let planner = Scripted { verdicts: vec![Verdict::Succeeded("done".into())], ..scripted() };
    let ended = pass(&planner, &job, &with_services(seen(10, all("Running"))));
    assert_eq!(ended.check_after, Some(SignedDuration::from_secs(5)));
    let job = with_status(&job, ended.status.unwrap());
    assert_eq!(pass(&scripted(), &job, &seen(14, vec![])).check_after, Some(SignedDuration::from_secs(1)));
    assert_eq!(actions(&pass(&scripted(), &job, &seen(15, vec![]))), [["-job"]]);
}

#[test]
fn suspending_takes_everything_away_and_resuming_brings_it_back() {
    let planner = Scripted { verdicts: vec![Verdict::Running("runs".into())], ..scripted() };
    let observed = with_services(seen(5, all("Running")));
    let running = pass(&planner, &started(json!({})), &observed).status.unwrap();
    let suspended = pass(&planner, &with_status(&started(json!({"suspend": true})), running), &observed);
    let expected = ["Created=True TestJobCreated", "Running=False TestJobSuspended", "Suspended=True TestJobSuspended"];
    assert_eq!(conditions(&suspended), expected);
    assert_eq!(actions(&suspended).concat().len(), 6);
    assert_eq!(events(&suspended), ["Normal TestJobSuspended: TestJob train is suspended."]);
    let status = suspended.status.unwrap();
    assert_eq!(status.start_time, Some(at(0)), "the clock is reset when the job is resumed");
    let job = with_status(&started(json!({"suspend": true})), status.clone());
    assert_eq!(pass(&planner, &job, &seen(6, vec![])), Thought::default());
    let resumed = pass(&scripted(), &with_status(&started(json!({})), status), &seen(7, vec![]));
    let expected = ["Created=True TestJobCreated", "Running=False TestJobSuspended", "Suspended=False TestJobResumed"];
    assert_eq!(conditions(&resumed), expected);
    assert_eq!(resumed.status.unwrap().start_time, Some(at(7)));
    assert_eq!(resumed.batches.concat().len(), 6);
}

#[test]
fn a_job_that_is_restarting_is_not_while_it_is_suspended() {
    let mut pods = all("Running");
    pods[1] = pod("Worker", 0, "Failed", Some(1));
    let restarting = pass(&scripted(), &started(json!({})), &with_services(seen(9, pods))).status.unwrap();
    let suspended = pass(&scripted(), &with_status(&started(json!({"suspend": true})), restarting), &seen(10, vec![]));
    assert_eq!(conditions(&suspended), ["Created=True TestJobCreated", "Suspended=True TestJobSuspended"]);
}

#[test]
fn pods_are_counted_as_failed_once() {
    let mut job = started(json!({}));
    job["spec"]["testReplicaSpecs"]["Worker"]["restartPolicy"] = "Never".into();
    let mut pods = all("Running");
    pods[1] = pod("Worker", 0, "Failed", Some(1));
    let first = pass(&scripted(), &job, &with_services(seen(9, pods.clone())));
    assert_eq!(first.counts, [Count::FailedPods(1)]);
    let job = with_status(&job, first.status.unwrap());
    pods[2] = pod("Worker", 1, "Failed", Some(1));
    let second = pass(&scripted(), &job, &with_services(seen(10, pods.clone())));
    assert_eq!(second.counts, [Count::FailedPods(1)]);
    let third = pass(&scripted(), &with_status(&job, second.status.unwrap()), &with_services(seen(11, pods)));
    assert_eq!(third.counts, []);
}

/// v1 leaves it so after some failures, and then never deletes the job.
#[test]
fn a_job_that_ended_without_a_completion_time_is_deleted_in_time() {
    let mut job = started(json!({"ttlSecondsAfterFinished": 5}));
    job["status"]["conditions"] = json!([{"type": "Failed", "status": "True", "lastTransitionTime": at(10)}]);
    let thought = pass(&scripted(), &job, &seen(14, vec![]));
    assert_eq!(thought.status.as_ref().and_then(|status| status.completion_time), Some(at(10)));
    assert_eq!((thought.check_after, actions(&thought)), (Some(SignedDuration::from_secs(1)), vec![]));
    assert_eq!(actions(&pass(&scripted(), &job, &seen(15, vec![]))), [["-job"]]);
}

#[test]
fn a_job_that_v1_let_succeed_and_fail_has_ended() {
    let mut job = started(json!({}));
    let condition = |kind| json!({"type": kind, "status": "True", "reason": "R", "message": "m"});
    job["status"] = json!({
        "conditions": [condition("Created"), condition("Succeeded"), condition("Failed")],
        "completionTime": at(3),
    });
    assert_eq!(pass(&scripted(), &job, &with_services(seen(9, all("Running")))), Thought::default());
}

/// v1 loses the condition when the job changes before its first status is written.
#[test]
fn a_job_of_v1_that_was_not_acknowledged_is_no_new_one() {
    let mut job = started(json!({}));
    job["status"]["conditions"] = json!([{"type": "Running", "status": "True", "reason": "TestJobRunning"}]);
    let thought = pass(&scripted(), &job, &with_services(seen(9, all("Running"))));
    assert_eq!(conditions(&thought), ["Created=True TestJobCreated", "Running=True TestJobRunning"]);
    assert_eq!((thought.status.unwrap().start_time, thought.counts), (Some(at(0)), vec![]));
}

#[test]
fn a_job_whose_status_cannot_be_read_is_left_alone() {
    let mut job = started(json!({}));
    job["status"]["replicaStatuses"]["Worker"]["active"] = (-1).into();
    let thought = pass(&scripted(), &job, &seen(9, vec![]));
    let text = "Warning StatusUnreadable: nothing is done for the job, for its status cannot be read: invalid value: \
        integer `-1`, expected u32";
    assert_eq!((events(&thought), &thought.status, actions(&thought)), (vec![text.to_owned()], &None, vec![]));
}

/// As in v1: `cleanPodPolicy` has no say in what has failed or is too much.
#[test]
fn the_pass_that_ends_a_job_deletes_what_is_too_much_and_what_it_said_it_restarts() {
    let planner = Scripted { verdicts: vec![Verdict::Succeeded("done".into())], ..scripted() };
    for (policy, expected) in [
        ("None", vec!["-pod train-worker-0", "-pod train-worker-1", "-service train-worker-1"]),
        (
            "All",
            vec![
                "-pod train-worker-0",
                "-pod train-worker-1",
                "-service train-worker-1",
                "-pod train-master-0",
                "-service train-master-0",
                "-service train-worker-0",
            ],
        ),
    ] {
        let mut job = started(json!({"cleanPodPolicy": policy}));
        let worker = &mut job["spec"]["testReplicaSpecs"]["Worker"];
        (worker["replicas"], worker["restartPolicy"]) = (1.into(), "OnFailure".into());
        let pods = vec![
            pod("Master", 0, "Succeeded", Some(0)),
            pod("Worker", 0, "Failed", Some(137)),
            pod("Worker", 1, "Running", None),
        ];
        let ended = pass(&planner, &job, &with_services(seen(9, pods)));
        assert_eq!(actions(&ended).concat(), expected, "{policy}");
        assert!(events(&ended).iter().any(|event| event.contains("is restarting because")), "{:?}", events(&ended));
    }
}

/// Nobody asks at admission about a scale.
#[test]
fn a_job_that_was_taken_and_waits_may_be_scaled_to_what_would_be_refused() {
    let mut job = fixture::job();
    job["spec"]["runPolicy"] = json!({"suspend": true});
    let suspended = pass(&scripted(), &job, &seen(1, vec![]));
    let mut job = with_status(&job, suspended.status.unwrap());
    job["spec"]["testReplicaSpecs"] = json!({});
    let again = pass(&scripted(), &job, &seen(2, vec![]));
    assert_eq!(again.status, None, "it does not fail");
}

/// A service without its pod, left by an operator that ended between the two deletions.
#[test]
fn services_go_even_if_their_pods_went_before() {
    let planner = Scripted { verdicts: vec![Verdict::Succeeded("done".into())], ..scripted() };
    for (policy, expected) in [("None", 0), ("Running", 2), ("All", 3)] {
        let job = started(json!({"cleanPodPolicy": policy}));
        let succeeded = pod("Master", 0, "Succeeded", Some(0));
        let mut observed = with_services(seen(9, vec![succeeded]));
        let ended = with_status(&job, pass(&planner, &job, &observed).status.unwrap());
        observed.now = at(10);
        let services = actions(&pass(&planner, &ended, &observed)).concat();
        let services = services.iter().filter(|action| action.starts_with("-service"));
        assert_eq!(services.count(), expected, "{policy}");
    }
}

#[test]
fn a_gate_holds_pods_back_but_not_their_services() {
    let mut worker = fixture::replica("Worker");
    worker.after = vec![Gate { replica_type: "Master".into(), state: GateState::Running }];
    let planner = Scripted { plan: Some(fixture::plan(vec![fixture::replica("Master"), worker])), ..scripted() };
    let closed = pass(&planner, &fixture::job(), &seen(0, vec![]));
    assert!(!actions(&closed).concat().iter().any(|action| action.starts_with("+pod train-worker")), "{closed:?}");
    let open = pass(&planner, &fixture::job(), &with_services(seen(0, vec![pod("Master", 0, "Running", None)])));
    assert_eq!(actions(&open), [["+pod train-worker-0", "+pod train-worker-1"]]);
}

#[test]
fn a_plugin_may_restart_more_than_what_failed() {
    let restart = Restart { scope: RestartScope::All, counts: true, message: "the ring is broken".into() };
    let planner = Scripted { restart: Some(restart), ..scripted() };
    let observed = with_services(seen(5, all("Running")));
    let thought = pass(&planner, &started(json!({})), &observed);
    assert_eq!(actions(&thought), [["-pod train-master-0", "-pod train-worker-0", "-pod train-worker-1"]]);
    assert_eq!(events(&thought), ["Warning TestJobRestarting: the ring is broken"]);
    assert_eq!(thought.status.unwrap().restarts, 1);
    let limited = pass(&planner, &started(json!({"backoffLimit": 0})), &observed);
    assert_eq!(conditions(&limited).pop().unwrap(), "Failed=True TestJobFailed");
}

#[test]
fn scaling_down_takes_the_highest() {
    let mut job = started(json!({}));
    job["spec"]["testReplicaSpecs"]["Worker"]["replicas"] = 1.into();
    let thought = pass(&scripted(), &job, &with_services(seen(5, all("Running"))));
    assert_eq!(actions(&thought), [["-pod train-worker-1", "-service train-worker-1"]]);
}

/// As in v1.
#[test]
fn what_is_of_a_type_that_was_taken_out_of_the_job_stays() {
    let planner = Scripted { plan: Some(fixture::plan(vec![fixture::replica("Master")])), ..scripted() };
    let mut observed = with_services(seen(5, all("Running")));
    for service in &mut observed.services {
        let replica_type = if service.name.contains("master") { "master" } else { "worker" };
        Arc::make_mut(service).labels.insert(label::REPLICA_TYPE.into(), replica_type.into());
    }
    let mut job = with_status(&started(json!({})), pass(&scripted(), &started(json!({})), &observed).status.unwrap());
    job["spec"]["testReplicaSpecs"].as_object_mut().unwrap().remove("Worker");
    observed.now = at(6);
    observed.pods.retain(|pod| pod.meta.name != "train-worker-1");
    let thought = pass(&planner, &job, &observed);
    assert_eq!((actions(&thought), &thought.status), (vec![], &None), "its counts stay, too");
}

#[test]
fn an_object_of_another_is_used_or_in_the_way() {
    use ObjectExisting::{KeepOurs, UpdateOurs, UseAny};
    let planner =
        |existing| with_objects(&[("train-first", UpdateOurs), ("train-taken", existing), ("train-last", UpdateOurs)]);
    let told = r#"Warning ErrResourceExists: Resource "train-taken" of TestJobKind "ConfigMap" already exists and is not managed by TestJob"#;
    let all = ["+object train-first", "+object train-taken", "+object train-last"];
    let on = vec![(config_map(), "train-taken".to_owned())];
    for (name, existing, controller, expected, events, others) in [
        ("nobody's, to be used", UseAny, "", vec!["+object train-first", "+object train-last"], vec![], on.clone()),
        (
            "another's, to be used",
            UseAny,
            "other-uid",
            vec!["+object train-first", "+object train-last"],
            vec![],
            on.clone(),
        ),
        ("nobody's, in the way", KeepOurs, "", vec!["+object train-first"], vec![told], on.clone()),
        ("another's, in the way", UpdateOurs, "other-uid", vec!["+object train-first"], vec![told], on),
        ("ours, which the store does not know yet", UpdateOurs, "job-uid", all.into(), vec![], vec![]),
    ] {
        let observed = with_names(with_services(seen(5, all_pods_but_the_last())), &[("train-taken", controller)]);
        let thought = pass(&planner(existing), &started(json!({})), &observed);
        let makes: Vec<_> = actions(&thought).concat();
        let (objects, pods): (Vec<_>, Vec<_>) = makes.iter().partition(|action| action.starts_with("+object"));
        assert_eq!(objects, expected, "{name}");
        assert_eq!(pods.is_empty(), !events.is_empty(), "{name}: pods come after all objects: {pods:?}");
        assert_eq!(self::events(&thought), events, "{name}");
        assert_eq!(thought.others, others, "{name}");
    }
}

fn all_pods_but_the_last() -> Vec<Pod> {
    let mut pods = all("Running");
    pods.pop();
    pods
}

#[test]
fn what_is_in_the_way_deletes_nothing_and_costs_nothing() {
    let planner =
        with_objects(&[("train-taken", ObjectExisting::KeepOurs), ("train-ours", ObjectExisting::UpdateOurs)]);
    let owned =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "train-ours"}, "data": {"a": "1"}});
    let observed = |second| {
        let mut observed =
            with_names(with_services(seen(second, all("Running"))), &[("train-taken", ""), ("train-ours", "job-uid")]);
        observed.objects = vec![Arc::new(owned.clone())];
        observed
    };
    let first = pass(&planner, &started(json!({})), &observed(5));
    assert_eq!(first.batches, Vec::<Vec<Action>>::new());
    let again = pass(&planner, &with_status(&started(json!({})), first.status.unwrap()), &observed(6));
    assert_eq!((again.status, again.batches, again.events), (None, vec![], first.events));
}

#[test]
fn an_update_keeps_what_others_wrote_beside_ours() {
    let planner = with_objects(&[("train-ours", ObjectExisting::UpdateOurs)]);
    let metadata = json!({"name": "train-ours", "resourceVersion": "7", "labels": {"team": "vision"}});
    for (stored, expected) in [
        (json!({"data": {"a": "1", "theirs": "2"}}), vec![]),
        (json!({"data": {"a": "0"}}), vec![json!({"data": {"a": "1"}})]),
    ] {
        let with_metadata = |mut object: Value| {
            json::merge(&mut object, &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}));
            object
        };
        let mut observed = with_services(seen(5, all("Running")));
        observed.objects = vec![Arc::new(with_metadata(stored))];
        let thought = pass(&planner, &started(json!({})), &observed);
        let expected: Vec<_> =
            expected.into_iter().map(|object| Action::ReplaceObject(with_metadata(object))).collect();
        assert_eq!(thought.batches.concat(), expected);
    }
}

#[test]
fn what_goes_after_the_end_may_be_a_defaults_to_say() {
    let defaults = json!({"spec": {"runPolicy": {"cleanPodPolicy": "All"}}}).to_string();
    let planner = Scripted { verdicts: vec![Verdict::Succeeded("done".into())], defaults, ..scripted() };
    let observed = with_services(seen(9, all("Running")));
    let ended = pass(&planner, &started(json!({})), &observed);
    assert_eq!(actions(&ended).concat().len(), 6);
    // The operator ended before it could delete them.
    let again = pass(&planner, &with_status(&started(json!({})), ended.status.unwrap()), &observed);
    assert_eq!(actions(&again).concat().len(), 6);
}
