//! What plugins cost, read when somebody asks.

use prometheus::proto::{MetricFamily, MetricType};

use super::page::family;
use crate::plugin::{Counters, Function, Plugin};

pub(super) fn families(plugins: &[Plugin]) -> [MetricFamily; 3] {
    let by_function = |name, help, count: fn(&Counters, Function) -> u64| {
        let each = plugins.iter().flat_map(|plugin| Function::ALL.map(|function| (plugin, function)));
        let rows = each.map(|(plugin, function)| {
            let labels = vec![("function", function.as_str().to_owned()), ("plugin", name_of(plugin))];
            (labels, float(count(plugin.counters(), function)))
        });
        family(name, help, MetricType::COUNTER, rows)
    };
    let fuel = plugins.iter().map(|plugin| (vec![("plugin", name_of(plugin))], float(plugin.counters().fuel())));
    [
        by_function("trainyard_plugin_calls_total", "Calls that ran in a plugin", Counters::calls),
        by_function("trainyard_plugin_remembered_total", "Calls that were answered from memory", Counters::remembered),
        family("trainyard_plugin_fuel_total", "Fuel that a plugin's calls have used", MetricType::COUNTER, fuel),
    ]
}

fn name_of(plugin: &Plugin) -> String {
    plugin.description().name.clone()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn float(count: u64) -> f64 {
    count as f64
}
