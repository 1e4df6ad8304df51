//! What an operator has used and counted up to a moment.

use anyhow::Result;
use jiff::Timestamp;

use super::usage::Usage;
use crate::control_plane::Operator;

/// What an operator has used and counted so far.
pub(super) struct Sample {
    pub(super) at: Timestamp,
    pub(super) usage: Usage,
    /// Calls that ran in a plugin; None where there are no plugins.
    calls: Option<f64>,
    /// Passes over jobs, which others call reconciles.
    passes: Option<f64>,
}

impl Sample {
    /// Up to now.
    pub(super) fn of(operator: &mut Operator) -> Result<Self> {
        operator.check()?;
        let page = operator.metrics().unwrap_or_default(); // it need not have one
        let counted = |names: &[&str]| names.iter().find_map(|name| counter(&page, name));
        Ok(Self {
            at: Timestamp::now(),
            usage: Usage::of(operator.pid())?,
            calls: counted(&["trainyard_plugin_calls_total"]),
            passes: counted(&["trainyard_passes_total", "controller_runtime_reconcile_total"]),
        })
    }

    /// Seconds of CPU since an earlier one.
    pub(super) fn cpu(&self, earlier: &Self) -> f64 {
        self.usage.cpu.saturating_sub(earlier.usage.cpu).as_secs_f64()
    }

    pub(super) fn calls(&self, earlier: &Self) -> Option<f64> {
        Some(self.calls? - earlier.calls.unwrap_or_default())
    }

    pub(super) fn passes(&self, earlier: &Self) -> Option<f64> {
        Some(self.passes? - earlier.passes.unwrap_or_default())
    }
}

/// The sum of a counter of `/metrics` over all its labels; None where it is not there.
fn counter(page: &str, name: &str) -> Option<f64> {
    let lines = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).reduce(|sum, more| sum + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_summed_over_its_labels_and_nobody_elses() {
        let page =
            "# TYPE calls counter\ncalls_total{a=\"1\"} 2\ncalls_total{a=\"2\"} 3\ncalls_total_more 9\nplain 1.5e+03\n";
        for (name, expected) in [("calls_total", Some(5.0)), ("plain", Some(1500.0)), ("calls", None)] {
            assert_eq!(counter(page, name), expected, "{name}");
        }
    }
}
