//! A header in which a registry says whom to ask for a token: nothing is read out of it that is not in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::source::bearer;

fuzz_target!(|header: &str| {
    for part in bearer(header).into_iter().flatten().flatten() {
        assert!(header.contains(&part), "{part:?} is not in it");
    }
});
