//! v1's catalogue of events, row by row: type, reason, message. What a plugin words, its own tests hold.

use serde_json::json;

use super::*;
use crate::action::{Action, Target};
use crate::contract::{RestartPolicy, Verdict};
use crate::fill::Addresses;
use crate::fixture::{self, Scripted, pod, seen};
use crate::gang::GangScheduler;
use crate::grants::Grants;
use crate::observed::{PodCondition, Terminated, Waiting};
use crate::think::{Framework, think};

fn say(events: Vec<Event>) -> Vec<String> {
    let kind = |event: &Event| if event.warning { "Warning" } else { "Normal" };
    events.iter().map(|event| format!("{} {}: {}", kind(event), event.reason, event.message)).collect()
}

fn carried_out(kind: &Kind, action: &Action) -> [Vec<String>; 2] {
    [Ok("uid"), Err("no")].map(|done| say(action.events(kind, "train", done)))
}

#[test]
fn of_what_the_operator_did() {
    let object = |name: &str| json!({"metadata": {"name": name}});
    let target = || Target { name: "p".into(), uid: "u".into() };
    let created = |overwrites_restart_policy, keeps_scheduler| {
        let pod = json!({"metadata": {"name": "p"}});
        Action::CreatePod { pod, overwrites_restart_policy, keeps_scheduler }
    };
    let plain = fixture::kind();
    let scaled = Kind { scales: Some("Worker".into()), ..fixture::kind() };
    let overwritten = [
        "Normal SuccessfulCreatePod: Created pod: p",
        "Warning SetPodTemplateRestartPolicy: Restart policy in pod template will be overwritten by restart policy in \
         replica spec",
        "Warning SetPodTemplateSchedulerName: Another scheduler is specified when gang-scheduling is enabled and it \
         will not be overwritten",
    ];
    let service = || Action::CreateService(object("p"));
    for (kind, action, done, failed) in [
        (&plain, created(false, false), "SuccessfulCreatePod: Created pod: p", "FailedCreatePod: Error creating"),
        (&plain, Action::DeletePod(target()), "SuccessfulDeletePod: Deleted pod: p", "FailedDeletePod: Error deleting"),
        (&plain, service(), "SuccessfulCreateService: Created service: p", "FailedCreateService: Error creating"),
        (
            &plain,
            Action::DeleteService(target()),
            "SuccessfulDeleteService: Deleted service: p",
            "FailedDeleteService: Error deleting",
        ),
        (&plain, Action::DeleteJob, "SuccessfulDeleteJob: Deleted job: train", "FailedDeleteJob: Error deleting"),
        (&scaled, Action::DeleteJob, "SuccessfulDeletePod: Deleted job: train", "FailedDeletePod: Error deleting"),
    ] {
        let expected = [vec![format!("Normal {done}")], vec![format!("Warning {failed}: no")]];
        assert_eq!(carried_out(kind, &action), expected, "{action:?}");
    }
    assert_eq!(carried_out(&plain, &created(true, true))[0], overwritten);
    let judged = Kind { replace_failed: false, ..fixture::kind() };
    let spelt = overwritten.map(|event| event.replace(" SetPod", " SettedPod"));
    assert_eq!(carried_out(&judged, &created(true, true))[0], spelt, "as of an `MPIJob` in v1");
    let terminated = "Normal JobTerminated: Job has been terminated. Deleting PodGroup";
    let deleted = [
        vec![terminated, "Normal SuccessfulDeletePodGroup: Deleted PodGroup: p"],
        vec![terminated, "Warning FailedDeletePodGroup: Error deleting: no"],
    ];
    assert_eq!(carried_out(&plain, &Action::DeletePodGroup(object("p"))), deleted);
}

