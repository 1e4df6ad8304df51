//! What several kinds say of their pods, in the same words.

use crate::{Assessment, Failure, Job, Observed, RestartPolicy, Total, Verdict};

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
