//! A plugin plans: what the core asks, and what the failure of a call means to it.

use trainyard_core::contract::{Assessment, Context, Issue, JobPlan, Json, Observed};
use trainyard_core::planner::{Planner, PlannerError};

use crate::plugin::{CallError, Plugin};

impl Planner for Plugin {
    fn defaults(&self, ctx: &Context) -> Result<Json, PlannerError> {
        self.default(ctx).map_err(planner_error)
    }

    fn validate(&self, ctx: &Context, old: Option<&str>) -> Result<Vec<Issue>, PlannerError> {
        Self::validate(self, ctx, old).map_err(planner_error)
    }

    fn plan(&self, ctx: &Context) -> Result<JobPlan, PlannerError> {
        Self::plan(self, ctx).map_err(planner_error)
    }

    fn assess(&self, ctx: &Context, seen: &Observed) -> Result<Assessment, PlannerError> {
        Self::assess(self, ctx, seen).map_err(planner_error)
    }
}

fn planner_error(error: CallError) -> PlannerError {
    if let CallError::Refused(refusal) = error {
        return PlannerError::Refused(refusal);
    }
    let kind = if error.is_repeatable() { PlannerError::Faulty } else { PlannerError::Unavailable };
    kind(error.to_string().into())
}