#[test]
fn of_pods() {
    let kind = fixture::kind();
    let job = Job::parse(&kind, &fixture::job()).unwrap();
    for code in [0, 137] {
        let exited = exited(&kind, &job, &pod("Worker", 0, "Failed", Some(code)));
        let text = format!("Normal ExitedWithCode: Pod: ns.train-worker-0 exited with code {code}");
        assert_eq!(say(exited.into_iter().collect()), [text]);
    }
    let with = |change: &dyn Fn(&mut Pod)| {
        let mut pod = pod("Worker", 0, "Pending", None);
        change(&mut pod);
        say(abnormal(&pod))
    };
    let terminated = Terminated { exit_code: 1, reason: Some("Error".into()), message: Some("m".into()) };
    let waiting = Waiting { reason: Some("ErrImagePull".into()), message: Some("m".into()) };
    let condition = PodCondition {
        status: "False".into(),
        reason: Some("Unschedulable".into()),
        message: Some("m".into()),
        ..PodCondition::default()
    };
    for (what, told, expected) in [
        ("nothing is wrong", with(&|_| ()), None),
        (
            "a container has failed",
            with(&|pod| pod.status.container_statuses[0].state.terminated = Some(terminated.clone())),
            Some("Warning Error: Error pod train-worker-0 container test exitCode: 1 terminated message: m"),
        ),
        (
            "a container waits",
            with(&|pod| pod.status.container_statuses[0].state.waiting = Some(waiting.clone())),
            Some("Warning ErrImagePull: Error pod train-worker-0 container test waiting message: m"),
        ),
        (
            "an init container waits, and there is no other yet",
            with(&|pod| {
                pod.status.init_container_statuses = std::mem::take(&mut pod.status.container_statuses);
                pod.status.init_container_statuses[0].state.waiting = Some(waiting.clone());
            }),
            Some("Warning ErrImagePull: Error pod train-worker-0 container test waiting message: m"),
        ),
        (
            "it waits, and says nothing",
            with(&|pod| pod.status.container_statuses[0].state.waiting = Some(Waiting::default())),
            None,
        ),
        (
            "there is no container yet, and two conditions are of one age",
            with(&|pod| {
                pod.status.container_statuses.clear();
                pod.status.conditions = vec![condition.clone(), PodCondition { reason: None, ..condition.clone() }];
            }),
            Some("Warning Unschedulable: Error pod train-worker-0 condition message: m"),
        ),
    ] {
        assert_eq!(told, Vec::from_iter(expected), "{what}");
    }
}

/// What a pass tells of a job that started a minute ago, but for exit codes.
fn told(verdicts: Vec<Verdict>, change: &dyn Fn(&mut Value), pods: Vec<Pod>) -> Vec<String> {
    let planner = Scripted { verdicts, ..Scripted::default() };
    let framework = Framework {
        kind: &fixture::kind(),
        plugin: "test",
        digest: None,
        grants: &Grants::default(),
        announced: &[],
        planner: &planner,
        settings: &json!({}),
        addresses: &Addresses::Cluster { domain: None },
        gang: &GangScheduler::Off,
    };
    let mut job = fixture::job();
    job["status"] = json!({
        "startTime": "1970-01-01T00:00:00Z",
        "conditions": [{"type": "Created", "status": "True", "reason": "TestJobCreated", "message": ""}],
    });
    change(&mut job);
    let events = think(&framework, &job, &seen(60, pods)).unwrap().events;
    say(events.into_iter().filter(|event| event.reason != "ExitedWithCode").collect())
}

#[test]
fn of_jobs() {
    let running = || vec![pod("Master", 0, "Running", None)];
    let failed = |code| vec![pod("Worker", 0, "Failed", Some(code))];
    let policy = |policy: RestartPolicy| {
        move |job: &mut Value| job["spec"]["testReplicaSpecs"]["Worker"]["restartPolicy"] = policy.as_str().into()
    };
    for (what, events, expected) in [
        (
            "restart",
            told(vec![], &policy(RestartPolicy::OnFailure), failed(1)),
            "Warning TestJobRestarting: job train is restarting because Worker replica(s) failed.",
        ),
        (
            "an exit code that is final",
            told(vec![], &policy(RestartPolicy::ExitCode), failed(1)),
            r#"Warning TestJobFailed: job "train" is failing because "Worker" replica(s) failed."#,
        ),
        (
            "back-off limit",
            told(vec![], &|job| job["spec"]["runPolicy"]["backoffLimit"] = 0.into(), failed(1)),
            "Normal TestJobFailed: Job train has failed because it has reached the specified backoff limit",
        ),
        (
            "deadline",
            told(vec![], &|job| job["spec"]["runPolicy"]["activeDeadlineSeconds"] = 60.into(), vec![]),
            "Normal TestJobFailed: Job train has failed because it was active longer than specified deadline",
        ),
        (
            "suspended",
            told(vec![], &|job| job["spec"]["runPolicy"]["suspend"] = true.into(), vec![]),
            "Normal TestJobSuspended: TestJob train is suspended.",
        ),
        (
            "resumed",
            told(vec![], &|job| job["status"]["conditions"][0]["type"] = "Suspended".into(), vec![]),
            "Normal TestJobResumed: TestJob train is resumed.",
        ),
        (
            "succeeded",
            told(vec![Verdict::Succeeded("the plugin's words".into())], &|_| (), running()),
            "Normal TestJobSucceeded: the plugin's words",
        ),
        (
            "restarting, as the plugin says",
            told(vec![Verdict::Restarting("the plugin's words".into())], &|_| (), running()),
            "Warning TestJobRestarting: the plugin's words",
        ),
        (
            "failed, as the plugin says",
            told(
                vec![Verdict::Failed(crate::contract::Failure { reason: None, message: "words".into() })],
                &|_| (),
                running(),
            ),
            "Normal TestJobFailed: words",
        ),
        ("running", told(vec![Verdict::Running("it runs".into())], &|_| (), running()), ""),
    ] {
        assert_eq!(events.join("\n"), expected, "{what}");
    }
}
