//! What the watches and our own writes have shown, by owner: a pass reads its job's objects from here and nowhere else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Objects by the uid of the job that controls them.
#[derive(Debug)]
pub(super) struct Store<T> {
    by_owner: Mutex<HashMap<String, Owned<T>>>,
}

/// By name, then uid: a pod made anew has the name of the one it replaces.
type Owned<T> = BTreeMap<(String, String), Entry<T>>;

#[derive(Debug)]
struct Entry<T> {
    version: Version,
    value: Arc<T>,
}

/// A `resourceVersion`. Since Kubernetes 1.35 clients may compare them; before, they were the same numbers.
///
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u64);

impl Version {
    /// One that cannot be read counts as newest, so that it is believed.
    pub(super) fn parse(text: Option<&str>) -> Self {
        Self(text.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX))
    }
}

/// What identifies an object of a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) uid: String,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { by_owner: Mutex::default() }
    }
}

impl<T: PartialEq> Store<T> {
    /// Keeps the newer of what was there and this: a watch may lag behind our own writes. Answers whether it says
    /// anything new; the echo of a write of ours does not.
    pub(super) fn put(&self, id: Id, version: Version, value: T) -> bool {
        let mut all = self.lock();
        let owned = all.entry(id.owner).or_default();
        let key = (id.name, id.uid);
        match owned.get_mut(&key) {
            Some(old) if old.version > version => false,
            Some(old) if *old.value == value => {
                old.version = version;
                false
            }
            Some(_) | None => {
                owned.insert(key, Entry { version, value: Arc::new(value) });
                true
            }
        }
    }
}

impl<T> Store<T> {
    /// Forgets an object; answers whether it was known.
    pub(super) fn remove(&self, id: &Id) -> bool {
        let mut all = self.lock();
        let Some(owned) = all.get_mut(&id.owner) else { return false };
        let known = owned.remove(&(id.name.clone(), id.uid.clone())).is_some();
        if owned.is_empty() {
            all.remove(&id.owner);
        }
        known
    }

    /// Changes one object in place, if it is there.
    pub(super) fn update(&self, id: &Id, version: Option<Version>, change: impl FnOnce(&T) -> T) {
        let mut all = self.lock();
        let entry = all.get_mut(&id.owner).and_then(|owned| owned.get_mut(&(id.name.clone(), id.uid.clone())));
        if let Some(entry) = entry {
            entry.value = Arc::new(change(&entry.value));
            entry.version = version.unwrap_or(entry.version);
        }
    }

    /// Forgets everything but these: a watch that began anew has seen no others. Answers what has gone.
    pub(super) fn retain(&self, seen: &BTreeSet<Id>) -> Vec<Id> {
        let mut gone = Vec::new();
        self.lock().retain(|owner, owned| {
            owned.retain(|(name, uid), _| {
                let id = Id { owner: owner.clone(), name: name.clone(), uid: uid.clone() };
                let keep = seen.contains(&id);
                gone.extend((!keep).then_some(id));
                keep
            });
            !owned.is_empty()
        });
        gone
    }

    /// The objects of a job, by name.
    pub(super) fn of(&self, owner: &str) -> Vec<Arc<T>> {
        self.lock().get(owner).into_iter().flat_map(BTreeMap::values).map(|entry| entry.value.clone()).collect()
    }

    /// All who own something.
    pub(super) fn owners(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Owned<T>>> {
        self.by_owner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str, uid: &str) -> Id {
        Id { owner: "job".into(), name: name.into(), uid: uid.into() }
    }

    fn values(store: &Store<u32>) -> Vec<u32> {
        store.of("job").iter().map(|value| **value).collect()
    }

    #[test]
    fn an_older_event_does_not_undo_our_own_write() {
        let store = Store::default();
        assert!(store.put(id("a", "1"), Version(5), 50));
        assert!(!store.put(id("a", "1"), Version(4), 40));
        assert_eq!(values(&store), [50]);
        store.update(&id("a", "1"), Some(Version(7)), |value| value + 1);
        assert!(!store.put(id("a", "1"), Version(6), 60));
        assert_eq!(values(&store), [51]);
        assert!(store.put(id("a", "1"), Version(8), 80));
        assert!(!store.put(id("a", "1"), Version(9), 80), "nothing that is kept has changed");
        assert_eq!(values(&store), [80]);
    }

    #[test]
    fn objects_of_the_same_name_are_not_the_same_object() {
        let store = Store::default();
        store.put(id("a", "1"), Version(1), 1);
        store.put(id("a", "2"), Version(2), 2);
        store.remove(&id("a", "1"));
        assert_eq!(values(&store), [2]);
    }

    #[test]
    fn a_watch_that_begins_anew_forgets_what_has_gone() {
        let store = Store::default();
        store.put(id("a", "1"), Version(1), 1);
        store.put(id("b", "2"), Version(1), 2);
        assert_eq!(store.retain(&[id("b", "2")].into()), [id("a", "1")]);
        assert_eq!(values(&store), [2]);
    }
}
