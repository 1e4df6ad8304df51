//! What cannot be run is refused, naming what is wrong, before anything starts.

use anyhow::Result;
use serde_json::{Value, json};
use trainyard::bundled::BUNDLED;
use trainyard_tests::ROOT;

use super::program::{Ended, Running, job, master, replicas, run, trainyard};

const CONTAINER: &str = "/spec/pytorchReplicaSpecs/Master/template/spec/containers/0";

fn broken(change: impl FnOnce(&mut Value)) -> Result<Ended> {
    let mut job =
        job(json!({"Master": replicas(1, "Never", "echo started"), "Worker": replicas(3, "Never", "echo started")}));
    change(&mut job);
    run(&job)
}

fn refused(ended: &Ended, errors: &[&str]) {
    let found: Vec<_> = ended.err.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    assert_eq!((ended.code, ended.out.as_str(), found), (Some(2), "", errors.to_vec()), "{ended:?}");
}

#[test]
fn a_replica_that_could_not_start_stops_the_job_before_it_begins() -> Result<()> {
    let container =
        |field: &'static str, value: Value| move |job: &mut Value| job.pointer_mut(CONTAINER).unwrap()[field] = value;
    let secret = json!([{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}]);
    for (ended, error) in [
        (
            broken(container("command", json!([]))),
            r#"master: container "pytorch" has no command: the one of its image is not known here, so spell it out"#,
        ),
        (
            broken(container("command", json!(["no-such-program"]))),
            r#"master: container "pytorch": program "no-such-program" is not on PATH"#,
        ),
        (
            broken(container("command", json!(["/etc/passwd"]))),
            r#"master: container "pytorch": /etc/passwd is not executable"#,
        ),
        (
            broken(container("workingDir", json!("/no/such/folder"))),
            r#"master: container "pytorch": workingDir /no/such/folder is no directory here"#,
        ),
        (
            broken(container("env", secret)),
            r#"master: container "pytorch": variable "TOKEN" is key "token" of Secret "hub", which is not here"#,
        ),
    ] {
        refused(&ended?, &[error]);
    }
    let program = json!(["no-such-program"]);
    let ended = broken(|job| {
        job["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]["command"] = program;
    })?;
    refused(&ended, &[r#"worker: container "pytorch": program "no-such-program" is not on PATH"#]);
    Ok(())
}

#[test]
fn an_invalid_job_is_refused_a_line_for_each_problem() -> Result<()> {
    let ended = broken(|job| {
        job["spec"]["pytorchReplicaSpecs"]["Master"]["replicas"] = json!(2);
        job["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]["image"] = json!("");
        job["spec"]["runPolicy"]["backOffLimit"] = json!(3);
    })?;
    let image = "spec.pytorchReplicaSpecs[Worker].template.spec.containers[0].image: Required value: must be required";
    refused(&ended, &["spec.pytorchReplicaSpecs[Master].replicas: Forbidden: must be 1", image]);
    assert!(ended.err.contains("warning: unknown field \"spec.runPolicy.backOffLimit\"\n"), "{ended:?}");
    Ok(())
}

#[test]
fn a_file_is_read_with_care() -> Result<()> {
    let kinds = "there are: kubeflow.org/v1 PyTorchJob, kubeflow.org/v1 XGBoostJob";
    let run = |text: &str| Running::start(&["run", "-f", "-"], text)?.end();
    for (text, error) in [
        ("", "standard input: the file is empty".to_owned()),
        ("a: [1\n", "standard input: document 1: unclosed bracket '[' at line 1, column 4".to_owned()),
        ("---\n- a\n", "standard input: document 1 (line 2): it is no object of Kubernetes".to_owned()),
        ("kind: FooJob\n", "standard input: document 1 (line 1): apiVersion is missing".to_owned()),
        (
            "apiVersion: example.com/v1\nkind: FooJob\n",
            format!("standard input: document 1 (line 1): no loaded plugin runs example.com/v1 FooJob; {kinds}"),
        ),
    ] {
        let ended = run(text)?;
        let errors: Vec<_> = ended.err.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
        assert_eq!((ended.code, errors.len()), (Some(2), 1), "{text:?}: {ended:?}");
        assert!(errors[0].starts_with(error.split(", kubeflow").next().unwrap()), "{text:?}: {ended:?}");
    }
    refused(
        &trainyard(&["run", "-f", "/no/such/file"])?,
        &["cannot read /no/such/file: No such file or directory (os error 2)"],
    );
    Ok(())
}

#[test]
fn a_job_whose_replicas_need_a_cluster_to_reach_each_other_is_refused() -> Result<()> {
    let job = format!("{ROOT}/examples/mpi/simple.yaml");
    let reason = "MPIJob default/simple cannot run here: by the plan of plugin mpi its replicas reach each other by other \
                  means than the network, as kubectl exec, which only a cluster has";
    refused(&trainyard(&["run", "-f", &job])?, &[reason]);
    assert_eq!(trainyard(&["plan", "-f", &job])?.code, Some(0));
    Ok(())
}

#[test]
fn one_job_of_several_is_chosen_by_name() -> Result<()> {
    let mut other = master("Never", "echo other");
    other["metadata"]["name"] = json!("other");
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}});
    let text = format!("{}\n---\n{other}\n---\n{config}\n", master("Never", "echo train"));
    let run = |arguments: &[&str]| Running::start(&[&["run", "-f", "-"], arguments].concat(), &text)?.end();
    refused(&run(&[])?, &["-: several jobs, choose one with --job NAME; there are: train, other"]);
    refused(&run(&["--job", "third"])?, &["-: no job is called \"third\"; there are: train, other"]);
    let ended = run(&["--job", "other"])?;
    assert_eq!((ended.code, ended.of("master-0")), (Some(0), vec!["other"]), "{ended:?}");
    let note = "note: standard input: document 3 (line 5): ConfigMap \"config\" is left out: it is no job\n";
    assert!(ended.err.contains(note), "{ended:?}");
    Ok(())
}

#[test]
fn plugins_and_settings_are_checked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("nonsense.wasm");
    std::fs::write(&file, "nonsense")?;
    let name = file.to_str().unwrap();
    refused(
        &trainyard(&["crds", "--plugin", name])?,
        &[&format!("cannot load plugin {name}: not a component: it is no WebAssembly")],
    );
    refused(
        &trainyard(&["crds", "--plugin", "/no/such"])?,
        &["cannot read plugin /no/such: No such file or directory (os error 2)"],
    );
    let ended = trainyard(&["crds", "--set", "pytorch.colour=red"])?;
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.starts_with("error: --set pytorch.colour: no loaded plugin has this setting; there are: "),
        "{ended:?}"
    );
    let ended = trainyard(&["crds", "FooJob"])?;
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.starts_with("error: no loaded plugin runs FooJob; there are: kubeflow.org/v1 PyTorchJob"),
        "{ended:?}"
    );
    Ok(())
}

#[test]
fn a_file_takes_over_the_kinds_of_a_bundled_plugin_and_no_other_file_may() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let component = BUNDLED.iter().find(|bundled| bundled.name == "pytorch").unwrap().component;
    let [one, other] = ["one.wasm", "other.wasm"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    std::fs::write(&one, component)?;
    std::fs::write(&other, component)?;
    let ended = trainyard(&["crds", "--plugin", &one])?;
    assert_eq!((ended.code, ended.out.matches("name: pytorchjobs.kubeflow.org").count()), (Some(0), 1), "{ended:?}");
    let twice = format!("kubeflow.org/v1 PyTorchJob is brought by two plugins: {one} and {other}");
    refused(&trainyard(&["crds", "--plugin", &one, "--plugin", &other])?, &[&twice]);
    Ok(())
}
