//! What appears at the terminal: the replicas' lines behind their names, and our own, which are marked.

use std::io::{self, IsTerminal, Read, Write};

/// How lines of replicas begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Of the longest name.
    width: usize,
}

/// One of a replica's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Error,
}

/// Longer lines come in pieces, so that one without an end does not fill the memory.
const LONGEST_LINE: usize = 1 << 20;
const COLOURS: [&str; 6] = ["36", "33", "32", "35", "34", "31"];

impl Style {
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self { width: names.map(str::len).max().unwrap_or(0) }
    }

    /// What the lines of a replica begin with.
    pub(super) fn prefix(self, stream: Stream, name: &str, number: usize) -> String {
        let is_coloured = match stream {
            Stream::Out => is_coloured(&io::stdout()),
            Stream::Error => is_coloured(&io::stderr()),
        };
        self.aligned(name, number, is_coloured)
    }

    fn aligned(self, name: &str, number: usize, is_coloured: bool) -> String {
        let width = self.width;
        match COLOURS.get(number % COLOURS.len()).filter(|_| is_coloured) {
            Some(colour) => format!("\x1b[{colour}m{name:width$} |\x1b[0m "),
            None => format!("{name:width$} | "),
        }
    }
}

impl Stream {
    /// Prints whole lines.
    pub(super) fn print(self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Out => io::stdout().lock().write_all(lines),
            Self::Error => io::stderr().lock().write_all(lines),
        }
    }
}

/// A line of our own, on standard error.
pub(super) fn note(text: &str) {
    let (bold, plain) = if is_coloured(&io::stderr()) { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    say(&[format!("{bold}--- {text}{plain}")]);
}

/// Lines as they are, on standard error.
pub(super) fn say(lines: &[String]) {
    // In one piece: replicas' errors come between. When nobody listens there is nothing to be done about it.
    let _ = io::stderr().lock().write_all(format!("{}\n", lines.join("\n")).as_bytes());
}

/// <https://no-color.org>
fn is_coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Copies all that comes from a replica, line by line, to its end.
pub(super) fn copy(prefix: &[u8], mut source: impl Read, mut print: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 << 10];
    let mut open = Vec::new();
    loop {
        let read = match source.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A stream that cannot be read has ended.
            Err(_) | Ok(0) => break,
            Ok(read) => buffer.get(..read).unwrap_or_default(),
        };
        let mut whole = Vec::new();
        for piece in read.split_inclusive(|byte| *byte == b'\n') {
            open.extend_from_slice(piece);
            if piece.ends_with(b"\n") || open.len() >= LONGEST_LINE {
                end_line(prefix, &mut open, &mut whole);
            }
        }
        print(&whole);
    }
    let mut last = Vec::new();
    if !open.is_empty() {
        end_line(prefix, &mut open, &mut last);
    }
    print(&last);
}

fn end_line(prefix: &[u8], open: &mut Vec<u8>, whole: &mut Vec<u8>) {
    whole.extend_from_slice(prefix);
    whole.append(open);
    if !whole.ends_with(b"\n") {
        whole.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte slice in pieces of that size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(buffer.len());
            self.0.read(&mut buffer[..size])
        }
    }

    #[test]
    fn every_line_has_its_prefix() {
        for (name, input, expected) in [
            ("nothing", &b""[..], &b""[..]),
            ("lines", b"a\nb\n", b"x | a\nx | b\n"),
            ("an empty line", b"\n", b"x | \n"),
            ("an open last line", b"a\nb", b"x | a\nx | b\n"),
            ("no text at all", b"\xff\xfe\n\x80", b"x | \xff\xfe\nx | \x80\n"),
        ] {
            for size in [1, 3, 1000] {
                let mut printed = Vec::new();
                copy(b"x | ", Pieces(input, size), |lines| printed.extend_from_slice(lines));
                assert_eq!(printed, expected, "{name}, {size} bytes at a time");
            }
        }
    }

    #[test]
    fn a_line_without_end_comes_in_pieces() {
        let long = vec![b'a'; LONGEST_LINE + 10];
        let mut printed = Vec::new();
        copy(b"", &*long, |lines| printed.extend_from_slice(lines));
        let lengths: Vec<_> = printed.split(|byte| *byte == b'\n').map(<[u8]>::len).collect();
        assert_eq!(lengths, [LONGEST_LINE, 10, 0]);
    }

    #[test]
    fn names_are_aligned_and_coloured_by_replica() {
        let style = Style::of(["ps-0", "worker-10"].into_iter());
        assert_eq!(style.aligned("ps-0", 0, false), "ps-0      | ");
        assert_eq!(style.aligned("worker-10", 7, true), "\x1b[33mworker-10 |\x1b[0m ");
    }
}
