//! Sources on this machine.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::bundled::BUNDLED;

async fn take(source: Source, demand: &Demand) -> Result<Fetched, String> {
    let fetched = fetch(&source, demand, &Access::default(), None, &|_| {}).await;
    fetched.map_err(|error| format!("{}: {error}", error.fault.reason()))
}

fn file(path: &Path, within: Option<&Path>) -> Source {
    Source::File { path: path.into(), within: within.map(Into::into) }
}

fn config_map() -> Source {
    Source::ConfigMap { name: "plugins/a.wasm".into(), bytes: COMPONENT.into() }
}

#[tokio::test]
async fn every_source_is_held_to_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wasm");
    fs::write(&path, COMPONENT).unwrap();
    let bundled = &BUNDLED[0];
    let other = Digest::of(b"other");
    for (source, bytes) in [
        (file(&path, None), COMPONENT),
        (config_map(), COMPONENT),
        (Source::Bundled(bundled.name.into()), bundled.component),
    ] {
        let digest = Digest::of(bytes);
        let right = Demand { digest: Some(digest), ..Demand::default() };
        let expected = Fetched { component: bytes.into(), digest, manifest: None, freshness: Freshness::Current };
        assert_eq!(take(source.clone(), &right).await, Ok(expected.clone()));
        assert_eq!(take(source.clone(), &Demand::default()).await, Ok(expected));
        let wrong = Demand { digest: Some(other), ..Demand::default() };
        let message = format!("DigestMismatch: {source}: digest mismatch: the component is {digest}, wanted {other}");
        assert_eq!(take(source.clone(), &wrong).await, Err(message));
        let signed = Demand { signature: Policy::Keys(vec![]), ..Demand::default() };
        let message = format!(
            "Signature: {source}: signature: only artifacts of a registry can be signed; pin the digest of this one"
        );
        assert_eq!(take(source, &signed).await, Err(message));
    }
}

#[tokio::test]
async fn a_bundled_plugin_that_is_not_there_is_told_with_those_that_are() {
    let error = take(Source::Bundled("other".into()), &Demand::default()).await.unwrap_err();
    assert!(error.starts_with("NotFound: bundled other: not found: there are: "), "{error}");
    assert!(error.contains(BUNDLED[0].name), "{error}");
}

#[tokio::test]
async fn a_file_is_a_plain_one_where_it_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let within = folder.path().join("plugins");
    fs::create_dir(&within).unwrap();
    fs::write(within.join("good"), COMPONENT).unwrap();
    fs::write(folder.path().join("outside"), COMPONENT).unwrap();
    symlink("../outside", within.join("link-out")).unwrap();
    symlink("good", within.join("link-in")).unwrap();
    mknodat(CWD, within.join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    File::create(within.join("large")).unwrap().set_len(crate::plugin::COMPONENT as u64 + 1).unwrap();
    let outside = format!("Configuration: it is not in {}, where plugins have to be", within.display());
    for (name, expected) in [
        ("good", Ok(())),
        ("link-in", Ok(())),
        ("missing", Err("NotFound: not found".to_owned())),
        ("../outside", Err(outside.clone())),
        ("link-out", Err(outside)),
        ("pipe", Err("NotAPlugin: not a plugin: it is no file".into())),
        (".", Err("NotAPlugin: not a plugin: it is no file".into())),
        ("large", Err("TooLarge: too large: the component has more than 33554432 bytes".into())),
    ] {
        let path = within.join(name);
        let found = take(file(&path, Some(&within)), &Demand::default()).await;
        let found = found.map(|_| ()).map_err(|error| error.replace(&format!("{}: ", path.display()), ""));
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn a_watcher_sees_it_grow() {
    use std::sync::Mutex;
    let rig = Rig::new().await;
    let large = vec![7; 1 << 20];
    rig.liar.has("a", "2", &large);
    let seen: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let source = Source::Oci(format!("{}/a:2", rig.liar.host()).parse().unwrap());
    let watch = |progress| seen.lock().unwrap().push(progress);
    fetch(&source, &Demand::default(), &rig.access, None, &watch).await.unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.len() > 1 && seen.is_sorted_by(|one, two| one.done < two.done), "{seen:?}");
    assert_eq!(seen.last(), Some(&Progress { done: 1 << 20, total: 1 << 20 }));
}
