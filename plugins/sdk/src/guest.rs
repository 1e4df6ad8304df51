//! Between the generated bindings and [`Framework`]: parses what comes in, prints what goes out.

use std::marker::PhantomData;

use crate::bindings::exports::trainyard::framework::framework::Guest;
use crate::{Assessment, Context, Description, Framework, Issue, Job, JobPlan, Observed, Refusal, log};

/// A framework as the component exports it.
pub struct Component<F>(PhantomData<F>);

impl<F: Framework> Guest for Component<F> {
    fn describe() -> Description {
        log::panics();
        F::describe()
    }

    fn default(ctx: Context) -> Result<String, Refusal> {
        log::panics();
        F::default(&Job::parse(&ctx, &F::describe())).map(|patch| patch.to_string())
    }

    fn validate(ctx: Context, old: Option<String>) -> Vec<Issue> {
        log::panics();
        let description = F::describe();
        let old = old.map(|job| Job::parse(&Context { job, ..ctx.clone() }, &description));
        F::validate(&Job::parse(&ctx, &description), old.as_ref())
    }

    fn plan(ctx: Context) -> Result<JobPlan, Refusal> {
        log::panics();
        F::plan(&Job::parse(&ctx, &F::describe()))
    }

    fn assess(ctx: Context, seen: Observed) -> Assessment {
        log::panics();
        F::assess(&Job::parse(&ctx, &F::describe()), &seen)
    }
}
