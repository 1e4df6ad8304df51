//! Counters in the names, labels and help texts of v1, and what Trainyard adds.

mod ledger;
mod loads;
mod page;
mod plugins;
mod process;
mod requests;
mod work;

use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec};
use tokio::sync::watch as flag;
use trainyard_core::action::Action;
use trainyard_core::think::Count;

use self::ledger::Ledger;
pub(super) use self::loads::{Loads, Reload, State};
pub(super) use self::page::{CONTENT_TYPE, Page};
pub(super) use self::requests::Requests;
pub(super) use self::work::Work;
use self::work::Works;
use super::admission::Reviews;
use super::roster::{self, Kinds};

/// All that `/metrics` shows.
pub(super) struct Metrics {
    page: Page,
    kinds: flag::Receiver<Arc<Kinds>>,
    jobs: Jobs,
    objects: Objects,
    passes: IntCounterVec,
    works: Works,
    ledger: Ledger,
    /// Asked of the API server.
    pub(super) requests: Requests,
    /// What is asked at admission.
    pub(super) reviews: Reviews,
    /// Of plugins.
    pub(super) loads: Loads,
}

#[derive(Debug)]
struct Jobs {
    created: IntCounterVec,
    deleted: IntCounterVec,
    successful: IntCounterVec,
    failed: IntCounterVec,
    restarted: IntCounterVec,
}

/// v1 counts these, too, where nobody can read them.
#[derive(Debug)]
struct Objects {
    created_pods: IntCounter,
    deleted_pods: IntCounter,
    failed_pods: IntCounter,
    created_services: IntCounter,
    failed_services: IntCounter,
    created_pod_groups: IntCounter,
    deleted_pod_groups: IntCounter,
}

/// How a pass over a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There was nothing to do.
    Settled,
    /// Something was written.
    Acted,
    /// The cluster or the plugin failed us.
    Failed,
}

impl Metrics {
    /// With what the plugins of these kinds cost.
    pub(super) fn new(kinds: flag::Receiver<Arc<Kinds>>) -> Self {
        let page = Page::default();
        let jobs = |word: &str| {
            let name = format!("training_operator_jobs_{word}_total");
            page.counters(&name, &format!("Counts number of jobs {word}"), &["job_namespace", "framework"])
        };
        let jobs = Jobs {
            created: jobs("created"),
            deleted: jobs("deleted"),
            successful: jobs("successful"),
            failed: jobs("failed"),
            restarted: jobs("restarted"),
        };
        let total = |name: &str, of: &str| {
            page.counters(name, &format!("The total number of {of}"), &[]).with_label_values::<&str>(&[])
        };
        let objects = Objects {
            created_pods: total("created_pods_total", "created pods"),
            deleted_pods: total("deleted_pods_total", "deleted pods"),
            failed_pods: total("failed_pods_total", "failed pods"),
            created_services: total("succeeded_service_creation_total", "succeeded service creation"),
            failed_services: total("failed_service_creation_total", "failed service creation"),
            created_pod_groups: total("created_pod_groups_total", "created pod groups"),
            deleted_pod_groups: total("deleted_pod_groups_total", "deleted pod groups"),
        };
        let help = "Passes over jobs, by how they ended";
        let passes = page.counters("trainyard_passes_total", help, &["framework", "outcome"]);
        let (works, requests) = (Works::new(&page), Requests::new(&page));
        let (reviews, loads) = (Reviews::new(&page), Loads::new(&page));
        Self { page, kinds, jobs, objects, passes, works, ledger: Ledger::default(), requests, reviews, loads }
    }

    /// Counts what a pass found.
    pub(super) fn count(&self, count: Count, framework: &str, namespace: &str) {
        let jobs = match count {
            Count::Created => &self.jobs.created,
            Count::Successful => &self.jobs.successful,
            Count::Failed => &self.jobs.failed,
            Count::Restarted => &self.jobs.restarted,
            Count::FailedPods(pods) => return self.objects.failed_pods.inc_by(pods.into()),
        };
        jobs.with_label_values(&[namespace, framework]).inc();
    }

    /// Counts a job that was deleted after its time to live.
    pub(super) fn deleted(&self, framework: &str, namespace: &str) {
        self.jobs.deleted.with_label_values(&[namespace, framework]).inc();
    }

    /// Counts what was carried out, or not.
    pub(super) fn acted(&self, action: &Action, is_done: bool) {
        let counter = match action {
            Action::CreatePod { .. } if is_done => &self.objects.created_pods,
            Action::DeletePod(_) if is_done => &self.objects.deleted_pods,
            Action::CreateService(_) if is_done => &self.objects.created_services,
            Action::CreateService(_) => &self.objects.failed_services,
            Action::CreatePodGroup(_) if is_done => &self.objects.created_pod_groups,
            Action::DeletePodGroup(_) if is_done => &self.objects.deleted_pod_groups,
            Action::CreatePod { .. }
            | Action::DeletePod(_)
            | Action::DeleteService(_)
            | Action::CreateObject { .. }
            | Action::ReplaceObject(_)
            | Action::DeleteObject(_)
            | Action::CreateSshKey(_)
            | Action::CreatePodGroup(_)
            | Action::ReplacePodGroup(_)
            | Action::DeletePodGroup(_)
            | Action::DeleteJob => return,
        };
        counter.inc();
    }

    pub(super) fn pass(&self, framework: &str, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Settled => "Settled",
            Outcome::Acted => "Acted",
            Outcome::Failed => "Failed",
        };
        self.passes.with_label_values(&[framework, outcome]).inc();
    }

    /// The work of a controller, which so many hands do.
    pub(super) fn work(&self, controller: &str, hands: usize) -> Arc<Work> {
        self.works.of(controller, hands)
    }

    /// In the text format of Prometheus.
    pub(super) fn text(&self) -> String {
        self.works.look();
        let plugins = roster::plugins(&self.kinds.borrow());
        self.page.text(plugins::families(&plugins, &self.ledger).into_iter().chain(process::families()))
    }
}
