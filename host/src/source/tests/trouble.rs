//! The registry down, the cache damaged, its disk full.

use super::*;

#[tokio::test]
async fn the_registry_may_be_down() {
    let rig = Rig::new().await;
    let manifest = Digest::of(&rig.liar.manifest_of("a", "1"));
    rig.fetch(":1").await.unwrap();
    rig.liar.answers("/v2/a/manifests/1", Answer::Status(503));
    assert_eq!(rig.fetch(":1").await.unwrap().freshness, Freshness::Remembered);
    rig.liar.answers("/v2/a/manifests/1", Answer::Status(404));
    assert_eq!(rig.fault(":1").await, ("NotFound", "not found: 404 Not Found".into()), "gone is not down");
    rig.liar.stop().await;
    assert_eq!(rig.fetch(":1").await.unwrap().freshness, Freshness::Remembered);
    assert_eq!(rig.fetch(&format!("@{manifest}")).await.unwrap().freshness, Freshness::Current);
    let (reason, text) = rig.fault(":2").await;
    assert_eq!(reason, "Unavailable");
    assert!(text.contains("Connection refused"), "{text}");
}

#[tokio::test]
async fn what_is_damaged_in_the_cache_is_fetched_anew() {
    let rig = Rig::new().await;
    rig.fetch(":1").await.unwrap();
    let path = rig.folder.path().join("blobs/sha256").join(Digest::of(COMPONENT).hex());
    let mut bytes = fs::read(&path).unwrap();
    bytes[9] ^= 1;
    fs::write(&path, bytes).unwrap();
    rig.liar.asked();
    assert_eq!(rig.fetch(":1").await.unwrap().component, COMPONENT);
    assert_eq!(rig.liar.asked().len(), 2);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_more_stops_no_fetch() {
    let rig = Rig::new().await;
    let cache = Arc::new(Cache::open(rig.folder.path(), 1 << 30).unwrap());
    let source = Source::Oci(format!("{}/a:1", rig.liar.host()).parse().unwrap());
    let take = || fetch(&source, &rig.demand, &rig.access, Some(&cache), &|_| {});
    take().await.unwrap();
    rig.liar.asked();
    // Nothing can be written, as on a full disk; what is there can be read.
    fs::remove_dir(rig.folder.path().join("tmp")).unwrap();
    fs::write(rig.folder.path().join("tmp"), b"").unwrap();
    assert_eq!(take().await.unwrap().component, COMPONENT);
    assert_eq!(rig.liar.asked(), ["GET /v2/a/manifests/1"], "what is there is not fetched");
    rig.liar.has("a", "1", b"another component");
    assert_eq!(take().await.unwrap().component, b"another component");
    assert!(!rig.has_kept(b"another component"));
    rig.liar.stop().await;
    let remembered = take().await.unwrap();
    assert_eq!((&*remembered.component, remembered.freshness), (COMPONENT, Freshness::Remembered), "what was kept");
}

#[tokio::test]
async fn a_disk_that_cannot_be_read_stops_no_fetch() {
    let rig = Rig::new().await;
    rig.fetch(":1").await.unwrap();
    let cache = Arc::new(Cache::open(rig.folder.path(), 1 << 30).unwrap());
    for folder in ["blobs", "refs"] {
        fs::remove_dir_all(rig.folder.path().join(folder)).unwrap();
        fs::write(rig.folder.path().join(folder), b"").unwrap();
    }
    let source = Source::Oci(format!("{}/a:1", rig.liar.host()).parse().unwrap());
    let fetched = fetch(&source, &rig.demand, &rig.access, Some(&cache), &|_| {}).await.unwrap();
    assert_eq!(fetched.component, COMPONENT);
}

#[tokio::test]
async fn a_registry_that_says_nothing_keeps_no_push_waiting() {
    let (rig, moment) = (Rig::new().await, Duration::from_millis(50));
    let component = b"\0asm\x0d\0\x01\0";
    rig.liar.answers(&format!("/v2/a/blobs/{}", Digest::of(component)), Answer::Nothing);
    let reference: Reference = format!("{}/a:2", rig.liar.host()).parse().unwrap();
    for (patience, what) in [
        (Patience { connect: moment, stall: moment, ..PATIENT }, "the registry's answer took longer than 100ms"),
        (Patience { whole: moment, ..PATIENT }, "all of it took longer than 250ms"),
    ] {
        let pushed = push(component.into(), &reference, &short(patience), Arc::new(|_| {})).await;
        assert_eq!(pushed.unwrap_err().to_string(), format!("{reference}: timeout: {what}"));
    }
}
