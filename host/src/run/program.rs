//! What a pod runs on this machine: the command of its container that trains, found and completed before anything starts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trainyard_core::json::{items, text};

use super::environment::{self, Environment, NoValue, lookup};
use super::expand::expand;

/// A process to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Program {
    /// Where it is.
    pub(super) path: PathBuf,
    /// As the user wrote it.
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    /// Beside our own; HOSTNAME, which a container gets from its runtime, first.
    pub(super) environment: Environment,
    /// Ours if there is none.
    pub(super) folder: Option<PathBuf>,
}

/// Why a pod cannot run here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("the pod has no container")]
    NoContainer,
    #[error("container {0:?} has no command: the one of its image is not known here, so spell it out")]
    NoCommand(String),
    #[error("container {container:?}: {error}")]
    Variable { container: String, error: NoValue },
    #[error("container {container:?}: program {program:?} is not on PATH")]
    NotOnPath { container: String, program: String },
    #[error("container {container:?}: there is no program {}", .path.display())]
    NotThere { container: String, path: PathBuf },
    #[error("container {container:?}: {} is not executable", .path.display())]
    NotExecutable { container: String, path: PathBuf },
    #[error("container {container:?}: workingDir {} is no directory here", .path.display())]
    NoFolder { container: String, path: PathBuf },
}

/// The container of that name, else the first.
pub(super) fn container<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    let containers = items(pod, "/spec/containers");
    containers.iter().find(|container| text(container, "/name") == name).or(containers.first())
}

/// Names of the containers that do not run here.
pub(super) fn left_out(pod: &Value, name: &str) -> Vec<String> {
    let chosen = container(pod, name);
    let others = items(pod, "/spec/containers").iter().filter(|container| Some(*container) != chosen);
    items(pod, "/spec/initContainers")
        .iter()
        .chain(others)
        .map(|container| text(container, "/name").to_owned())
        .collect()
}

impl Program {
    /// Of the container with that name, or of the first.
    pub(super) fn of(pod: &Value, name: &str) -> Result<Self, Vec<ProgramError>> {
        let container = container(pod, name).ok_or_else(|| vec![ProgramError::NoContainer])?;
        let container_name = text(container, "/name").to_owned();
        let variable = |error| ProgramError::Variable { container: container_name.clone(), error };
        let environment = environment::of(pod, container);
        let mut environment = environment.map_err(|errors| errors.into_iter().map(variable).collect::<Vec<_>>())?;
        let mut words = words(container, &environment);
        if items(container, "/command").is_empty() || words.is_empty() {
            return Err(vec![ProgramError::NoCommand(container_name)]);
        }
        let arguments = words.split_off(1);
        let name = words.remove(0);
        let folder = Some(text(container, "/workingDir")).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        if let Some(path) = folder.as_ref().filter(|path| !path.is_dir()) {
            return Err(vec![ProgramError::NoFolder { container: container_name, path: path.clone() }]);
        }
        let path = find(&name, folder.as_deref(), &environment, container_name).map_err(|error| vec![error])?;
        environment.insert(0, ("HOSTNAME".to_owned(), text(pod, "/metadata/name").to_owned()));
        Ok(Self { path, name, arguments, environment, folder })
    }
}

/// Between SIGTERM and SIGKILL: the pod's grace period, and never long, for somebody waits at a terminal.
pub(super) fn grace(pod: &Value) -> Duration {
    let seconds = pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_u64);
    Duration::from_secs(seconds.unwrap_or(LONGEST_GRACE).min(LONGEST_GRACE))
}

const LONGEST_GRACE: u64 = 5;

fn words(container: &Value, environment: &Environment) -> Vec<String> {
    let words = items(container, "/command").iter().chain(items(container, "/args"));
    words.filter_map(Value::as_str).map(|word| expand(word, |name| lookup(environment, name))).collect()
}

/// As `execvp` looks for it, on the PATH of the container.
fn find(
    name: &str,
    folder: Option<&Path>,
    environment: &Environment,
    container: String,
) -> Result<PathBuf, ProgramError> {
    let is_program = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if name.contains('/') {
        let path = folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        let path = std::path::absolute(&path).unwrap_or(path);
        return match (is_program(&path), path.is_file()) {
            (true, _) => Ok(path),
            (false, true) => Err(ProgramError::NotExecutable { container, path }),
            (false, false) => Err(ProgramError::NotThere { container, path }),
        };
    }
    let folders = lookup(environment, "PATH").map(Into::into).or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| is_program(path));
    found.ok_or_else(|| ProgramError::NotOnPath { container, program: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn program(container: Value) -> Result<Program, Vec<String>> {
        let pod = json!({"spec": {"containers": [{"name": "sidecar"}, container]}});
        Program::of(&pod, "train").map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn command_and_arguments_are_completed() {
        let container = json!({
            "name": "train", "command": ["/bin/sh", "-c"], "args": ["echo $(A) $(B) $$(A)"],
            "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}], "workingDir": "/",
        });
        let expected = Program {
            path: "/bin/sh".into(),
            name: "/bin/sh".into(),
            arguments: vec!["-c".into(), "echo 2 $(B) $(A)".into()],
            environment: vec![("HOSTNAME".into(), String::new()), ("A".into(), "1".into()), ("A".into(), "2".into())],
            folder: Some("/".into()),
        };
        assert_eq!(program(container), Ok(expected));
    }

    #[test]
    fn programs_are_found_as_a_container_finds_them() {
        let found = |container| program(container).map(|program| program.path);
        let path = |path: &str| json!([{"name": "PATH", "value": path}]);
        assert_eq!(
            found(json!({"name": "train", "command": ["sh"], "env": path("/nowhere:/bin")})),
            Ok("/bin/sh".into())
        );
        assert_eq!(found(json!({"name": "train", "command": ["./sh"], "workingDir": "/bin"})), Ok("/bin/./sh".into()));
    }

    #[test]
    fn what_cannot_run_is_named() {
        let none = "container \"train\" has no command: the one of its image is not known here, so spell it out";
        for (container, expected) in [
            (json!({"name": "train"}), none),
            (json!({"name": "train", "args": ["x"]}), none),
            (
                json!({"name": "train", "command": ["no-such-program"]}),
                r#"container "train": program "no-such-program" is not on PATH"#,
            ),
            (json!({"name": "train", "command": ["/no/such"]}), r#"container "train": there is no program /no/such"#),
            (
                json!({"name": "train", "command": ["/etc/passwd"]}),
                r#"container "train": /etc/passwd is not executable"#,
            ),
            (
                json!({"name": "train", "command": ["sh"], "workingDir": "/no/such"}),
                r#"container "train": workingDir /no/such is no directory here"#,
            ),
            (
                json!({"name": "train", "command": ["sh"], "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
                r#"container "train": variable "A" is key "k" of Secret "s", which is not here"#,
            ),
        ] {
            assert_eq!(program(container), Err(vec![expected.to_owned()]));
        }
        assert_eq!(Program::of(&json!({}), "train"), Err(vec![ProgramError::NoContainer]));
    }

    #[test]
    fn other_containers_are_left_out() {
        let pod =
            json!({"spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "train"}]}});
        assert_eq!(left_out(&pod, "train"), ["i", "a"]);
        assert_eq!(left_out(&pod, "other"), ["i", "train"]);
    }
}
