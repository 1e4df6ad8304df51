//! Why a command ends badly: what to tell the user, line by line, and the exit code.

use std::fmt;

/// The end of a command that did not go well.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// A line each.
    pub problems: Vec<String>,
    /// Of the process.
    pub code: u8,
}

impl Failure {
    /// The user's to mend: 2.
    pub fn input(problem: impl ToString) -> Self {
        Self::inputs([problem])
    }

    /// Several things that are the user's to mend: 2.
    pub fn inputs<T: ToString>(problems: impl IntoIterator<Item = T>) -> Self {
        Self { problems: problems.into_iter().map(|problem| problem.to_string()).collect(), code: 2 }
    }

    /// Not the user's fault: 1.
    pub fn trouble(error: impl std::error::Error) -> Self {
        Self { problems: vec![chain(&error)], code: 1 }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

/// An error and its causes in one line; a cause that the text already tells is not told again.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
