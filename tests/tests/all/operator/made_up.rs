//! A framework that nobody has heard of: one file beside the programs, which do not know it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use trainyard_tests::{ROOT, binary};

use super::place::{Place, install_kinds, text, trainyard};

const JOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/guests/ring/job.yaml");

/// What an admin does for a framework that the role which is shipped has not heard of, either.
pub(super) const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ring}
rules:
- {apiGroups: [example.com], resources: [ringjobs], verbs: [list, watch, delete]}
- {apiGroups: [example.com], resources: [ringjobs/status, ringjobs/finalizers], verbs: [update]}
";

/// The component, built from the package `tests/guests/ring`, once.
pub(crate) fn ring() -> Result<&'static str> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../plugins"); // where the SDK is compiled already
        let component = trainyard_plugin_build::component(&Path::new(ROOT).join("tests/guests/ring"), &target)?;
        let file = target.join("ring.wasm");
        fs::write(&file, component)?;
        Ok(file)
    };
    let built = BUILT.get_or_init(|| build().map_err(|error: anyhow::Error| format!("{error:#}")));
    built.as_ref().map_err(|error| anyhow!(error.clone()))?.to_str().context("the path is not UTF-8")
}

#[test]
fn its_job_runs_on_this_machine() -> Result<()> {
    let done = Command::new(binary::trainyard()?).args(["run", "-f", JOB, "--plugin", ring()?]).output()?;
    let [printed, complaint] = [&done.stdout, &done.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(done.status.success(), "{printed}{complaint}");
    for position in 0..3 {
        let line = printed.lines().find(|line| line.contains(&format!("{position} of 3 listens at ")));
        let line = line.with_context(|| format!("who is at {position}? {printed}{complaint}"))?;
        let (_, said) = line.split_once("listens at ").unwrap_or_default();
        let (own, said) = said.split_once(", leader 127.0.0.1:").with_context(|| line.to_owned())?;
        let (leader, members) = said.split_once(", members ").with_context(|| line.to_owned())?;
        let members: Vec<_> = members.split(',').filter_map(|member| member.strip_prefix("127.0.0.1:")).collect();
        let all = [&[leader], members.as_slice()].concat();
        assert_eq!(all.len(), 3, "{line}");
        assert_eq!(all.get(position), Some(&own), "{line}");
    }
    Ok(())
}

#[test]
fn its_job_runs_in_a_cluster() -> Result<()> {
    let Some(place) = Place::new("ring")? else { return Ok(()) };
    let plugin = ["--plugin", ring()?];
    install_kinds(place.cluster, &trainyard(&[&["crds", "RingJob"][..], &plugin].concat())?)?;
    place.cluster.apply(ROLE)?;
    place.grant("ring")?;

    let _operator = place.operator(&[], &plugin)?;
    place.kubectl(&["apply", "-f", JOB])?;
    place.wait_for("ringjob/carousel", "Succeeded")?;
    let pods = ["leader-0", "member-0", "member-1"].map(|pod| format!("pod/carousel-{pod}"));
    place.wait_until_made(&[&pods[0], &pods[1], &pods[2], "service/carousel"])?;
    let pod = place.get("pod/carousel-member-1")?;
    let variables = pod["spec"]["containers"][0]["env"].as_array().context("no environment")?;
    let variables: Vec<_> =
        variables.iter().map(|each| [text(&each["name"]), text(&each["value"])].join("=")).collect();
    assert_eq!(
        variables,
        [
            "RING_LEADER=carousel-leader-0.carousel:7000",
            "RING_MEMBERS=carousel-member-0.carousel:7000,carousel-member-1.carousel:7000",
            "RING_POSITION=2",
            "RING_SIZE=3",
            "RING_LISTEN=7000",
        ]
    );
    let service = place.get("service/carousel")?;
    assert_eq!(service["spec"]["clusterIP"], "None");
    assert_eq!(service["spec"]["publishNotReadyAddresses"], true);
    let conditions = place.conditions("ringjob/carousel")?;
    let last = conditions.last().map(|last| last.each_ref().map(String::as_str));
    assert_eq!(last, Some(["Succeeded", "True", "RingJobSucceeded", "RingJob carousel is closed."]));
    Ok(())
}
