//! What a process has used, all that it started included: `/proc` tells.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Linux counts CPU time in this unit for everybody (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// CPU time since the start, and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// User and system, of children that have ended, too.
    pub(super) cpu: Duration,
    /// In memory now (`VmRSS`), in KiB.
    pub(super) resident: u32,
    /// The most that ever was (`VmHWM`), in KiB.
    pub(super) peak: u32,
}

impl Usage {
    /// Of all processes of a group.
    pub(super) fn of(group: u32) -> Result<Self> {
        let mut sum = Self::default();
        for process in fs::read_dir("/proc").context("CPU and memory are read from /proc, which Linux has")? {
            let folder = process?.path();
            // One that ends meanwhile has no files any more.
            let read = |file| fs::read_to_string(folder.join(file)).unwrap_or_default();
            if let Some(cpu) = cpu(&read("stat"), group) {
                let status = read("status");
                sum.cpu += cpu;
                sum.resident += kibibytes(&status, "VmRSS:");
                sum.peak += kibibytes(&status, "VmHWM:");
            }
        }
        ensure!(sum.peak > 0, "there is no process of group {group}");
        Ok(sum)
    }
}

/// What `/proc/<pid>/stat` says, if the process is of that group.
fn cpu(stat: &str, group: u32) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?; // a name may have spaces
    let mut fields = after_name.split_whitespace();
    let of_group = fields.nth(2)?.parse() == Ok(group);
    let ticks = fields.skip(8).take(4).map_while(|ticks| ticks.parse::<u32>().ok()).sum();
    of_group.then_some(TICK * ticks)
}

fn kibibytes(status: &str, field: &str) -> u32 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_summed_up_whatever_it_is_called() {
        let stat = "7 (a (b) c) S 1 42 42 0 -1 4194560 900 80 3 4 11 22 33 44 20 0 5 0 100 0 0";
        assert_eq!(cpu(stat, 42), Some(TICK * (11 + 22 + 33 + 44)));
        assert_eq!(cpu(stat, 1), None);
        assert_eq!(cpu("", 42), None);
        assert_eq!(kibibytes("Name:\tx\nVmHWM:\t   1234 kB\nVmRSS:\t   1000 kB\n", "VmHWM:"), 1234);
    }
}
