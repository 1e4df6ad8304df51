//! Names that are taken: of each kind of extra object all there are, whosever they are, with nothing of their content. So a
//! job knows what is in its way without asking, and is woken when that goes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::runtime::watcher::Event;
use serde_json::Value;
use trainyard_core::contract::ObjectKind;
use trainyard_core::observed;

use super::store::{Id, Store};
use super::wakers::{JobKey, KindKey, Wake, Wakers};

/// The names of one kind, by namespace. A pass gets them as they are at that moment, at no cost.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashMap<String, Arc<observed::Names>>>);

/// An object, by kind, namespace and name.
pub(super) type Named = (ObjectKind, String, String);

/// A job, by `apiVersion` and `kind` and then by name.
type Job = (KindKey, JobKey);

/// Which jobs look at which objects of others.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<HashMap<Job, BTreeSet<Named>>>);

/// What a watch tells of one kind, on its way to the store.
pub(super) struct Registrar {
    pub(super) kind: ObjectKind,
    pub(super) names: Arc<Names>,
    pub(super) store: Arc<Store<Value>>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) wakers: Wakers,
    /// What was listed since the watch began anew.
    pub(super) listed: BTreeSet<(String, String)>,
}

impl Names {
    /// Those of a namespace.
    pub(super) fn of(&self, namespace: &str) -> Arc<observed::Names> {
        lock(&self.0).get(namespace).cloned().unwrap_or_default()
    }

    /// Answers who else had it before.
    fn put(&self, namespace: &str, name: &str, controller: &str) -> Option<String> {
        let mut all = lock(&self.0);
        let names = all.entry(namespace.to_owned()).or_default();
        if names.get(name).is_some_and(|known| known == controller) {
            return None;
        }
        Arc::make_mut(names).insert(name.to_owned(), controller.to_owned())
    }

    /// Answers whether it was there.
    fn remove(&self, namespace: &str, name: &str) -> bool {
        let mut all = lock(&self.0);
        let Some(names) = all.get_mut(namespace) else { return false };
        let known = names.contains_key(name) && Arc::make_mut(names).remove(name).is_some();
        if names.is_empty() {
            all.remove(namespace);
        }
        known
    }

    fn all(&self) -> Vec<(String, String)> {
        let all = lock(&self.0);
        all.iter().flat_map(|(namespace, names)| names.keys().map(|name| (namespace.clone(), name.clone()))).collect()
    }
}

impl Waiting {
    /// What a job looks at from now on.
    pub(super) fn set(&self, kind: KindKey, job: JobKey, objects: BTreeSet<Named>) {
        let mut all = lock(&self.0);
        if objects.is_empty() {
            all.remove(&(kind, job));
        } else {
            all.insert((kind, job), objects);
        }
    }

    fn wake(&self, object: &Named, wakers: &Wakers) {
        for ((kind, job), _) in lock(&self.0).iter().filter(|(_, objects)| objects.contains(object)) {
            if let Some(waker) = wakers.of(kind) {
                drop(waker.send(Wake::Job(job.clone())));
            }
        }
    }
}

impl Registrar {
    pub(super) fn note(&mut self, event: &Event<DynamicObject>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                self.listed.insert(place(object));
                self.put(object);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.names.all().into_iter().filter(|place| !listed.contains(place)).for_each(|place| self.free(place));
            }
            Event::Apply(object) => self.put(object),
            Event::Delete(object) => self.free(place(object)),
        }
    }

    fn put(&self, object: &DynamicObject) {
        let (namespace, name) = place(object);
        let controller = object.owner_references().iter().find(|owner| owner.controller == Some(true));
        let controller = controller.map_or("", |owner| owner.uid.as_str());
        let Some(before) = self.names.put(&namespace, &name, controller) else { return };
        let id = Id { owner: before, name: name.clone(), uid: object.uid().unwrap_or_default() };
        if self.store.remove(&id) {
            self.wakers.all(); // its job is known by uid only
        }
        self.waiting.wake(&(self.kind.clone(), namespace, name), &self.wakers);
    }

    fn free(&self, (namespace, name): (String, String)) {
        if self.names.remove(&namespace, &name) {
            self.waiting.wake(&(self.kind.clone(), namespace, name), &self.wakers);
        }
    }
}

