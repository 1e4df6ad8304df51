//! A counting gate: so much may be inside at once, and who comes later waits.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Room for so many units.
#[derive(Debug)]
pub(super) struct Gate {
    room: u64,
    inside: Mutex<u64>,
    left: Condvar,
}

/// Units that are inside; they leave with it.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    units: u64,
}

impl Gate {
    pub(super) fn new(room: u64) -> Self {
        Self { room, inside: Mutex::new(0), left: Condvar::new() }
    }

    /// Waits for room, not longer than `until`. Who needs more than there is goes in alone.
    pub(super) fn enter(&self, units: u64, until: Option<Instant>) -> Option<Pass<'_>> {
        let units = units.min(self.room);
        let mut inside = self.lock();
        while *inside + units > self.room {
            inside = match until {
                None => self.left.wait(inside).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
                    self.left.wait_timeout(inside, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        *inside += units;
        Some(Pass { gate: self, units })
    }

    /// Units that are inside.
    pub(super) fn inside(&self) -> u64 {
        *self.lock()
    }

    // Nobody panics while holding it; a number is never half written.
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        *self.gate.lock() -= self.units;
        // All of them: who is woken may need more room than the next one.
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn no_more_than_there_is_room_for_are_inside() {
        let gate = Gate::new(3);
        let now = Some(Instant::now());
        let two = gate.enter(2, now).unwrap();
        assert!(gate.enter(2, now).is_none(), "too much");
        let one = gate.enter(1, now).unwrap();
        assert!(gate.enter(1, now).is_none(), "full");
        drop((one, two));
        let large = gate.enter(100, now).unwrap();
        assert_eq!(gate.inside(), 3, "more than there is goes in alone");
        drop(large);
        assert_eq!(gate.inside(), 0);
    }

    #[test]
    fn who_waits_gets_in_when_others_leave() {
        let gate = Gate::new(1);
        thread::scope(|scope| {
            let first = gate.enter(1, None).unwrap();
            let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| gate.enter(1, None).is_some())).collect();
            drop(first);
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
        });
    }
}
