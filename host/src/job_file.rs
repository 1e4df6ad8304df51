//! The file with the user's job: YAML or JSON, one or several documents, or standard input.
//!
//! Documents of kinds that a loaded plugin brings are jobs; others (a ConfigMap beside its job) are left out and told.

mod unknown;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use trainyard_core::json;

use crate::catalog::{Catalog, LoadedKind, UnknownKind};

pub use self::unknown::unknown_fields;

/// A job as the user wrote it, in a namespace.
#[derive(Clone)]
pub struct UserJob {
    /// Its kind.
    pub loaded: Arc<LoadedKind>,
    /// The whole object.
    pub object: Value,
}

/// The objects of a file.
pub struct Documents {
    file: String,
    documents: Vec<Document>,
}

/// The jobs of a file.
pub struct JobFile {
    /// In the file's order; at least one.
    pub jobs: Vec<UserJob>,
    /// What is left out, a line each.
    pub ignored: Vec<String>,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum JobFileError {
    /// Not there, or not for us.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Neither YAML nor JSON.
    #[error("{place}: {problem}")]
    Syntax {
        /// File and document.
        place: String,
        /// The parser's words, with the line.
        problem: String,
    },
    /// A document that is no object of Kubernetes.
    #[error("{place}: {problem}")]
    NoObject {
        /// File, document and line.
        place: String,
        /// What is missing.
        problem: &'static str,
    },
    /// Nothing that a plugin runs.
    #[error("{place}: {source}")]
    UnknownKind {
        /// File, document and line.
        place: String,
        /// What there is.
        source: UnknownKind,
    },
    /// Nothing at all.
    #[error("{0}: the file is empty")]
    Empty(String),
    /// None of that name, or several.
    #[error("{file}: {problem}; there are: {}", .jobs.join(", "))]
    NotOne {
        /// The file.
        file: String,
        /// Which.
        problem: String,
        /// Names.
        jobs: Vec<String>,
    },
}

impl Documents {
    /// Reads a file; `-` is standard input.
    pub fn read(path: &Path) -> Result<Self, JobFileError> {
        let unreadable = |source| JobFileError::Unreadable { path: path.to_owned(), source };
        if path == Path::new("-") {
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text).map_err(unreadable)?;
            return Self::parse("standard input", &text);
        }
        let text = std::fs::read(path).map_err(unreadable)?;
        Self::parse(&path.display().to_string(), &text)
    }

    fn parse(file: &str, text: &[u8]) -> Result<Self, JobFileError> {
        Ok(Self { file: file.to_owned(), documents: documents(file, text)? })
    }

    /// Of all objects.
    pub fn kinds(&self) -> BTreeSet<String> {
        self.documents.iter().map(|document| document.kind.clone()).collect()
    }

    /// Those that a loaded plugin runs.
    pub fn jobs(self, catalog: &Catalog) -> Result<JobFile, JobFileError> {
        let (mut jobs, mut ignored, mut unknown) = (Vec::new(), Vec::new(), None);
        for document in self.documents {
            let Document { place, object, api_version, kind } = document;
            match catalog.find(&api_version, &kind) {
                Ok(loaded) => jobs.push(UserJob { loaded: loaded.clone(), object: in_namespace(object) }),
                Err(source) => {
                    let name = json::text(&object, "/metadata/name");
                    ignored.push(format!("{place}: {kind} {name:?} is left out: it is no job"));
                    unknown.get_or_insert(JobFileError::UnknownKind { place, source });
                }
            }
        }
        match (jobs.is_empty(), unknown) {
            (false, _) => Ok(JobFile { jobs, ignored }),
            (true, Some(unknown)) => Err(unknown),
            (true, None) => Err(JobFileError::Empty(self.file)),
        }
    }
}

impl JobFile {
    /// The job of that name, or the only one.
    pub fn one(&self, path: &Path, name: Option<&str>) -> Result<&UserJob, JobFileError> {
        let mut meant = self.jobs.iter().filter(|job| name.is_none_or(|name| job.name() == name));
        let problem = match (meant.next(), meant.next(), name) {
            (Some(job), None, _) => return Ok(job),
            (None, _, name) => format!("no job is called {:?}", name.unwrap_or_default()),
            (Some(_), Some(_), None) => "several jobs, choose one with --job NAME".to_owned(),
            (Some(_), Some(_), Some(name)) => format!("several jobs are called {name:?}"),
        };
        let jobs = self.jobs.iter().map(|job| job.name().to_owned()).collect();
        Err(JobFileError::NotOne { file: path.display().to_string(), problem, jobs })
    }
}

impl UserJob {
    /// `metadata.name`.
    pub fn name(&self) -> &str {
        json::text(&self.object, "/metadata/name")
    }
}

/// `PyTorchJob default/mnist`
impl std::fmt::Display for UserJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let namespace = json::text(&self.object, "/metadata/namespace");
        write!(f, "{} {namespace}/{}", self.loaded.kind.kind, self.name())
    }
}

struct Document {
    /// `job.yaml: document 2 (line 10)`
    place: String,
    object: Value,
    api_version: String,
    kind: String,
}

fn documents(file: &str, text: &[u8]) -> Result<Vec<Document>, JobFileError> {
    // As kubectl reads it: YAML 1.1 numbers, so that `defaultMode: 0755` is what it looks like.
    let options = serde_saphyr::options! {
        with_snippet: false, legacy_octal_numbers: true, underscored_numbers_as_strings: true
    };
    let mut text = text;
    let parsed = serde_saphyr::read_with_options::<_, serde_saphyr::Spanned<Value>>(&mut text, options);
    let mut documents = Vec::new();
    for (index, parsed) in parsed.enumerate() {
        let number = index + 1;
        let parsed = parsed.map_err(|error| {
            let problem = error.to_string();
            // What follows is advice for programmers.
            let problem = problem.split_once(", set DuplicateKeyPolicy").map_or(problem.clone(), |(problem, _)| {
                let line = error.location().map_or(0, |location| location.line());
                format!("{problem} at line {line}")
            });
            JobFileError::Syntax { place: format!("{file}: document {number}"), problem }
        })?;
        let place = format!("{file}: document {number} (line {})", parsed.referenced.line());
        let object = parsed.value;
        let text = |field: &str| object.get(field).and_then(Value::as_str).map(str::to_owned);
        let problem = match (object.is_object(), text("apiVersion"), text("kind")) {
            (true, Some(api_version), Some(kind)) => {
                documents.push(Document { place, object, api_version, kind });
                continue;
            }
            (false, ..) => "it is no object of Kubernetes",
            (true, None, _) => "apiVersion is missing",
            (true, Some(_), None) => "kind is missing",
        };
        return Err(JobFileError::NoObject { place, problem });
    }
    Ok(documents)
}

fn in_namespace(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        let metadata = fields.entry("metadata").or_insert_with(|| serde_json::json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.entry("namespace").or_insert_with(|| "default".into());
        }
        fields.remove("status");
    }
    object
}

#[cfg(test)]
mod tests;
