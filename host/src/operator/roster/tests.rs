use std::num::NonZeroU32;

use serde_json::json;

use super::*;
use crate::catalog::Needs;
use crate::plugin::{Compiler, Engine};

fn catalog() -> Catalog {
    let engine = Engine::new(NonZeroU32::new(1).unwrap(), Compiler::Here).unwrap();
    let bundled = crate::bundled::BUNDLED.first().unwrap().kinds.first().unwrap().rsplit('/').next().unwrap();
    Catalog::load(&engine, &[], &[], &Needs::Kinds([bundled.to_owned()].into())).unwrap()
}

fn version(kind: &LoadedKind, digest: &str) -> Arc<LoadedKind> {
    Arc::new(LoadedKind { pin: Some(digest.to_owned()), ..kind.clone() })
}

fn named(kind: &LoadedKind, name: &str) -> Arc<LoadedKind> {
    let mut kind = kind.clone();
    name.clone_into(&mut kind.kind.kind);
    Arc::new(kind)
}

#[test]
fn a_job_stays_with_the_version_that_planned_it() {
    let catalog = catalog();
    let given = catalog.kinds().first().unwrap();
    let roster = Roster::new(&catalog);
    let kind = key(given);
    let plans = || roster.kinds().borrow().get(&kind).unwrap().clone();
    let planned = |status: Value| {
        let who = plans().of(&json!({"status": status})).cloned();
        who.map(|who| who.pin.clone().unwrap_or_else(|| "given".into()))
    };
    let ended = json!({"pluginDigest": "old", "conditions": [{"type": "Failed", "status": "True"}]});
    let (new, started, on_a) =
        (json!(null), json!({"startTime": "2026-01-01T00:00:00Z"}), json!({"pluginDigest": "a"}));
    let ok = |who: &str| Ok(who.to_owned());

    assert_eq!([planned(new.clone()), planned(started.clone())], [ok("given"), ok("given")]);
    assert_eq!(planned(on_a.clone()), Err("a".into()));

    let (a, b) = (version(given, "a"), version(given, "b"));
    roster.offer("p", Brought { kinds: vec![a.clone()], ..Brought::default() });
    assert_eq!([&new, &started, &on_a].map(|status| planned(status.clone())), [ok("a"), ok("given"), ok("a")]);

    roster.offer("p", Brought { kinds: vec![b.clone()], former: vec![a], ..Brought::default() });
    assert_eq!([&new, &started, &on_a].map(|status| planned(status.clone())), [ok("b"), ok("given"), ok("a")]);
    assert_eq!((planned(json!({"pluginDigest": "old"})), planned(ended)), (Err("old".into()), ok("b")));

    roster.offer("p", Brought { kinds: vec![b], takes_all: true, ..Brought::default() });
    assert_eq!([&new, &started, &on_a].map(|status| planned(status.clone())), [ok("b"), ok("b"), ok("b")]);

    roster.withdraw("p");
    assert_eq!(planned(new), ok("given"));
}

#[test]
fn kinds_come_and_go_and_who_follows_is_told() {
    let catalog = catalog();
    let roster = Roster::new(&catalog);
    let mut kinds = roster.kinds();
    let given = catalog.kinds().first().unwrap();
    let served = |kinds: &Kinds| kinds.keys().map(|(_, kind)| kind.clone()).collect::<Vec<_>>();
    let before = served(&kinds.borrow_and_update());
    roster.offer("p", Brought { kinds: vec![named(given, "ZzzJob")], ..Brought::default() });
    assert!(kinds.has_changed().unwrap());
    assert_eq!(served(&kinds.borrow_and_update()), [before.clone(), vec!["ZzzJob".into()]].concat());
    roster.withdraw("p");
    assert_eq!(served(&kinds.borrow_and_update()), before);
}

#[test]
fn a_kind_that_a_new_version_dropped_goes_on_as_long_as_jobs_are_on_the_old_one() {
    let catalog = catalog();
    let roster = Roster::new(&catalog);
    let given = catalog.kinds().first().unwrap();
    let zzz = named(&version(given, "a"), "ZzzJob");
    let who = |kind: &KindKey, digest: &str| {
        let plans = roster.kinds().borrow().get(kind).cloned();
        let who = plans.map(|plans| plans.of(&json!({"status": {"pluginDigest": digest}})).cloned());
        who.map(|who| who.map(|who| who.pin.clone().unwrap_or_else(|| "given".into())))
    };
    roster.offer("p", Brought { kinds: vec![version(given, "a"), zzz.clone()], ..Brought::default() });
    let former = vec![version(given, "a"), zzz.clone()];
    roster.offer("p", Brought { kinds: vec![version(given, "b")], former, ..Brought::default() });
    assert_eq!([who(&key(&zzz), "a"), who(&key(&zzz), "")], [Some(Ok("a".into())), Some(Ok("a".into()))]);
    assert_eq!([who(&key(given), "a"), who(&key(given), "")], [Some(Ok("a".into())), Some(Ok("b".into()))]);

    // Where what is left is a kind that the program was started with, it is for new jobs.
    roster.offer("p", Brought { former: vec![version(given, "a")], ..Brought::default() });
    assert_eq!([who(&key(given), "a"), who(&key(given), "")], [Some(Ok("a".into())), Some(Ok("given".into()))]);
    assert_eq!(who(&key(&zzz), "a"), None);
}

