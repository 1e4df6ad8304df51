//! What nobody tells: that a job has ended which kept an old version, that a plugin fails too often to be called, that a
//! plugin was taken away by force. It is looked for in memory; nobody is asked anything.

use std::time::Duration;

use super::shelf::Shelf;
use super::{Loader, Plugins, lock, of};
use crate::plugin::Circuit;

const PULSE: Duration = Duration::from_secs(10);

impl Loader {
    pub(super) async fn pulse(&self, all: &Plugins) {
        if all.wait_until_ready().await.is_err() {
            return; // nobody fills the store any more: the operator stops
        }
        let mut ticks = tokio::time::interval(PULSE);
        loop {
            ticks.tick().await;
            let is_there = |plugin: &str| all.get(&of(plugin)).is_some();
            if self.roster.retain(is_there) {
                let _ = self.again.send(()); // somebody may have waited for their kinds
            }
            let shelves: Vec<_> = {
                let mut shelves = lock(&self.shelves);
                for (plugin, _) in shelves.extract_if(|plugin, _| !is_there(plugin)) {
                    self.loads.has_gone(&plugin);
                }
                shelves.values().cloned().collect()
            };
            // Who is being looked at needs no other look.
            let is_stale =
                |shelf: &tokio::sync::Mutex<Shelf>| shelf.try_lock().is_ok_and(|shelf| self.is_stale(&shelf));
            if shelves.iter().any(|shelf| is_stale(shelf)) {
                let _ = self.again.send(());
            }
        }
    }

    fn is_stale(&self, shelf: &Shelf) -> bool {
        let Some(active) = &shelf.active else { return false };
        let is_idle = !self.idle(shelf.policy, &active.version, &shelf.retained).is_empty();
        is_idle || shelf.is_left_alone() != shelf.told_left_alone
    }
}

impl Shelf {
    /// Whether the active version fails too often to be called.
    pub(super) fn is_left_alone(&self) -> bool {
        self.active.as_ref().is_some_and(|active| matches!(active.version.plugin.circuit(), Circuit::Open { .. }))
    }
}