fn place(object: &DynamicObject) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::super::store::Version;
    use super::*;

    fn object(name: &str, controller: &str) -> DynamicObject {
        let owner = json!({"apiVersion": "g/v1", "kind": "K", "name": "job", "uid": controller, "controller": true});
        let owners = if controller.is_empty() { json!([]) } else { json!([owner]) };
        let metadata =
            json!({"name": name, "namespace": "ns", "uid": format!("uid-{name}"), "ownerReferences": owners});
        serde_json::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})).unwrap()
    }

    fn named(name: &str) -> Named {
        (ObjectKind { api_version: "v1".into(), kind: "ConfigMap".into() }, "ns".into(), name.into())
    }

    /// A registrar, and where the jobs of the one kind are woken, of which `job` waits for `a`.
    fn registrar() -> (Registrar, UnboundedReceiver<Wake>) {
        let kind = ("g/v1".to_owned(), "K".to_owned());
        let (waker, wakes) = unbounded_channel();
        let waiting = Arc::<Waiting>::default();
        waiting.set(kind.clone(), job(), [named("a")].into());
        let wakers = Wakers::default();
        wakers.insert(kind, waker);
        let (names, store) = (Arc::default(), Arc::default());
        (Registrar { kind: named("a").0, names, store, waiting, wakers, listed: BTreeSet::new() }, wakes)
    }

    fn job() -> JobKey {
        JobKey { namespace: "ns".into(), name: "job".into() }
    }

    fn woken(wakes: &mut UnboundedReceiver<Wake>) -> Vec<Wake> {
        std::iter::from_fn(|| wakes.try_recv().ok()).collect()
    }

    #[test]
    fn a_job_is_woken_when_what_it_waits_for_goes_or_changes_hands() {
        let (mut registrar, mut wakes) = registrar();
        let mut note = |event| {
            registrar.note(&event);
            let names = registrar.names.of("ns");
            let names: Vec<_> = names.iter().map(|(name, controller)| format!("{name} {controller}")).collect();
            (names.join(", "), woken(&mut wakes))
        };
        let wake = || vec![Wake::Job(job())];
        for (event, names, expected) in [
            (Event::Apply(object("a", "")), "a ", vec![]),
            (Event::Apply(object("b", "other")), "a , b other", vec![]),
            (Event::Apply(object("a", "")), "a , b other", vec![]),
            (Event::Apply(object("a", "mine")), "a mine, b other", wake()),
            (Event::Delete(object("b", "other")), "a mine", vec![]),
            (Event::Delete(object("a", "mine")), "", wake()),
            (Event::Delete(object("a", "mine")), "", vec![]),
        ] {
            assert_eq!(note(event.clone()), (names.to_owned(), expected), "{event:?}");
        }
    }

    #[test]
    fn a_watch_that_begins_anew_finds_out_what_has_gone() {
        let (mut registrar, mut wakes) = registrar();
        registrar.note(&Event::Apply(object("a", "")));
        registrar.note(&Event::Apply(object("b", "")));
        for event in
            [Event::Init, Event::InitApply(object("b", "")), Event::InitApply(object("c", "")), Event::InitDone]
        {
            registrar.note(&event);
        }
        assert_eq!(registrar.names.of("ns").keys().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(woken(&mut wakes), [Wake::Job(job())]);
    }

    #[test]
    fn what_is_taken_from_a_job_is_forgotten_and_all_are_woken() {
        let (mut registrar, mut wakes) = registrar();
        let mine = Id { owner: "mine".into(), name: "b".into(), uid: "uid-b".into() };
        registrar.note(&Event::Apply(object("b", "mine")));
        registrar.store.put(mine, Version::parse(Some("1")), json!({}));
        registrar.note(&Event::Apply(object("b", "")));
        assert_eq!(registrar.store.of("mine"), [] as [Arc<Value>; 0]);
        assert_eq!(woken(&mut wakes), [Wake::All]);
    }

    #[test]
    fn a_job_that_waits_no_more_is_left_alone() {
        let (mut registrar, mut wakes) = registrar();
        registrar.waiting.set(("g/v1".into(), "K".into()), job(), BTreeSet::new());
        registrar.note(&Event::Apply(object("a", "")));
        registrar.note(&Event::Delete(object("a", "")));
        assert_eq!(woken(&mut wakes), []);
    }

    #[test]
    fn a_pass_keeps_what_it_was_given() {
        let (mut registrar, _wakes) = registrar();
        registrar.note(&Event::Apply(object("a", "")));
        let seen = registrar.names.of("ns");
        registrar.note(&Event::Delete(object("a", "")));
        assert_eq!((seen.len(), registrar.names.of("ns").len()), (1, 0));
    }
}
