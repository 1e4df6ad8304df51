//! Who plans: a plugin, or a test's stand-in.

use crate::contract::{Assessment, Context, Issue, JobPlan, Json, Observed, Refusal};
use crate::line::Sentence;

/// The four functions of a plugin that look at a job. Pure: the same arguments give the same answer.
pub trait Planner {
    /// A JSON merge patch with what the user left out.
    fn defaults(&self, ctx: &Context) -> Result<Json, PlannerError>;
    /// What is wrong with the job; `old` is the stored object on update.
    fn validate(&self, ctx: &Context, old: Option<&str>) -> Result<Vec<Issue>, PlannerError>;
    /// What to add to the user's templates.
    fn plan(&self, ctx: &Context) -> Result<JobPlan, PlannerError>;
    /// What the pods mean.
    fn assess(&self, ctx: &Context, seen: &Observed) -> Result<Assessment, PlannerError>;
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlannerError {
    /// The plugin says so itself.
    #[error("the plugin refuses the job: {}", refused(.0))]
    Refused(Refusal),
    /// The plugin is at fault, and will be again with the same input.
    #[error("the plugin failed: {0}")]
    Faulty(Sentence),
    /// It may work next time.
    #[error("the plugin did not answer: {0}")]
    Unavailable(Sentence),
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Invalid(issues) => {
            let errors: Vec<_> = issues.iter().cloned().map(crate::field::FieldError::from).collect();
            crate::field::aggregate(&errors)
        }
        Refusal::Unsupported(why) => why.to_string(),
    }
}
