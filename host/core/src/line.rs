//! A plugin's words on their way to people: one line of limited length, in which nothing is hidden.
//!
//! What a plugin says becomes conditions, events, admission answers, log lines and lines at a terminal. With a line end, a
//! terminal's escape or a mark that turns the writing direction it could forge what others say, so a [`Line`] has none.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text of a plugin, of at most so many bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Line<const LONGEST: usize>(String);

/// What conditions and answers say.
pub type Sentence = Line<1024>;
/// A reason, a path.
pub type Word = Line<256>;

/// The longest message of a plugin's in an event.
const EVENT: usize = 256;

impl<const LONGEST: usize> Line<LONGEST> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As much of it as an event says.
    pub fn in_event(&self) -> String {
        of(&self.0, EVENT)
    }
}

/// One line of a text, of at most so many bytes: what is no plain character is a space, what is cut off a `…`.
pub fn of(text: &str, longest: usize) -> String {
    let text = text.replace(is_hidden, " ");
    if text.len() <= longest {
        return text;
    }
    let end = (0..=longest.saturating_sub(CUT.len())).rev().find(|end| text.is_char_boundary(*end));
    let kept = end.and_then(|end| text.get(..end)).unwrap_or_default();
    if longest < CUT.len() { kept.to_owned() } else { format!("{kept}{CUT}") }
}

const CUT: &str = "…";

/// Controls, ends of lines and paragraphs, marks of direction, and what takes no room.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

impl<const LONGEST: usize> From<&str> for Line<LONGEST> {
    fn from(text: &str) -> Self {
        Self(of(text, LONGEST))
    }
}

impl<const LONGEST: usize> From<String> for Line<LONGEST> {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl<const LONGEST: usize> fmt::Display for Line<LONGEST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_words_are_one_plain_line() {
        for (text, expected) in [
            ("all is well: 100 %, naïve, 火", "all is well: 100 %, naïve, 火"),
            ("a\nb\r\nc\td", "a b  c d"),
            ("\u{1b}[31mred\u{1b}[0m \u{9b}2J", " [31mred [0m  2J"),
            ("safe\u{202e}txt.exe\u{2066}x\u{2069}", "safe txt.exe x "),
            ("one\u{2028}two\u{2029}three\u{85}four", "one two three four"),
            ("zero\u{200b}width\u{feff}\u{e0041}", "zero width  "),
            ("\0\u{7f}", "  "),
        ] {
            assert_eq!(Sentence::from(text).as_str(), expected, "{text:?}");
        }
    }

    #[test]
    fn it_is_as_long_as_it_may_be() {
        for (text, longest, expected) in [
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abc…"),
            ("äöüäöü", 6, "ä…"), // no half letters
            ("abc", 2, ""),
            ("", 0, ""),
        ] {
            assert_eq!(of(text, longest), expected, "{text:?} in {longest}");
        }
        let long = Sentence::from("x".repeat(5000));
        assert_eq!((long.as_str().len(), long.in_event().len()), (1024, 256));
    }

    #[test]
    fn it_is_made_plain_when_it_is_read() {
        let read: Word = serde_json::from_str(r#""a\u001b[2Jb\nc""#).unwrap();
        assert_eq!(read.as_str(), "a [2Jb c");
        assert_eq!(serde_json::to_string(&read).unwrap(), r#""a [2Jb c""#);
    }
}
