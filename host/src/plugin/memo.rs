//! Answers that were given before: a call is pure, so the same function and input have the same answer.
//!
//! Bounded in bytes. Errors that the plugin will repeat are remembered, too: a job that makes a plugin burn all its
//! fuel burns it once. Who asks what somebody is asking already waits for that answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle, GuardResult, PlaceholderGuard},
};

use super::{CallError, Digest, Function};

/// What is remembered of a call: its answer as JSON, or why there is none.
pub(super) type Answer = Result<Arc<[u8]>, CallError>;
type Key = (Function, Digest);

/// The remembered answers of one plugin.
pub(super) struct Memo(Cache<Key, Answer, Bytes>);

/// What an entry costs beside its answer.
const ENTRY: usize = 160;

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Answer> for Bytes {
    fn weight(&self, _key: &Key, answer: &Answer) -> u64 {
        let bytes = match answer {
            Ok(answer) => answer.len(),
            // Shown, they are cut.
            Err(CallError::Refused(refusal)) => serde_json::to_vec(refusal).map_or(0, |json| json.len()),
            Err(error) => error.to_string().len(),
        };
        (ENTRY + bytes) as u64
    }
}

impl Memo {
    /// Holds answers of `bytes` bytes in all.
    #[expect(clippy::expect_used, reason = "it asks for both capacities, and both are given")]
    pub(super) fn new(bytes: u64) -> Self {
        let options = OptionsBuilder::new()
            .weight_capacity(bytes)
            .estimated_items_capacity(usize::try_from(bytes / 1024).unwrap_or(usize::MAX))
            // An answer has to fit into its shard: of several, none would hold a large one.
            .shards(1)
            .build()
            .expect("both capacities are set");
        Self(Cache::with_options(options, Bytes, DefaultHashBuilder::default(), DefaultLifecycle::default()))
    }

    /// The remembered answer, be it that of a call under way which ends before `until`.
    pub(super) fn recall(&self, function: Function, input: Digest, until: Instant) -> Recall<'_> {
        let wait = until.checked_duration_since(Instant::now()).unwrap_or(Duration::ZERO);
        match self.0.get_value_or_guard(&(function, input), Some(wait)) {
            GuardResult::Value(answer) => Recall::Known(answer),
            GuardResult::Guard(guard) => Recall::Unknown(Blank(guard)),
            GuardResult::Timeout => Recall::Late,
        }
    }
}

/// What is known of an answer.
pub(super) enum Recall<'a> {
    /// It is remembered.
    Known(Answer),
    /// It is for the caller to find.
    Unknown(Blank<'a>),
    /// Somebody else has not yet found it.
    Late,
}

/// The place of an answer that nobody knows yet; others wait for it.
pub(super) struct Blank<'a>(PlaceholderGuard<'a, Key, Answer, Bytes, DefaultHashBuilder, Lifecycle>);
type Lifecycle = DefaultLifecycle<Key, Answer>;

impl Blank<'_> {
    /// Remembers an answer that will be the same next time; else the next who waits has to find his own.
    pub(super) fn fill(self, answer: &Answer) {
        if answer.as_ref().err().is_none_or(CallError::is_repeatable) {
            // Gone with all that the plugin's memo had: nobody waits.
            let _ = self.0.insert(answer.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    impl Memo {
        fn get(&self, function: Function, input: Digest) -> Option<Answer> {
            match self.recall(function, input, Instant::now()) {
                Recall::Known(answer) => Some(answer),
                Recall::Unknown(_) | Recall::Late => None,
            }
        }

        fn put(&self, function: Function, input: Digest, answer: &Answer) {
            match self.recall(function, input, Instant::now()) {
                Recall::Unknown(blank) => blank.fill(answer),
                Recall::Known(_) | Recall::Late => panic!("it is known"),
            }
        }
    }

    fn answer(bytes: usize) -> Arc<[u8]> {
        vec![b'x'; bytes].into()
    }

    #[test]
    fn remembers_what_will_be_the_same_next_time() {
        for (name, answer, remembered) in [
            ("an answer", Ok(answer(10)), true),
            ("an error that will repeat", Err(CallError::OutOfFuel { limit: 1 }), true),
            ("one that may pass", Err(CallError::Deadline { limit: Duration::from_secs(1) }), false),
            ("a full house", Err(CallError::Busy), false),
            ("our own bug", Err(CallError::HostBug("bug".into())), false),
            ("an answer larger than all the room", Ok(answer(1 << 20)), false),
        ] {
            let (memo, input) = (Memo::new(64 << 10), Digest::of(b"input"));
            memo.put(Function::Plan, input, &answer);
            assert_eq!(memo.get(Function::Plan, input), remembered.then_some(answer), "{name}");
            assert_eq!(memo.get(Function::Assess, input), None, "{name}");
        }
    }

    #[test]
    fn stays_within_its_bytes() {
        let memo = Memo::new(64 << 10);
        for input in 0..1000_u32 {
            memo.put(Function::Plan, Digest::of(&input.to_le_bytes()), &Ok(answer(1000)));
            assert!(memo.0.weight() <= 64 << 10);
        }
        assert!(memo.0.len() >= 30, "most of the room is used");
    }

    #[test]
    fn what_is_being_asked_is_waited_for() {
        let (memo, input, late) = (Memo::new(64 << 10), Digest::of(b"input"), Instant::now() + Duration::from_mins(10));
        let Recall::Unknown(blank) = memo.recall(Function::Plan, input, late) else { panic!("it is not known") };
        assert!(matches!(memo.recall(Function::Plan, input, Instant::now()), Recall::Late));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| matches!(memo.recall(Function::Plan, input, late), Recall::Known(Ok(_))));
            blank.fill(&Ok(answer(1)));
            assert!(waiting.join().unwrap());
        });
    }
}
