"""The reverse of normal.py: from a capture to live objects, so that a cluster looks as v1 left it in the middle of a case.

The job comes first, then what it owns, with its uid; pods get the status that the steps of the case gave them, the job
the status that v1 wrote. All times are a minute ago.
"""

import datetime
import re

from kit.cluster import JOB_KINDS
from kit.normal import SECTIONS, TIMES
from kit.steps import pod_status

API_VERSIONS = {
    "Pod": "v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "ServiceAccount": "v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodGroup.scheduling.volcano.sh": "scheduling.volcano.sh/v1beta1",
    "PodGroup.scheduling.x-k8s.io": "scheduling.x-k8s.io/v1alpha1",
}
CONDITION = re.compile(r"(\w+)=(\w+) (\S*): (.*)", re.DOTALL)
UID = re.compile(r"<uid ([^>]+)>")


def rebuild(cluster, namespace, capture, steps):
    """Makes all objects of a capture, which followed these steps; answers them, by kind and name."""
    maker = Maker(cluster, namespace)
    for key, job in capture["jobs"].items():
        kind, name = key.split("/")
        assert kind in JOB_KINDS, key
        maker.make(kind, name, job, {"apiVersion": "kubeflow.org/v1"})
        if job.get("status"):
            maker.patch_status(kind, name, job_status(job["status"]))
    for section, kind in SECTIONS.items():
        for name, item in capture.get(section, {}).items():
            if not isinstance(item, dict):
                continue  # v1 made it in some runs and not in others
            made = maker.make(kind, name, item, {"apiVersion": API_VERSIONS[kind]})
            if kind == "Pod" and (what := last_step(steps, name, item["phase"])):
                maker.patch_status(kind, name, pod_status(made, what))
            elif item.get("status"):
                maker.patch_status(kind, name, item["status"])
    return maker.made


class Maker:
    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        self.made = {}  # "Kind/name" -> object
        self.now = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)).strftime("%FT%TZ")

    def make(self, kind, name, item, item_type):
        metadata = {field: item[field] for field in ("labels", "annotations", "finalizers") if field in item}
        metadata["ownerReferences"] = [owner(line) for line in item.get("owners", [])]
        parts = {field: item[field] for field in ("spec", "data", "rules", "roleRef", "subjects") if field in item}
        if kind == "Pod":
            parts["spec"] = pod_spec(parts["spec"])
        content = self.live({"kind": kind.split(".")[0], **item_type, "metadata": {"name": name, **metadata}, **parts})
        made, _ = self.cluster.request("POST", self.cluster.path(kind, self.namespace), content)
        self.made[f"{kind}/{name}"] = made
        return made

    def patch_status(self, kind, name, status):
        path = self.cluster.path(kind, self.namespace, name, "status")
        patch = {"status": self.live(status)}
        self.made[f"{kind}/{name}"], _ = self.cluster.request("PATCH", path, patch, "application/merge-patch+json")

    def live(self, value):
        """Puts in what scrub took out."""
        if isinstance(value, dict):
            return {
                self.live(name): self.now if name in TIMES and inner in ("<time>", "<ignored>") else self.live(inner)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self.live(inner) for inner in value]
        if isinstance(value, str):
            value = value.replace("<ns>", self.namespace).replace("<kubectl-delivery image>", "v1/kubectl-delivery:latest")
            return UID.sub(lambda found: self.made[found[1]]["metadata"]["uid"], value)
        return value


def owner(line):
    api_version, which, uid, *flags = line.split(" ") if "<uid" not in line else split_uid(line)
    kind, name = which.split("/")
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, **{flag: True for flag in flags}}


def split_uid(line):
    before, uid, after = re.fullmatch(r"(.*) (<uid [^>]*>)(.*)", line).groups()
    return [*before.split(" "), uid, *after.split()]


def job_status(status):
    conditions = [condition(line) for line in status.get("conditions", [])]
    return {**status, **({"conditions": conditions} if conditions else {})}


def condition(line):
    kind, status, reason, message = CONDITION.fullmatch(line).groups()
    times = {"lastUpdateTime": "<time>", "lastTransitionTime": "<time>"}
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


def pod_spec(spec):
    lists = {name: [container(each) for each in spec[name]] for name in ("initContainers", "containers") if name in spec}
    return {**spec, **lists}


def container(spec):
    env = [variable(each) for each in spec.get("env", [])]
    return {**spec, **({"env": env} if env else {})}


def variable(spec):
    if isinstance(spec, dict):
        return spec
    name, _, value = spec.partition("=")
    return {"name": name, "value": value}


def last_step(steps, pod, phase):
    """What the last step about a pod said of it; a pod that was made again since has only its phase."""
    said = [step["pods"] for step in steps if pod in step.get("pods", {}).get("names", [])]
    if said and said[-1]["phase"] == phase:
        return said[-1]
    return None if phase in (None, "Pending") else {"phase": phase, "no_containers": True}
