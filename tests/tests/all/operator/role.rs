//! What `deploy/rbac.yaml` grants is what an operator uses: all of it, and no more. What plugins need besides is gathered.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use trainyard_tests::pod_groups::{self, SCHEDULER_PLUGINS};

use super::place::{JAX, Kind, MPI, PADDLE, PYTORCH, Place, TENSORFLOW, XGBOOST, resource, text};

/// Granted, but not asked for by the test below.
const REST: [(&str, &str, &str); 8] = [
    ("create", "secrets", "no framework that is bundled starts its replicas by ssh"),
    ("get", "secrets", "likewise"),
    ("create", "pods/exec", "no request: Kubernetes checks it when a role is made that grants it"),
    ("get", "horizontalpodautoscalers", "only if one that is there was not seen before the operator would make it"),
    ("get", "configmaps", "likewise"),
    ("get", "serviceaccounts", "likewise"),
    ("get", "roles", "likewise"),
    ("get", "rolebindings", "likewise"),
];

/// Of each kind but `PyTorchJob` one job, of which the test asks that it gets its pod, and no more.
const OTHERS: [(&Kind, &str, &str); 4] = [
    (&JAX, "transformer", "Worker"),
    (&PADDLE, "detector", "Worker"),
    (&TENSORFLOW, "translator", "Chief"),
    (&XGBOOST, "trees", "Master"),
];

/// Granted for each kind, and not asked for: that objects may have owners is checked by Kubernetes when they are made, and
/// it is a `PyTorchJob` that is deleted; the code is the same.
fn rest_of_kinds() -> impl Iterator<Item = (String, String)> {
    let plural = |kind: &Kind| format!("{}s", kind.name.to_lowercase());
    let others = || OTHERS.iter().map(|(kind, ..)| *kind).chain([&MPI]);
    let owners = others().chain([&PYTORCH]);
    let owners = owners.map(move |kind| ("update".to_owned(), format!("{}/finalizers", plural(kind))));
    owners.chain(others().map(move |kind| ("delete".to_owned(), plural(kind))))
}

