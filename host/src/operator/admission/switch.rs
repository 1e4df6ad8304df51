//! When a certificate takes the place of another: not before the API server knows who signed it.

use std::time::Duration;

use super::certificate::Certificate;

/// How long every API server of a cluster may take to see that the webhook configuration has changed.
const SPREAD: Duration = Duration::from_secs(10);

/// What to do about the certificate that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    /// Go on with it.
    Keep,
    /// Show the stored one.
    Now,
    /// The same, later.
    In(Duration),
}

/// `carried` says for how long the configuration has carried the authority of the stored certificate; `is_known` whether
/// it carries that of the one shown.
pub(super) fn of(
    shown: Option<&Certificate>,
    stored: &Certificate,
    carried: Option<Duration>,
    is_known: impl FnOnce(&Certificate) -> bool,
) -> Switch {
    let Some(shown) = shown else { return Switch::Now };
    match carried {
        _ if shown.is_same(stored) => Switch::Keep,
        None => Switch::Keep,
        Some(_) if !is_known(shown) => Switch::Now,
        Some(since) => match SPREAD.checked_sub(since) {
            None | Some(Duration::ZERO) => Switch::Now,
            Some(wait) => Switch::In(wait),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificate;
    use super::*;

    #[test]
    fn a_certificate_is_shown_once_its_authority_has_spread() {
        let made = || {
            let now = "2026-01-01T00:00:00Z".parse().unwrap();
            let pems = certificate::issue(&["a".to_owned()].into(), now).unwrap();
            Certificate::read(&pems).unwrap()
        };
        let (old, stored) = (made(), made());
        let seconds = Duration::from_secs;
        for (name, shown, carried, is_known, expected) in [
            ("at the start", None, None, false, Switch::Now),
            ("nothing new", Some(&stored), Some(seconds(0)), true, Switch::Keep),
            ("not in the configuration yet", Some(&old), None, true, Switch::Keep),
            ("just now in the configuration", Some(&old), Some(seconds(0)), true, Switch::In(seconds(10))),
            ("soon", Some(&old), Some(seconds(7)), true, Switch::In(seconds(3))),
            ("it has spread", Some(&old), Some(seconds(10)), true, Switch::Now),
            ("what is shown is not known any more", Some(&old), Some(seconds(0)), false, Switch::Now),
        ] {
            assert_eq!(of(shown, &stored, carried, |_| is_known), expected, "{name}");
        }
    }
}
