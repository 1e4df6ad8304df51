//! What several kinds say of their pods, in the same words.

use crate::{Assessment, Failure, Job, MASTER, Observed, RestartPolicy, Total, Verdict, WORKER};

/// How many workers have to succeed where they decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enough {
    /// All of them together.
    All,
    /// Whoever is the first.
    One,
}

/// The master decides; without one the workers do. A replica that failed, and whose place nobody has taken, counts.
pub fn of_master_or_workers(job: &Job, seen: &Observed, enough: Enough) -> Assessment {
    let (kind, name) = (&job.kind().kind, &job.name);
    let (decides, of_job, done) = if job.has(MASTER) {
        (MASTER, format!("{kind} {name}"), "is successfully completed.")
    } else {
        (WORKER, format!("{kind} {}/{name}", job.namespace), "successfully completed.")
    };
    let one_is_enough = decides == WORKER && enough == Enough::One;
    let mut verdicts = Vec::new();
    for total in job.replica_types().into_iter().filter_map(|each| seen.total(each)) {
        let Total { wanted, active, succeeded, .. } = *total;
        let is_decider = total.replica_type == decides;
        if is_decider && (succeeded == wanted || (one_is_enough && succeeded > 0)) {
            verdicts.push(Verdict::Succeeded(format!("{of_job} {done}")));
            break;
        }
        if is_decider && active > 0 {
            verdicts.push(Verdict::Running(format!("{of_job} is running.")));
        }
        if total.failed > 0 && wanted > succeeded.saturating_add(active) {
            verdicts.push(of_failures(job, total));
        }
        if matches!(verdicts.last(), Some(Verdict::Failed(_))) {
            break;
        }
    }
    verdicts.into()
}

/// The job has failed, with the usual reason.
pub const fn failed(message: String) -> Verdict {
    Verdict::Failed(Failure { reason: None, message })
}

/// What the failed replicas of a type mean: where the restart policy is `Never` the end, else a restart.
pub fn of_failures(job: &Job, total: &Total) -> Verdict {
    let Total { replica_type, failed: count, .. } = total;
    let (kind, name) = (&job.kind().kind, &job.name);
    match job.restart_policy(replica_type) {
        RestartPolicy::Never => {
            failed(format!("{kind} {name} is failed because {count} {replica_type} replica(s) failed."))
        }
        RestartPolicy::OnFailure | RestartPolicy::Always | RestartPolicy::ExitCode => Verdict::Restarting(format!(
            "{kind} {name} is restarting because {count} {replica_type} replica(s) failed."
        )),
    }
}

impl Observed {
    /// The counts of a replica type.
    pub fn total(&self, replica_type: &str) -> Option<&Total> {
        self.totals.iter().find(|total| total.replica_type == replica_type)
    }
}

impl From<Vec<Verdict>> for Assessment {
    fn from(verdicts: Vec<Verdict>) -> Self {
        Self { verdicts, restart: None, events: Vec::new(), check_after: None }
    }
}
