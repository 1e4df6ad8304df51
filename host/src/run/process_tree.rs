//! All that a process has started, and what that has started: found wherever it went, and ended.

use std::collections::BTreeMap;

use rustix::process::{Pid, Signal, WaitOptions, kill_process};

/// From now on orphans among our descendants become our children, so that none gets out of sight.
pub(super) fn adopt_orphans() -> std::io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Sends a signal to all descendants of this process but those from `spared` on; answers whether there are any.
pub(super) fn signal_descendants(signal: Signal, spared: &[u32]) -> bool {
    let found = descendants(rustix::process::getpid().as_raw_nonzero().get(), spared);
    for pid in found.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // One that has just ended is what we want.
        let _ = kill_process(pid, signal);
    }
    !found.is_empty()
}

/// Waits for any child; None when there are none left.
pub(super) fn wait_for_any() -> Option<(Pid, i32)> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
                return Some((pid, code.unwrap_or_default()));
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Parents first.
fn descendants(of: i32, spared: &[u32]) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, parent) in processes() {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        let below = children.remove(&parent).unwrap_or_default();
        let below: Vec<_> = below.into_iter().filter(|pid| !spared.contains(&pid.cast_unsigned())).collect();
        parents.extend(&below);
        found.extend(below);
    }
    found
}

/// Every process that has not ended with its parent, as `/proc` has it.
fn processes() -> impl Iterator<Item = (i32, i32)> {
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    folders.filter_map(|folder| {
        let pid: i32 = folder.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(folder.path().join("stat")).ok()?;
        Some((pid, parent(&stat)?))
    })
}

/// The fourth field; the second is a name in brackets, in which everything may be, the third says whether it lives.
fn parent(stat: &str) -> Option<i32> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    fields.next()?.parse().ok().filter(|_| !matches!(state, "Z" | "X"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        for (stat, expected) in
            [("7 (sh) S 3 7 7", Some(3)), ("7 (a) b (c) R 42 1", Some(42)), ("7 (sh) Z 3", None), ("7", None)]
        {
            assert_eq!(parent(stat), expected, "{stat}");
        }
    }

    #[test]
    fn this_process_descends_from_its_parent() {
        let (this, parent) = (rustix::process::getpid(), rustix::process::getppid().unwrap());
        let [this, parent] = [this, parent].map(|pid| pid.as_raw_nonzero().get());
        assert!(descendants(parent, &[]).contains(&this));
        assert!(!descendants(parent, &[this.cast_unsigned()]).contains(&this));
    }
}
