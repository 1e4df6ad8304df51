//! The process in numbers, as Linux shows them in `/proc`: the names and help texts of every Prometheus client.

use std::fs;

use prometheus::proto::{MetricFamily, MetricType};
use rustix::process::{Resource, getrlimit};

use super::page::family;

/// None of those that cannot be read here.
pub(super) fn families() -> Vec<MetricFamily> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let own = Stat::read(&read("/proc/self/stat"), &read("/proc/self/status"), &read("/proc/stat"));
    let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
    let open = open.and_then(|count| u32::try_from(count).ok()).map(f64::from);
    let limit = |resource| Some(float(getrlimit(resource).current.unwrap_or(u64::MAX)));
    let rows = [
        ("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", own.map(|own| own.cpu)),
        ("process_max_fds", "Maximum number of open file descriptors.", limit(Resource::Nofile)),
        ("process_open_fds", "Number of open file descriptors.", open),
        ("process_resident_memory_bytes", "Resident memory size in bytes.", own.map(|own| own.resident)),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            own.map(|own| own.started),
        ),
        ("process_virtual_memory_bytes", "Virtual memory size in bytes.", own.map(|own| own.virtual_bytes)),
        (
            "process_virtual_memory_max_bytes",
            "Maximum amount of virtual memory available in bytes.",
            limit(Resource::As),
        ),
    ];
    let family = |(name, help, value): (&str, &str, Option<f64>)| {
        let kind = if name.ends_with("_total") { MetricType::COUNTER } else { MetricType::GAUGE };
        Some(family(name, help, kind, [(Vec::new(), value?)]))
    };
    rows.into_iter().filter_map(family).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu: f64,
    started: f64,
    virtual_bytes: f64,
    resident: f64,
}

/// The unit of times in `/proc`, a hundredth of a second, whatever the kernel's own.
const TICKS: f64 = 100.0;

impl Stat {
    /// Fields are counted behind the name of the program, the second, which may have blanks: proc(5) has it in brackets.
    fn read(own: &str, status: &str, system: &str) -> Option<Self> {
        let (_, after) = own.rsplit_once(") ")?;
        let field = |number: usize| after.split_whitespace().nth(number - 3)?.parse::<f64>().ok();
        let line = |text: &str, name: &str| {
            let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
            rest.split_whitespace().next()?.parse::<f64>().ok()
        };
        Some(Self {
            cpu: (field(14)? + field(15)?) / TICKS,
            started: line(system, "btime ")? + field(22)? / TICKS,
            virtual_bytes: field(23)?,
            resident: line(status, "VmRSS:")? * 1024.0,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let own = "7 (a (b) c) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 9 0 1000 8192 3 18446744073709551615\n";
        let [status, system] = ["Name:\ta\nVmRSS:\t    3 kB\n", "cpu 1 2 3\nbtime 1700000000\n"];
        let expected = Stat { cpu: 2.0, started: 1_700_000_010.0, virtual_bytes: 8192.0, resident: 3072.0 };
        assert_eq!(Stat::read(own, status, system), Some(expected));
        assert_eq!(Stat::read("", "", ""), None);
    }
}