#[test]
fn the_role_grants_what_is_used_and_no_more() -> Result<()> {
    let Some(place) = Place::new("role")? else { return Ok(()) };
    pod_groups::install(place.cluster, SCHEDULER_PLUGINS)?;
    foreign(&place)?;
    see_priority_classes(&place)?;
    let operator = place.operator(&[], &["--leader-elect", "--gang-scheduler-name=test"])?;
    let mut job = PYTORCH.job("mnist", &[("Worker", 2)], json!({}));
    let resource_metric = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}});
    let metrics = json!([{"type": "Resource", "resource": resource_metric}]);
    let template = &mut job["spec"]["pytorchReplicaSpecs"]["Worker"]["template"];
    template["spec"]["schedulerName"] = "default-scheduler".into(); // there is no other
    job["spec"]["elasticPolicy"] = json!({"minReplicas": 1, "maxReplicas": 2, "metrics": metrics});
    place.apply(&job)?;
    for (kind, name, replica_type) in OTHERS {
        place.apply(&kind.job(name, &[(replica_type, 1)], json!({})))?;
    }

    ring(&place)?;

    // What is in the way is told: a pod group, an autoscaler, then a pod, then a service.
    let group = format!("{}/mnist", pod_groups::name(SCHEDULER_PLUGINS));
    for (object, event, what) in [
        (group.as_str(), "ErrResourceExists", "\"PodGroup\""),
        ("horizontalpodautoscaler/mnist", "ErrResourceExists", "\"HorizontalPodAutoscaler\""),
        ("pod/mnist-worker-0", "FailedCreatePod", ""),
        ("service/mnist-worker-0", "FailedCreateService", ""),
    ] {
        place.cluster.wait_until(60, event, || {
            let told = place.events("pytorchjob/mnist")?;
            let is_told = told.iter().any(|[_, reason, message]| reason == event && message.contains(what));
            anyhow::ensure!(is_told, "{told:#?}");
            Ok(())
        })?;
        make_way(&place, object)?;
    }
    place.wait("pytorchjob/mnist", "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
    change(&place, "pytorchjob/mnist", &json!({"elasticPolicy": {"maxReplicas": 3}}))?;
    place.wait("horizontalpodautoscaler/mnist", "jsonpath={.spec.maxReplicas}=3")?;
    change(&place, "pytorchjob/mnist", &json!({"runPolicy": {"schedulingPolicy": {"minAvailable": 1}}}))?;
    place.wait(&group, "jsonpath={.spec.minMember}=1")?;
    change(&place, "pytorchjob/mnist", &json!({"runPolicy": {"suspend": true}}))?;
    let replica = |what| OTHERS.map(|(_, name, of)| format!("{what}/{name}-{}-0", of.to_lowercase()));
    let made = [replica("pod"), replica("service")].concat();
    place.wait_until_made(&made.iter().map(String::as_str).collect::<Vec<_>>())?;
    change(&place, "pytorchjob/mnist", &json!({"runPolicy": {"suspend": false, "ttlSecondsAfterFinished": 0}}))?;
    place.wait("pytorchjob/mnist", "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
    place.end("mnist-worker-0", 0)?;
    place.wait("pytorchjob/mnist", "delete")?;
    assert!(operator.terminate()?.success());

    let requests = place.requests()?;
    let refused: Vec<_> = requests.iter().filter(|request| request.code == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let used = requests.into_iter().map(|request| (request.verb, resource(&request.uri)));
    let rest = REST.map(|(verb, what, _)| (verb.to_owned(), what.to_owned()));
    assert_eq!(granted(&place)?, used.chain(rest).chain(rest_of_kinds()).collect());
    Ok(())
}

/// What an admin applies together with a plugin.
const ROLE_OF_A_PLUGIN: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: gathered, labels: {trainyard.dev/aggregate-to-operator: "true"}}
rules:
- {apiGroups: [gathered.example], resources: [ringjobs], verbs: [list, watch, delete]}
- {apiGroups: [gathered.example], resources: [ringjobs/status, ringjobs/finalizers], verbs: [update]}
"#;

#[test]
fn a_plugin_brings_its_own_role_and_the_shipped_ones_stay() -> Result<()> {
    let Some(place) = Place::new("gathered")? else { return Ok(()) };
    let (ours, kinds) = ("trainyard.dev", "gathered.example");
    let definitions = "customresourcedefinitions";
    for (verb, group, resource, subresource, expected) in [
        ("list", ours, "frameworkplugins", "", true),
        ("watch", ours, "frameworkplugins", "", true),
        ("patch", ours, "frameworkplugins", "", true),
        ("update", ours, "frameworkplugins", "status", true),
        ("create", ours, "frameworkplugins", "", false),
        ("delete", ours, "frameworkplugins", "", false),
        ("create", "apiextensions.k8s.io", definitions, "", true),
        ("delete", "apiextensions.k8s.io", definitions, "", false),
        ("get", "", "secrets", "", true),
        ("list", "", "secrets", "", false),
        ("list", "", "configmaps", "", true),
        ("create", "authorization.k8s.io", "selfsubjectaccessreviews", "", true),
        ("list", kinds, "ringjobs", "", false),
    ] {
        let what = format!("{verb} {resource} {subresource}");
        assert_eq!(may_operator(&place, verb, group, resource, subresource)?, expected, "{what}");
    }
    let shipped = ["training-operator", "training-operator-plugins"].map(|role| format!("clusterrole/{role}"));
    let rules = || shipped.each_ref().map(|role| place.get(role).map(|role| role["rules"].clone()).ok());
    let before = rules();
    place.cluster.apply(ROLE_OF_A_PLUGIN)?;
    for (verb, subresource) in [("list", ""), ("delete", ""), ("update", "status"), ("update", "finalizers")] {
        place.cluster.wait_until(60, "the role to be gathered", || {
            ensure!(may_operator(&place, verb, kinds, "ringjobs", subresource)?, "{verb} {subresource}");
            Ok(())
        })?;
    }
    assert!(!may_operator(&place, "create", kinds, "ringjobs", "")?);
    place.cluster.kubectl(&["delete", "clusterrole/gathered"])?;
    place.cluster.wait_until(60, "the role to be gone", || {
        ensure!(!may_operator(&place, "list", kinds, "ringjobs", "")?, "it may still");
        Ok(())
    })?;
    assert_eq!((rules(), before.iter().all(Option::is_some)), (before, true));
    Ok(())
}

/// The profiles of a Kubeflow platform gather these roles, by v1's labels.
#[test]
fn users_may_with_jobs_what_they_might_with_those_of_v1() -> Result<()> {
    let Some(place) = Place::new("users")? else { return Ok(()) };
    for (role, verb, expected) in [
        ("admin", "create", true),
        ("edit", "create", true),
        ("edit", "delete", true),
        ("view", "create", false),
        ("view", "watch", true),
    ] {
        let name = format!("kubeflow-training-{role}");
        let user = format!("user-{role}");
        let binding = ["create", "rolebinding", &user, "--clusterrole", &name, "--user", &user];
        if place.get(&format!("rolebinding/{user}")).is_err() {
            place.kubectl(&binding)?;
        }
        place.cluster.wait_until(60, "the role to be gathered", || {
            for kind in ["jaxjobs", "mpijobs", "paddlejobs", "pytorchjobs", "tfjobs", "xgboostjobs"] {
                let what = json!({
                    "namespace": place.namespace, "verb": verb, "group": "kubeflow.org", "resource": kind,
                });
                ensure!(may(&place, &user, &what)? == expected, "{role}: {verb} {kind}");
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Whether the operator that `deploy/` installs may do that, in its namespace.
fn may_operator(place: &Place, verb: &str, group: &str, resource: &str, subresource: &str) -> Result<bool> {
    let what = json!({
        "namespace": "kubeflow", "verb": verb, "group": group, "resource": resource, "subresource": subresource,
    });
    may(place, "system:serviceaccount:kubeflow:training-operator", &what)
}

fn may(place: &Place, user: &str, what: &Value) -> Result<bool> {
    let spec = json!({"user": user, "groups": ["system:authenticated"], "resourceAttributes": what});
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec});
    let answer = place.cluster.kubectl_with(&["create", "--output=json", "-f", "-"], &review.to_string())?;
    Ok(serde_json::from_str::<Value>(&answer)?["status"]["allowed"] == true)
}

/// Objects of others with the names that the job's will want.
fn foreign(place: &Place) -> Result<()> {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"});
    for (api_version, kind, name, spec) in [
        ("autoscaling/v2", "HorizontalPodAutoscaler", "mnist", json!({"scaleTargetRef": target, "maxReplicas": 1})),
        ("v1", "Pod", "mnist-worker-0", json!({"containers": [{"name": "other", "image": "fake"}]})),
        ("v1", "Service", "mnist-worker-0", json!({"ports": [{"port": 80}]})),
        (SCHEDULER_PLUGINS, "PodGroup", "mnist", json!({"minMember": 1})),
    ] {
        let metadata = json!({"name": name});
        place.apply(&json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}))?;
    }
    Ok(())
}

/// Takes away what is in the way, until the job has its own; each look at the job is one that it would come to later.
fn make_way(place: &Place, object: &str) -> Result<()> {
    // kubectl may take the job's own for the one that it shall see go.
    place.kubectl(&["delete", object, "--wait=false"])?;
    let mut looks = 0;
    place.cluster.wait_until(60, object, || {
        looks += 1;
        let look = format!("test/looks={looks}");
        place.kubectl(&["annotate", "pytorchjob/mnist", &look, "--overwrite"])?;
        let found = place.get(object)?;
        anyhow::ensure!(found["metadata"]["ownerReferences"][0]["name"] == "mnist", "{found}");
        Ok(())
    })
}

/// They are in no namespace: who is granted a namespace does not see them.
fn see_priority_classes(place: &Place) -> Result<()> {
    let (name, user) = (format!("{}-priorities", place.namespace), format!("--user={}", place.user));
    let rule = ["--verb=list,watch", "--resource=priorityclasses.scheduling.k8s.io"];
    place.cluster.kubectl(&[&["create", "clusterrole", &name], &rule[..]].concat())?;
    let grant = ["create", "clusterrolebinding", &name, &format!("--clusterrole={name}"), &user];
    place.cluster.kubectl(&grant).map(drop)
}

/// A job whose workers run, whose launcher gets another account, and that has objects which nobody asked for.
fn ring(place: &Place) -> Result<()> {
    let mut job = MPI.job("ring", &[("Launcher", 1), ("Worker", 2)], json!({}));
    for replica_type in ["Launcher", "Worker"] {
        let template = &mut job["spec"]["mpiReplicaSpecs"][replica_type]["template"];
        template["spec"]["schedulerName"] = "default-scheduler".into();
    }
    place.apply(&job)?;
    place.wait("mpijob/ring", "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
    let uid = text(&place.get("mpijob/ring")?["metadata"]["uid"]);
    let owner =
        json!({"apiVersion": "kubeflow.org/v1", "kind": "MPIJob", "name": "ring", "uid": uid, "controller": true});
    let rbac = "rbac.authorization.k8s.io";
    let rest = [
        json!({"apiVersion": "v1", "kind": "ConfigMap"}),
        json!({"apiVersion": format!("{rbac}/v1"), "kind": "Role"}),
        json!({
            "apiVersion": format!("{rbac}/v1"),
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "left-over"},
        }),
    ];
    for mut object in rest {
        object["metadata"] = json!({"name": "left-over", "ownerReferences": [owner]});
        place.apply(&object)?;
    }
    let launcher = json!({"template": {"spec": {"serviceAccountName": "other"}}});
    change(place, "mpijob/ring", &json!({"mpiReplicaSpecs": {"Launcher": launcher, "Worker": {"replicas": 1}}}))?;
    place.wait("serviceaccount/other", "create")?;
    for gone in ["serviceaccount/ring-launcher", "configmap/left-over", "role/left-over", "rolebinding/left-over"] {
        place.wait(gone, "delete")?; // after the role has followed the workers
    }
    place.kubectl(&["delete", "mpijob/ring"]).map(drop)
}

fn change(place: &Place, job: &str, spec: &Value) -> Result<()> {
    let patch = json!({"spec": spec}).to_string();
    place.kubectl(&["patch", job, "--type=merge", "--patch", &patch]).map(drop)
}

/// Verbs and resources.
fn granted(place: &Place) -> Result<BTreeSet<(String, String)>> {
    let role = place.get("clusterrole/training-operator")?;
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        let list = |field: &str| rule[field].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
        for what in list("resources") {
            granted.extend(list("verbs").into_iter().map(|verb| (verb, what.clone())));
        }
    }
    Ok(granted)
}
