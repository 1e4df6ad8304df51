//! What a `FrameworkPlugin` brings.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::key;
use crate::catalog::LoadedKind;
use crate::operator::wakers::KindKey;

/// What a `FrameworkPlugin` brings.
#[derive(Clone, Default)]
pub(in crate::operator) struct Brought {
    /// For new jobs.
    pub(in crate::operator) kinds: Vec<Arc<LoadedKind>>,
    /// Of digests that jobs are still on, the newest first.
    pub(in crate::operator) former: Vec<Arc<LoadedKind>>,
    /// Kinds that nobody else serves although it does not: what the program was started with has no part in them.
    pub(in crate::operator) held: BTreeSet<KindKey>,
    /// Whether jobs that another version planned are planned by this one from now on.
    pub(in crate::operator) takes_all: bool,
}

impl Brought {
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<LoadedKind>> {
        self.kinds.iter().chain(&self.former)
    }

    /// Kinds that nobody else may have.
    pub(super) fn taken(&self) -> [BTreeSet<KindKey>; 2] {
        [self.all().map(|kind| key(kind)).collect(), self.held.clone()]
    }
}
