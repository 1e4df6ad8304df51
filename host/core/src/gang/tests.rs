use serde_json::json;

use super::*;
use crate::contract::{Gate, GateState, Verdict};
use crate::event::Event;
use crate::fill::Addresses;
use crate::fixture::{self, Scripted, at, plan, pod, replica, seen};
use crate::grants::Grants;
use crate::observed::Observed;
use crate::status::JobStatus;
use crate::think::{Framework, Thought, think};

fn plugins() -> GangScheduler {
    GangScheduler::SchedulerPlugins("bin-packing".into())
}

fn pass(scheduler: &GangScheduler, planner: &Scripted, job: &Value, observed: &Observed) -> Thought {
    let framework = Framework {
        kind: &fixture::kind(),
        plugin: "test",
        digest: None,
        grants: &Grants::default(),
        announced: &[],
        planner,
        settings: &json!({}),
        addresses: &Addresses::Cluster { domain: None },
        gang: scheduler,
    };
    think(&framework, job, observed).unwrap()
}

/// Where the scheduler's pod groups are installed.
fn with_group(group: Option<Value>, mut observed: Observed) -> Observed {
    observed.gang.pod_group = group.map_or(PodGroup::Missing, |group| PodGroup::There(Arc::new(group)));
    observed
}

/// Of a new job.
fn pod_group(scheduler: &GangScheduler, job: &Value, priorities: &[(&str, i32)]) -> Value {
    let mut observed = with_group(None, seen(0, vec![]));
    observed.gang.priorities = priorities.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let thought = pass(scheduler, &Scripted::default(), job, &observed);
    let mut groups = thought
        .batches
        .into_iter()
        .flatten()
        .filter_map(|action| if let Action::CreatePodGroup(group) = action { Some(group) } else { None });
    groups.next().unwrap()
}

/// In phase `phase`, as the operator made it.
fn stored(phase: &str) -> Value {
    let mut group = pod_group(&GangScheduler::Volcano, &fixture::job(), &[]);
    json::merge(&mut group, &json!({"metadata": {"uid": "group-uid"}, "status": {"phase": phase}}));
    group
}

fn asking(resources: Value) -> Value {
    json!({"spec": {"containers": [{"name": "test", "image": "i", "resources": resources}]}})
}

fn job(master: Value, worker: Value, policy: Value) -> Value {
    fixture::object(json!({"runPolicy": {"schedulingPolicy": policy}, "testReplicaSpecs": {
        "Master": {"replicas": 1, "template": master},
        "Worker": {"replicas": 2, "template": worker},
    }}))
}

/// What a pass does, in words, by batch.
fn actions(thought: &Thought) -> Vec<Vec<String>> {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    let say = |action: &Action| match action {
        Action::CreatePod { pod, .. } => format!("+pod {}", name(pod)),
        Action::CreateService(service) => format!("+service {}", name(service)),
        Action::DeletePod(target) => format!("-pod {}", target.name),
        Action::CreatePodGroup(_) => "+group".to_owned(),
        Action::ReplacePodGroup(_) => "=group".to_owned(),
        Action::DeletePodGroup(_) => "-group".to_owned(),
        other @ (Action::DeleteService(_)
        | Action::CreateObject { .. }
        | Action::ReplaceObject(_)
        | Action::DeleteObject(_)
        | Action::CreateSshKey(_)
        | Action::DeleteJob) => format!("{other:?}"),
    };
    thought.batches.iter().map(|batch| batch.iter().map(say).collect()).collect()
}

fn with_status(job: &Value, status: &JobStatus) -> Value {
    let mut job = job.clone();
    job["status"] = serde_json::to_value(status).unwrap();
    job
}

/// The job as it is stored after this pass.
fn after(job: &Value, thought: &Thought) -> Value {
    thought.status.as_ref().map_or_else(|| job.clone(), |status| with_status(job, status))
}

#[test]
fn the_flag_names_the_scheduler() {
    for (name, expected) in [
        ("", GangScheduler::Off),
        ("none", GangScheduler::Off),
        ("None", GangScheduler::Off),
        ("volcano", GangScheduler::Volcano),
        ("Volcano", GangScheduler::Volcano),
        ("bin-packing", plugins()),
        ("Other", GangScheduler::SchedulerPlugins("Other".into())),
    ] {
        assert_eq!(GangScheduler::of(name), expected, "{name:?}");
    }
}

