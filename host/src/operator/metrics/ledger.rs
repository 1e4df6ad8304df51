//! What plugins have cost, versions that are gone included: no counter of a plugin falls while there is one of its name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::plugin::Counters;

/// By the name of the plugin. Bounded: of what nobody has any more the sum is kept, of names that are gone nothing.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<BTreeMap<String, Account>>);

#[derive(Debug, Default)]
struct Account {
    gone: Arc<Counters>,
    versions: Vec<Arc<Counters>>,
}

impl Ledger {
    /// All that counts for the plugins that are there now.
    pub(super) fn of<'a>(
        &self,
        plugins: impl Iterator<Item = (&'a str, &'a Arc<Counters>)>,
    ) -> BTreeMap<String, Vec<Arc<Counters>>> {
        let mut named: BTreeMap<_, Vec<_>> = BTreeMap::new();
        plugins.for_each(|(name, counters)| named.entry(name).or_default().push(counters));
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|name, _| named.contains_key(name.as_str()));
        named
            .into_iter()
            .map(|(name, versions)| (name.to_owned(), accounts.entry(name.to_owned()).or_default().with(&versions)))
            .collect()
    }
}

impl Account {
    fn with(&mut self, versions: &[&Arc<Counters>]) -> Vec<Arc<Counters>> {
        for version in versions {
            if !self.versions.iter().any(|known| Arc::ptr_eq(known, version)) {
                self.versions.push(Arc::clone(version));
            }
        }
        // A version that is out of use may come back, and counts on. With no other handle nobody counts any more.
        let (there, gone) = self.versions.drain(..).partition(|version| Arc::strong_count(version) > 1);
        self.versions = there;
        for version in &gone {
            self.gone.absorb(version);
        }
        self.versions.iter().chain([&self.gone]).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Function;

    fn shown(ledger: &Ledger, plugins: &[(&str, &Arc<Counters>)]) -> Vec<(String, u64)> {
        let of = |each: Vec<Arc<Counters>>| each.iter().map(|counters| counters.remembered(Function::Plan)).sum();
        ledger.of(plugins.iter().copied()).into_iter().map(|(name, each)| (name, of(each))).collect()
    }

    #[test]
    fn a_version_that_goes_leaves_what_it_has_counted() {
        let ledger = Ledger::default();
        let [one, two, other] = [3, 4, 5].map(|count| {
            let counters = Arc::<Counters>::default();
            (0..count).for_each(|_| counters.was_remembered(Function::Plan));
            counters
        });
        let row = |name: &str, count| (name.to_owned(), count);
        assert_eq!(shown(&ledger, &[("a", &one), ("b", &other)]), [row("a", 3), row("b", 5)]);
        assert_eq!(shown(&ledger, &[("a", &one), ("a", &two), ("b", &other)]), [row("a", 7), row("b", 5)]);
        assert_eq!(shown(&ledger, &[("a", &two), ("b", &other)]), [row("a", 7), row("b", 5)], "out of use");
        one.was_remembered(Function::Plan);
        assert_eq!(shown(&ledger, &[("a", &one), ("b", &other)]), [row("a", 8), row("b", 5)], "rolled back");
        drop(one);
        for _ in 0..2 {
            assert_eq!(shown(&ledger, &[("a", &two), ("b", &other)]), [row("a", 8), row("b", 5)], "gone");
        }
        assert_eq!(ledger.0.lock().unwrap()["a"].versions.len(), 1, "what is gone is a sum");
        assert_eq!(shown(&ledger, &[("b", &other)]), [row("b", 5)], "a plugin that is gone has no row");
        assert_eq!(shown(&ledger, &[("a", &two), ("b", &other)]), [row("a", 4), row("b", 5)], "nor is it remembered");
    }
}
