"""v1's jobs in another operator's hands: each capture is rebuilt, then the operator starts, and nothing may happen to
what is there; then the case goes on from there to its next capture, which has to look as if v1 had gone on itself."""

import copy
import sys
from concurrent.futures import ThreadPoolExecutor

from kit import recording
from kit.cluster import JOB_KINDS
from kit.normal import SECTIONS, capture
from kit.rebuild import rebuild
from kit.steps import Run, StepFailed

OURSELVES = "kubeflow.org/training-operator"


class Scene:
    """One capture of a case in its own namespace, and the steps from there to the next."""

    def __init__(self, cluster, case, number, options, differences, run_id):
        self.cluster, self.case, self.options, self.differences = cluster, case, options, differences
        where = [index for index, step in enumerate(case.steps) if "capture" in step]
        start, end = where[number], [*where, len(case.steps)][number + 1]
        self.before, self.after = case.steps[:start], case.steps[start + 1 : end]
        self.raw, right = recording.read_captures(case.directory), recording.read_captures(case.directory)
        names = list(self.raw)
        if not all(is_managed_elsewhere(job) for job in self.raw[names[number]]["jobs"].values()):
            recording.settle_differences(case, right, {}, differences)
        self.name, self.next = names[number], names[number + 1] if number + 1 < len(names) else None
        # All that there is to wait for happened in the minute before.
        self.is_due = self.next is not None and all("wait" in step for step in self.after)
        self.right = {self.name: right[self.name], **({self.next: right[self.next]} if self.next else {})}
        namespace = f"t{run_id}-{number}-{case.name.replace('/', '-')}"
        self.namespace, self.trouble = namespace[:63].rstrip("-"), []

    def build(self):
        self.cluster.create_namespace(self.namespace)
        self.made = rebuild(self.cluster, self.namespace, self.raw[self.name], self.before)

    def taken_over(self):
        self.run = Run(self.cluster, self.namespace, self.options)
        self.run.settle(None)
        self.compare(self.next if self.is_due else self.name, stays=not self.is_due)

    def count(self, counters):
        """A job that v1 has seen is not counted as created again."""
        created = sum(count for name, count in counters.items() if "_created_" in name)
        was = self.raw[self.name]["jobs"].values()
        new = sum(1 for job in was if not job["status"] and not is_managed_elsewhere(job))
        if created != new:
            self.trouble.append(f"from {self.name}: {created} jobs are counted as created, and {new} were new")

    def goes_on(self):
        if self.is_due or self.next is None:
            return
        try:
            for number, step in enumerate(self.after, start=1):
                self.run.step(number, step)
        except StepFailed as failure:
            self.trouble.append(f"after {self.name}: {failure}")
            return
        self.run.settle(None)
        self.compare(self.next, stays=False)

    def compare(self, name, stays):
        expected = {name: copy.deepcopy(self.right[name])}
        if stays and all(has_ended(job) for job in self.raw[self.name]["jobs"].values()):
            keep(self.raw[self.name], expected[name])
        expected[name].pop("answers", None)
        expected[name]["events"] = news(self.raw[self.name].get("events"), expected[name].get("events"))
        found = {name: capture(self.cluster, self.namespace, [])}
        recording.forget(self.case, expected, self.differences)
        recording.forget(self.case, found, self.differences)
        recording.forgive(self.case, expected, found, self.differences)
        self.trouble += [f"from {self.name}: {text}" for _, text in recording.compare(expected, found)]
        if stays:
            theirs = set(changed(self.raw[self.name], self.right[self.name]))
            lost = [each for each, item in self.made.items() if each not in theirs and not self.is_still(each, item)]
            if lost:
                self.trouble.append(f"from {self.name}: not what v1 made: {', '.join(lost)}")

    def is_still(self, key, made):
        """Whether it is the very object, and nobody wrote to it, but for the status of jobs."""
        kind, name = key.split("/")
        item = self.cluster.find(kind, self.namespace).get(name, {"metadata": {}})
        fields = ["uid"] if kind in JOB_KINDS else ["uid", "resourceVersion"]
        return all(item["metadata"].get(field) == made["metadata"][field] for field in fields)


def changed(raw, right):
    """What a deliberate difference takes away or changes."""
    for section, kind in SECTIONS.items():
        for name, item in raw.get(section, {}).items():
            if (right.get(section) or {}).get(name) != item:
                yield f"{kind}/{name}"


def has_ended(job):
    return any(str(line).startswith(("Succeeded=True", "Failed=True")) for line in job["status"].get("conditions", []))


def keep(raw, right):
    """Nobody mends what v1 made for a job that has ended, and nobody tells what v1 did not."""
    right["events"] = raw.get("events")
    for section in SECTIONS:
        made, kept = raw.get(section, {}), right.get(section, {})
        kept.update({name: made[name] for name in kept if name in made})


def is_managed_elsewhere(job):
    return job["spec"].get("runPolicy", {}).get("managedBy", OURSELVES) != OURSELVES


def news(before, after):
    """The events that are still to come: those that v1 told already, and would have told again, may come or not."""
    if not isinstance(after, dict) or not isinstance(before, dict):
        return after
    told = {}
    for sender, lines in after.items():
        for line, count in lines.items():
            old = before.get(sender, {}).get(line, 0)
            if isinstance(old, str) or (old and isinstance(count, str)):
                told.setdefault(sender, {})[line] = recording.SOMETIMES
            elif isinstance(count, str) or count > old:
                told.setdefault(sender, {})[line] = count if isinstance(count, str) else count - old
    return told


def takeover(cluster, cases, options, differences, run_id, counters):
    """The troubles, and how many scenes there were. Says what it is at, and then waits for a line: the first is the
    address of the operator's metrics, or empty."""
    installed = {kind.lower() for kind in JOB_KINDS if kind in cluster.installed}
    cases = [case for case in cases if case.name.split("/")[0] in installed]
    scenes = [
        Scene(cluster, case, number, options, differences, run_id)
        for case in cases
        for number, found in enumerate(recording.read_captures(case.directory).values())
        if found.get("jobs")
    ]
    with ThreadPoolExecutor(options.parallel) as pool:
        list(pool.map(Scene.build, scenes))
        metrics = wait_for_go(f"rebuilt {len(scenes)} captures: start the operator")
        list(pool.map(Scene.taken_over, scenes))
        if metrics:
            for scene in scenes:
                scene.count(counters(metrics, scene.namespace))
        wait_for_go("taken over: go on")
        list(pool.map(Scene.goes_on, scenes))
    return [(scene.case.name, text) for scene in scenes for text in scene.trouble], len(scenes)


def wait_for_go(text):
    print(text, flush=True)
    return sys.stdin.readline().strip()
