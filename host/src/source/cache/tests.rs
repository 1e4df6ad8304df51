use std::time::Duration;

use super::*;

fn open(folder: &tempfile::TempDir, limit: u64) -> Cache {
    Cache::open(folder.path(), limit).unwrap()
}

fn names(folder: &tempfile::TempDir, below: &str) -> BTreeSet<String> {
    let files = files(&folder.path().join(below)).unwrap();
    files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// As if it had last been needed so many seconds ago.
fn age(cache: &Cache, digest: Digest, seconds: u64) {
    let file = File::open(cache.blob(digest)).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - seconds)).unwrap();
}

#[test]
fn what_is_kept_is_found_by_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let digest = open(&folder, 0).put(b"component").unwrap();
    assert_eq!(digest, Digest::of(b"component"));
    let reopened = open(&folder, 0);
    assert_eq!(reopened.get(digest).unwrap().as_deref(), Some(&b"component"[..]));
    assert_eq!(reopened.get(Digest::of(b"other")).unwrap(), None);
    assert_eq!(names(&folder, "blobs/sha256"), [digest.hex()].into());
    assert_eq!(names(&folder, "tmp"), [].into());
}

#[test]
fn what_is_damaged_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder, 0);
    for damage in [&b"COMPONENT"[..], b"compone", b"component and more", b""] {
        let digest = cache.put(b"component").unwrap();
        fs::write(cache.blob(digest), damage).unwrap();
        assert_eq!(cache.get(digest).unwrap(), None, "{}", damage.escape_ascii());
        assert_eq!(names(&folder, "blobs/sha256"), [].into());
    }
}

#[test]
fn what_a_crash_left_half_written_is_gone_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let digest = open(&folder, 0).put(b"component").unwrap();
    fs::write(folder.path().join("tmp/0.part"), b"compo").unwrap();
    let cache = open(&folder, 0);
    assert_eq!(names(&folder, "tmp"), [].into());
    assert_eq!(cache.get(digest).unwrap().as_deref(), Some(&b"component"[..]));
}

#[test]
fn only_we_may_look() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder, 0);
    let digest = cache.put(b"component").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache.blob(digest)), 0o600);
    assert_eq!(mode(&folder.path().join("blobs")), 0o700);
}

#[test]
fn a_reference_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two): (Reference, Reference) = ("a.example/x:1".parse().unwrap(), "a.example/x:2".parse().unwrap());
    let cache = open(&folder, 0);
    assert_eq!(cache.resolved(&one).unwrap(), None);
    let (first, second) = (Digest::of(b"1"), Digest::of(b"2"));
    cache.remember(&one, first, &[first].into()).unwrap();
    cache.remember(&two, first, &[first].into()).unwrap();
    cache.remember(&one, second, &[second].into()).unwrap();
    let reopened = open(&folder, 0);
    assert_eq!(reopened.resolved(&one).unwrap(), Some(second));
    assert_eq!(reopened.resolved(&two).unwrap(), Some(first));
    fs::write(reopened.reference(&one), b"{").unwrap();
    assert_eq!(reopened.resolved(&one).unwrap(), None, "a damaged one is as none");
    fs::copy(reopened.reference(&two), reopened.reference(&one)).unwrap();
    assert_eq!(reopened.resolved(&one).unwrap(), None, "one of another reference is as none");
}

#[test]
fn the_oldest_goes_first_and_nothing_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder, 10);
    let [used, its_manifest, old, its_other, new] =
        [&b"used!"[..], b"mani1", b"old-1", b"mani2", b"new-1"].map(|bytes| cache.put(bytes).unwrap());
    let (a, b): (Reference, Reference) = ("a.example/used:1".parse().unwrap(), "a.example/old:1".parse().unwrap());
    cache.remember(&a, its_manifest, &[used, its_manifest].into()).unwrap();
    cache.remember(&b, its_other, &[old, its_other].into()).unwrap();
    for (digest, seconds) in [(its_manifest, 50), (used, 40), (old, 30), (its_other, 20), (new, 10)] {
        age(&cache, digest, seconds);
    }
    assert_eq!(cache.trim(&[used].into()).unwrap(), 10);
    assert_eq!(names(&folder, "blobs/sha256"), [used.hex(), its_manifest.hex()].into());
    assert_eq!(cache.resolved(&b).unwrap(), None, "what has no blobs is not remembered");
    assert_eq!(cache.resolved(&a).unwrap(), Some(its_manifest));
    assert_eq!(cache.trim(&[].into()).unwrap(), 10, "it fits");
}

#[test]
fn what_is_needed_becomes_young() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder, 5);
    let [one, two] = [b"one-1", b"two-2"].map(|bytes| cache.put(bytes).unwrap());
    age(&cache, one, 20);
    age(&cache, two, 10);
    cache.get(one).unwrap();
    cache.trim(&[].into()).unwrap();
    assert_eq!(names(&folder, "blobs/sha256"), [one.hex()].into());
}
