//! A text as the name of an artifact or a mirror: what is accepted means to an HTTP client what it means to us, and is read
//! again as it is shown.
#![no_main]

use http::Uri;
use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::source::{Mirror, Reference, Version, address};

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<Reference>() {
        let shown = reference.to_string();
        assert_eq!(shown.parse().as_ref(), Ok(&reference), "{shown}");
        let version = match reference.version() {
            Version::Tag(tag) => tag.clone(),
            Version::Digest(digest) => digest.to_string(),
        };
        let path = format!("/v2/{}/manifests/{version}", reference.repository());
        let uri: Uri = format!("https://{}{path}", reference.registry()).parse().expect("it is an address");
        assert_eq!((uri.path(), uri.query()), (&*path, None));
        assert_eq!(uri.authority().map(|authority| authority.as_str()), Some(reference.registry()));
        assert!(!reference.registry().contains('@'));
        let is_name = |part: &str| !matches!(part, "" | "." | "..");
        assert!(path.trim_start_matches('/').split('/').all(is_name), "{path} leads elsewhere");
    }
    if let Ok(mirror) = text.parse::<Mirror>() {
        let address = address(mirror).expect("nobody has to log in");
        let uri: Uri = address.parse().expect("it is an address");
        let host = uri.authority().expect("it has a host").as_str();
        assert!(text.contains(host) && !host.contains('@'), "{text:?} is {host:?}");
        assert_eq!((uri.path(), uri.query()), ("/", None));
        assert_eq!(uri.scheme_str() == Some("http"), text.starts_with("http://"));
    }
});
