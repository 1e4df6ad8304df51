//! Waiting for something that others bring about: ask again and again, never sleep and hope.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

const PAUSES: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(320);

/// Asks `probe` until it answers, at most for `seconds`. Its last error says what was missing.
pub fn wait_until<T>(seconds: u64, what: &str, mut probe: impl FnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut pause = *PAUSES.start();
    loop {
        match probe() {
            Ok(answer) => return Ok(answer),
            Err(missing) if Instant::now() >= end => {
                return Err(missing).with_context(|| format!("waited {seconds} s for {what}"));
            }
            Err(_) => thread::sleep(pause),
        }
        pause = (pause * 2).min(*PAUSES.end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{bail, ensure};

    #[test]
    fn asks_until_there_is_an_answer() {
        let mut asked = 0;
        let answer = wait_until(60, "the third question", || {
            asked += 1;
            ensure!(asked == 3, "only {asked}");
            Ok(asked)
        });
        assert_eq!(answer.unwrap(), 3);
    }

    #[test]
    fn says_what_was_missing() {
        let error = wait_until(0, "a pod", || -> Result<()> { bail!("the phase is Pending") }).unwrap_err();
        assert_eq!(format!("{error:#}"), "waited 0 s for a pod: the phase is Pending");
    }
}