#[test]
fn a_pod_group_without_a_policy_has_defaults() {
    let template = asking(json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}}));
    let mut job = job(template.clone(), template, Value::Null);
    job["metadata"]["annotations"] = json!({"note": "n"});
    let owner = json!({
        "apiVersion": "example.com/v1", "kind": "TestJob", "name": "train", "uid": "job-uid",
        "controller": true, "blockOwnerDeletion": true,
    });
    let metadata =
        json!({"name": "train", "namespace": "ns", "annotations": {"note": "n"}, "ownerReferences": [owner]});
    let expected = |api_version: &str, spec: Value| json!({"apiVersion": api_version, "kind": "PodGroup", "metadata": metadata, "spec": spec});
    let resources = json!({"cpu": "3", "memory": "3Gi"});
    assert_eq!(
        pod_group(&GangScheduler::Volcano, &job, &[]),
        expected(
            "scheduling.volcano.sh/v1beta1",
            json!({"minMember": 3, "minResources": resources, "queue": "default"})
        )
    );
    assert_eq!(
        pod_group(&plugins(), &job, &[]),
        expected("scheduling.x-k8s.io/v1alpha1", json!({"minMember": 3, "minResources": resources}))
    );
}

#[test]
fn a_pod_group_says_what_its_policy_says() {
    let policy = json!({
        "minAvailable": 2, "queue": "research", "priorityClass": "high", "scheduleTimeoutSeconds": 60,
        "minResources": {"cpu": "3000m", "example.com/gpu": 2},
    });
    let job = job(fixture::template(), fixture::template(), policy);
    let resources = json!({"cpu": "3", "example.com/gpu": "2"});
    assert_eq!(
        pod_group(&GangScheduler::Volcano, &job, &[])["spec"],
        json!({"minMember": 2, "minResources": resources, "queue": "research", "priorityClassName": "high"})
    );
    assert_eq!(
        pod_group(&plugins(), &job, &[])["spec"],
        json!({"minMember": 2, "minResources": resources, "scheduleTimeoutSeconds": 60})
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn the_least_resources_are_those_of_the_least_members() {
    let cpu = |amount: &str| asking(json!({"requests": {"cpu": amount}}));
    let urgent = |mut template: Value, class: &str| {
        template["spec"]["priorityClassName"] = class.into();
        template
    };
    let mut with_init = cpu("1");
    with_init["spec"]["initContainers"] = cpu("9")["spec"]["containers"].clone();
    with_init["spec"]["overhead"] = json!({"cpu": "9"});
    let mut sidecar = cpu("1");
    let second = cpu("500m")["spec"]["containers"][0].clone();
    sidecar["spec"]["containers"].as_array_mut().unwrap().push(second);
    let limits = asking(json!({"limits": {"cpu": "2", "example.com/gpu": 1}}));
    let priorities = [("low", -1), ("high", 1000)];
    for (name, master, worker, policy, expected) in [
        ("requests of all", cpu("1"), cpu("2"), json!({}), json!({"cpu": "5"})),
        (
            "limits where there are no requests",
            cpu("1"),
            limits.clone(),
            json!({}),
            json!({"cpu": "5", "example.com/gpu": "2"}),
        ),
        (
            "empty requests are requests",
            cpu("1"),
            asking(json!({"requests": {}, "limits": {"cpu": "2"}})),
            json!({}),
            json!({"cpu": "1"}),
        ),
        (
            "requests that are null are none",
            cpu("1"),
            asking(json!({"requests": null, "limits": {"cpu": "2"}})),
            json!({}),
            json!({"cpu": "5"}),
        ),
        ("all containers count", cpu("1"), sidecar, json!({}), json!({"cpu": "4"})),
        ("init containers and overhead do not", cpu("1"), with_init, json!({}), json!({"cpu": "3"})),
        ("nothing asked for", fixture::template(), fixture::template(), json!({}), json!({})),
        ("of two, in the job's order", cpu("1"), cpu("2"), json!({"minAvailable": 2}), json!({"cpu": "3"})),
        (
            "of two, the urgent first",
            cpu("1"),
            urgent(cpu("2"), "high"),
            json!({"minAvailable": 2}),
            json!({"cpu": "4"}),
        ),
        (
            "what is less than usual comes last",
            urgent(cpu("1"), "low"),
            cpu("2"),
            json!({"minAvailable": 2}),
            json!({"cpu": "4"}),
        ),
        (
            "a class that is not there is 0",
            cpu("1"),
            urgent(cpu("2"), "absent"),
            json!({"minAvailable": 1}),
            json!({"cpu": "1"}),
        ),
        (
            "the group's class is not the pods'",
            cpu("1"),
            cpu("2"),
            json!({"minAvailable": 1, "priorityClass": "high"}),
            json!({"cpu": "1"}),
        ),
        ("more than there are", cpu("1"), cpu("2"), json!({"minAvailable": 9}), json!({"cpu": "5"})),
        ("a policy of none", cpu("1"), cpu("2"), json!({"minResources": {}}), json!({})),
    ] {
        let group = pod_group(&GangScheduler::Volcano, &job(master, worker, policy), &priorities);
        assert_eq!(group["spec"]["minResources"], expected, "{name}");
    }
    let nothing = pod_group(&plugins(), &fixture::job(), &[]);
    assert_eq!(nothing["spec"], json!({"minMember": 3}), "scheduler-plugins are not told of nothing");
}

#[test]
fn who_waits_for_others_is_no_member() {
    let gate = Gate { replica_type: "Worker".into(), state: GateState::Running };
    let gated = crate::contract::ReplicaPlan { after: vec![gate], ..replica("Master") };
    let planner = Scripted { plan: Some(plan(vec![replica("Worker"), gated])), ..Scripted::default() };
    for (name, workers, expected) in [("it waits for the workers", 2, 2), ("there are none to wait for", 0, 1)] {
        let mut job = fixture::job();
        job["spec"]["testReplicaSpecs"]["Worker"]["replicas"] = workers.into();
        let thought = pass(&GangScheduler::Volcano, &planner, &job, &with_group(None, seen(0, vec![])));
        let Some(Action::CreatePodGroup(group)) = thought.batches.concat().pop() else { panic!("{thought:?}") };
        assert_eq!(group["spec"]["minMember"], expected, "{name}");
    }
}

#[test]
fn pods_are_members_of_the_group() {
    let mut own = fixture::job();
    own["spec"]["testReplicaSpecs"]["Master"]["template"]["spec"]["schedulerName"] = "mine".into();
    let inqueue = || with_group(Some(stored("Inqueue")), seen(0, vec![]));
    let annotations = json!({"scheduling.k8s.io/group-name": "train", "volcano.sh/task-spec": "master"});
    for (name, scheduler, job, scheduler_name, keeps, annotations, label) in [
        ("volcano", GangScheduler::Volcano, fixture::job(), "volcano", false, annotations.clone(), Value::Null),
        ("volcano, and a user's", GangScheduler::Volcano, own.clone(), "mine", true, annotations, Value::Null),
        ("plugins", plugins(), fixture::job(), "bin-packing", false, Value::Null, json!("train")),
        ("plugins, and a user's", plugins(), own, "mine", true, Value::Null, json!("train")),
    ] {
        let thought = pass(&scheduler, &Scripted::default(), &job, &inqueue());
        let pods = thought.batches.iter().flatten().filter_map(|action| {
            if let Action::CreatePod { pod, keeps_scheduler, .. } = action {
                Some((pod, *keeps_scheduler))
            } else {
                None
            }
        });
        let pods: Vec<_> = pods.collect();
        assert!(pods.iter().all(|(_, each)| *each == keeps), "{name}: all pods of such a job come with the warning");
        let pod = pods[0].0;
        assert_eq!(pod["spec"]["schedulerName"], scheduler_name, "{name}");
        assert_eq!(pod["metadata"]["annotations"], annotations, "{name}");
        assert_eq!(pod["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"], label, "{name}");
    }
}

#[test]
fn only_our_fields_of_a_pod_group_are_changed() {
    let wanted = stored("Inqueue");
    let change = |patch: Value| {
        let mut other = wanted.clone();
        json::merge(&mut other, &patch);
        other
    };
    let others = json!({"minTaskMember": {"worker": 2}, "queue": "research", "networkTopology": {"mode": "hard"}});
    let mended = |mut group: Value| {
        group["spec"]["queue"] = "default".into();
        group
    };
    for (name, stored, expected) in [
        ("as it was made", wanted.clone(), None),
        ("what others add stays", change(json!({"spec": others, "metadata": {"labels": {"a": "b"}}})), None),
        ("a count", change(json!({"spec": {"minMember": 9}})), Some(wanted.clone())),
        ("resources nobody asks for", change(json!({"spec": {"minResources": {"cpu": "9"}}})), Some(wanted.clone())),
        ("a class nobody asks for", change(json!({"spec": {"priorityClassName": "a"}})), Some(wanted.clone())),
        ("no queue", change(json!({"spec": {"queue": null}})), Some(wanted.clone())),
        ("an empty queue", change(json!({"spec": {"queue": ""}})), Some(mended(wanted.clone()))),
        (
            "a count, beside what others added",
            change(json!({"spec": {"minMember": 9, "minTaskMember": {"worker": 2}}})),
            Some(change(json!({"spec": {"minTaskMember": {"worker": 2}}}))),
        ),
    ] {
        let thought = pass(
            &GangScheduler::Volcano,
            &Scripted::default(),
            &fixture::job(),
            &with_group(Some(stored), seen(0, vec![])),
        );
        let replaced = thought
            .batches
            .into_iter()
            .flatten()
            .find_map(|action| if let Action::ReplacePodGroup(group) = action { Some(group) } else { None });
        assert_eq!(replaced, expected, "{name}");
    }
}

#[test]
fn pods_wait_until_their_group_is_in_the_queue() {
    let volcano = GangScheduler::Volcano;
    let planner = Scripted::default();
    let new = pass(&volcano, &planner, &fixture::job(), &with_group(None, seen(7, vec![])));
    assert_eq!(actions(&new), [["+group"]]);
    let status = new.status.as_ref().unwrap();
    assert_eq!(status.conditions.len(), 1, "Created, and nothing else: {status:?}");
    assert_eq!((status.start_time, status.last_reconcile_time), (None, Some(at(7))));
    assert!(status.replica_statuses.is_empty());

    let waiting = after(&fixture::job(), &new);
    for phase in ["", "Pending"] {
        let thought = pass(&volcano, &planner, &waiting, &with_group(Some(stored(phase)), seen(8, vec![])));
        assert_eq!(thought, Thought::default(), "{phase:?}: it says and does nothing while it waits");
    }
    for phase in ["Inqueue", "Running", "Unknown", "Completed"] {
        let thought = pass(&volcano, &planner, &waiting, &with_group(Some(stored(phase)), seen(9, vec![])));
        assert_eq!(actions(&thought)[0], ["+pod train-master-0"], "{phase}");
        let status = thought.status.unwrap();
        assert_eq!((status.start_time, status.last_reconcile_time), (Some(at(9)), Some(at(7))), "{phase}");
    }
    let at_once = pass(&plugins(), &planner, &fixture::job(), &with_group(None, seen(7, vec![])));
    assert_eq!(actions(&at_once)[..2], [["+group"], ["+pod train-master-0"]]);
    assert_eq!(at_once.status.unwrap().last_reconcile_time, None);
}

#[test]
fn pods_wait_where_there_can_be_no_group() {
    for scheduler in [GangScheduler::Volcano, plugins()] {
        let thought = pass(&scheduler, &Scripted::default(), &fixture::job(), &seen(7, vec![]));
        assert_eq!(actions(&thought), [[""; 0]; 0]);
        let api_version = scheduler.api_version().unwrap();
        let message =
            format!("Error creating: the kind PodGroup of {api_version} is not installed; pods wait until it is");
        assert_eq!(thought.events, [Event::warning("FailedCreatePodGroup", message, "")]);
        assert_eq!(thought.status.as_ref().unwrap().last_reconcile_time, Some(at(7)));
        let again = pass(&scheduler, &Scripted::default(), &after(&fixture::job(), &thought), &seen(9, vec![]));
        assert_eq!((again.status, again.check_after), (None, None), "it does not wake itself");
    }
}

#[test]
fn a_deadline_begins_with_the_pods() {
    let mut job = fixture::job();
    job["spec"]["runPolicy"]["activeDeadlineSeconds"] = 5.into();
    let waiting = with_group(Some(stored("Pending")), seen(9, vec![]));
    let thought = pass(&GangScheduler::Volcano, &Scripted::default(), &job, &waiting);
    assert_eq!(thought.check_after, None);
    job["status"] = json!({"startTime": at(8)});
    let thought = pass(&GangScheduler::Volcano, &Scripted::default(), &job, &waiting);
    assert_eq!(thought.check_after.map(|left| left.as_secs()), Some(4), "it was resumed");
}

/// All pods run, and the job is known to.
fn running(pods: Vec<crate::observed::Pod>) -> (Value, Scripted, impl Fn(PodGroup) -> Observed) {
    let planner = Scripted { verdicts: vec![Verdict::Running("runs".into())], ..Scripted::default() };
    let observed = move |group| {
        let mut observed = seen(9, pods.clone());
        let names = ["train-master-0", "train-worker-0", "train-worker-1"];
        let service = |name: &str| crate::observed::Meta { name: name.into(), ..Default::default() };
        observed.services = names.map(service).map(Arc::new).into();
        observed.gang.pod_group = group;
        observed
    };
    let inqueue = PodGroup::There(Arc::new(stored("Running")));
    let first = pass(&GangScheduler::Volcano, &planner, &fixture::job(), &observed(inqueue));
    (after(&fixture::job(), &first), planner, observed)
}

fn all() -> Vec<crate::observed::Pod> {
    [("Master", 0), ("Worker", 0), ("Worker", 1)].map(|(name, index)| pod(name, index, "Running", None)).into()
}

#[test]
fn what_runs_goes_on_whatever_becomes_of_its_group() {
    let (job, planner, observed) = running(all());
    let volcano = GangScheduler::Volcano;
    for (name, group, expected) in [
        ("it runs", PodGroup::There(Arc::new(stored("Running"))), vec![]),
        ("it is pending again", PodGroup::There(Arc::new(stored("Pending"))), vec![]),
        ("somebody deleted it", PodGroup::Missing, vec![vec!["+group".to_owned()]]),
        ("its kind is gone", PodGroup::NotServed, vec![]),
    ] {
        let thought = pass(&volcano, &planner, &job, &observed(group));
        assert_eq!((actions(&thought), thought.status), (expected, None), "{name}");
    }
}

#[test]
fn a_failed_pod_goes_at_once_and_its_successor_waits() {
    let mut pods = all();
    pods[2] = pod("Worker", 1, "Failed", Some(1));
    let (job, planner, observed) = running(pods);
    let pending = || PodGroup::There(Arc::new(stored("Pending")));
    let thought = pass(&GangScheduler::Volcano, &planner, &job, &observed(pending()));
    assert_eq!(actions(&thought), [["-pod train-worker-1"]]);

    let (_, _, observed) = running(all()[..2].to_vec());
    let thought = pass(&GangScheduler::Volcano, &planner, &job, &observed(pending()));
    assert_eq!(actions(&thought), [[""; 0]; 0]);
    let status = thought.status.as_ref().unwrap();
    assert_eq!((status.replica_statuses["Worker"].failed, status.last_reconcile_time), (0, Some(at(9))));
    let again = pass(&GangScheduler::Volcano, &planner, &after(&job, &thought), &observed(pending()));
    assert_eq!(again, Thought::default());
    let running = PodGroup::There(Arc::new(stored("Running")));
    let thought = pass(&GangScheduler::Volcano, &planner, &job, &observed(running));
    assert_eq!(actions(&thought), [["+pod train-worker-1"]]);
}

#[test]
fn a_job_without_pods_has_no_group() {
    let (job, planner, observed) = running(all());
    let suspended = |job: &Value, suspend: bool| {
        let mut job = job.clone();
        job["spec"]["runPolicy"]["suspend"] = suspend.into();
        job
    };
    let group = || PodGroup::There(Arc::new(stored("Running")));
    let mut going = stored("Running");
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let volcano = GangScheduler::Volcano;
    let held = pass(&volcano, &planner, &suspended(&job, true), &observed(group()));
    assert_eq!(actions(&held).last().unwrap(), &["-group"]);
    let job = suspended(&after(&job, &held), false);

    let resumed = with_group(Some(going), seen(20, vec![]));
    let thought = pass(&volcano, &planner, &job, &resumed);
    assert_eq!(actions(&thought), [[""; 0]; 0], "the old group has to go first");
    assert_eq!(thought.status.as_ref().unwrap().last_reconcile_time, Some(at(20)));
    let thought = pass(&volcano, &planner, &after(&job, &thought), &with_group(None, seen(21, vec![])));
    assert_eq!(actions(&thought), [["+group"]]);

    let done = Scripted { verdicts: vec![Verdict::Succeeded("done".into())], ..Scripted::default() };
    let (job, _, observed) = running(all());
    let thought = pass(&volcano, &done, &job, &observed(PodGroup::There(Arc::new(stored("Pending")))));
    assert_eq!(actions(&thought), [["-group"]], "an end is an end");
    let ended = after(&job, &thought);
    assert_eq!(pass(&volcano, &done, &ended, &observed(PodGroup::Missing)), Thought::default());
}

#[test]
fn a_job_that_comes_to_rest_says_so_of_its_group_be_there_one_or_not() {
    let told = |thought: &Thought| -> Vec<String> {
        thought.events.iter().map(|event| format!("{}: {}", event.reason, event.message)).collect()
    };
    let group = [
        "JobTerminated: Job has been terminated. Deleting PodGroup",
        "SuccessfulDeletePodGroup: Deleted PodGroup: train",
    ];
    let mut job = fixture::job();
    job["spec"]["runPolicy"]["suspend"] = true.into();
    let (volcano, planner) = (GangScheduler::Volcano, Scripted::default());
    let suspended = pass(&volcano, &planner, &job, &with_group(None, seen(1, vec![])));
    assert_eq!(told(&suspended)[1..], group);
    assert_eq!(
        pass(&volcano, &planner, &after(&job, &suspended), &with_group(None, seen(2, vec![]))),
        Thought::default()
    );
    let not_served = pass(&volcano, &planner, &job, &seen(1, vec![]));
    assert_eq!(told(&not_served).len(), 1);

    let done = Scripted { verdicts: vec![Verdict::Succeeded("done".into())], ..Scripted::default() };
    let (job, _, observed) = running(all());
    let ended = pass(&volcano, &done, &job, &observed(PodGroup::Missing));
    assert_eq!((told(&ended)[1..].to_vec(), actions(&ended)), (group.map(str::to_owned).to_vec(), vec![]));
}

#[test]
fn no_members_are_left_out() {
    let (mut job, planner, observed) = running(all());
    job["spec"]["runPolicy"]["schedulingPolicy"] = json!({"minAvailable": 0});
    let thought = pass(&plugins(), &planner, &job, &observed(PodGroup::Missing));
    let Some(Action::CreatePodGroup(group)) = thought.batches.first().and_then(|batch| batch.first()) else {
        panic!("{thought:?}")
    };
    assert_eq!(group["spec"].get("minMember"), None, "{group}");
}

#[test]
fn the_end_of_a_pod_group_is_told() {
    let action = Action::DeletePodGroup(stored("Running"));
    let say = |events: Vec<Event>| -> Vec<String> {
        events.iter().map(|event| format!("{}: {}", event.reason, event.message)).collect()
    };
    let terminated = "JobTerminated: Job has been terminated. Deleting PodGroup";
    assert_eq!(
        say(action.events(&fixture::kind(), "train", Ok("group-uid"))),
        [terminated, "SuccessfulDeletePodGroup: Deleted PodGroup: train"]
    );
    assert_eq!(
        say(action.events(&fixture::kind(), "train", Err("no"))),
        [terminated, "FailedDeletePodGroup: Error deleting: no"]
    );
    let action = Action::CreatePodGroup(stored(""));
    assert_eq!(say(action.events(&fixture::kind(), "train", Ok("uid"))), [""; 0]);
    assert_eq!(say(action.events(&fixture::kind(), "train", Err("no"))), ["FailedCreatePodGroup: Error creating: no"]);
}