#[test]
fn a_kind_that_is_held_is_left_alone() {
    let catalog = catalog();
    let roster = Roster::new(&catalog);
    let given = catalog.kinds().first().unwrap();
    let active = || roster.kinds().borrow().get(&key(given)).map(|plans| plans.active.pin.clone());
    let held = || [key(given)].into();
    assert_eq!(active(), Some(None));
    roster.offer("p", Brought { held: held(), ..Brought::default() });
    assert_eq!((active(), roster.has("p")), (None, false));
    assert_eq!((roster.owners(&given.kind), roster.held()), (vec!["p".to_owned()], held()), "it is still p's");
    let newer = Kind { version: "v2".into(), ..given.kind.clone() };
    assert_eq!(roster.owners(&newer), ["p"], "in whatever version");
    roster.offer("q", Brought { kinds: vec![version(given, "b")], ..Brought::default() });
    assert_eq!((active(), roster.has("q")), (Some(Some("b".into())), true), "but for who brings it");
    assert_eq!(roster.held(), BTreeSet::new());
    roster.withdraw("q");
    let mut kinds = roster.kinds();
    kinds.mark_unchanged();
    let strange = ("example.com/v1".to_owned(), "Other".to_owned());
    roster.offer("r", Brought { held: [strange].into(), ..Brought::default() });
    assert!(kinds.has_changed().unwrap(), "who keeps webhooks is told");
    roster.withdraw("p");
    assert_eq!(active(), Some(None));
    let former = vec![version(given, "a")];
    roster.offer("p", Brought { former, ..Brought::default() });
    assert_eq!(roster.owners(&given.kind), ["p"], "it has jobs of it");
}

/// Who starts the operator with a file wants its kinds to be of that file.
#[test]
fn a_file_is_held_back_by_nobody() {
    let mut given = (**catalog().kinds().first().unwrap()).clone();
    given.is_file = true;
    let roster = Roster { given: vec![Arc::new(given.clone())], ..Roster::new(&catalog()) };
    roster.offer("p", Brought { held: [key(&given)].into(), ..Brought::default() });
    assert!(roster.kinds().borrow().contains_key(&key(&given)));
}

#[test]
fn a_digest_is_missed_once_and_until_it_is_there() {
    let catalog = catalog();
    let roster = Roster::new(&catalog);
    let given = catalog.kinds().first().unwrap();
    let kind = key(given);
    assert_eq!([roster.miss(&kind, "a"), roster.miss(&kind, "a")], [true, false]);
    assert_eq!(*roster.missing().borrow(), [(kind.clone(), "a".to_owned())].into());
    roster.offer("p", Brought { kinds: vec![version(given, "b")], ..Brought::default() });
    assert_eq!(roster.missing().borrow().len(), 1);
    let former = vec![version(given, "a")];
    roster.offer("p", Brought { kinds: vec![version(given, "b")], former, ..Brought::default() });
    assert_eq!(roster.missing().borrow().len(), 0);
}

#[test]
fn jobs_are_known_once_they_have_been_seen() {
    let catalog = catalog();
    let roster = Roster::new(&catalog);
    let (api_version, kind) = key(catalog.kinds().first().unwrap());
    assert_eq!(roster.jobs(&api_version, &kind), None);
    let (store, (is_seen, seen)) = (Arc::<Store<_>>::default(), flag::channel(false));
    roster.follow((api_version.clone(), kind.clone()), store.clone(), seen);
    assert_eq!(roster.jobs(&api_version, &kind), None);
    let job = json!({"status": {"pluginDigest": "a", "conditions": [{"type": "Succeeded", "status": "True"}]}});
    let id = crate::operator::store::Id { owner: "ns/job".into(), name: "job".into(), uid: "u".into() };
    store.put(id, crate::operator::store::Version::parse(Some("1")), JobText::of(&job));
    is_seen.send_replace(true);
    let live = LiveJob { name: "ns/job".into(), digest: Some("a".into()), has_ended: true };
    assert_eq!(roster.jobs(&api_version, &kind), Some(vec![live]));
    let kind = (api_version, kind);
    roster.forget(&kind, &Arc::default()); // of a controller that ended before
    assert!(roster.jobs(&kind.0, &kind.1).is_some());
    roster.forget(&kind, &store);
    assert_eq!(roster.jobs(&kind.0, &kind.1), None);
}

#[test]
fn jobs_of_a_kind_that_has_gone_are_looked_at_until_the_last_pass_has_ended() {
    let catalog = catalog();
    let roster = Roster::new(&catalog);
    let gone = named(catalog.kinds().first().unwrap(), "RingJob");
    let kind = key(&gone);
    let kinds = BTreeSet::from([kind.clone()]);
    roster.offer("p", Brought { kinds: vec![gone], ..Brought::default() });
    let (store, (_, seen)) = (Arc::<Store<_>>::default(), flag::channel(true));
    roster.follow(kind.clone(), store.clone(), seen);
    assert!(!roster.is_ending(&kinds), "it is served");
    roster.offer("p", Brought { held: kinds.clone(), ..Brought::default() });
    assert!(roster.is_ending(&kinds));
    assert!(!roster.is_ending(&BTreeSet::new()));
    roster.forget(&kind, &store);
    assert!(!roster.is_ending(&kinds));
}
