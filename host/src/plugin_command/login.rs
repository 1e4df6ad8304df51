//! As whom a command speaks to a registry: as it is told, else as `docker login` or `podman login` has.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::PathBuf;
use std::{env, fs, io};

use crate::cli::RegistryOptions;
use crate::failure::Failure;
use crate::source::{Access, Credential, DockerConfig, Login};

pub(super) fn access(options: &RegistryOptions) -> Result<Access, Failure> {
    let unreadable =
        |path: &PathBuf, error: io::Error| Failure::input(format!("cannot read {}: {error}", path.display()));
    let ca = options.ca.as_ref().map(|path| fs::read(path).map_err(|error| unreadable(path, error))).transpose()?;
    let login = match &options.username {
        Some(username) => Login::Credential(Credential::Password { username: username.clone(), password: password()? }),
        None => stored()?,
    };
    Ok(Access { plain_http: options.plain_http, ca, login, ..Access::default() })
}

fn password() -> Result<String, Failure> {
    let mut password = String::new();
    io::stdin().take(64 << 10).read_to_string(&mut password).map_err(Failure::trouble)?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::input("there is no password on standard input"));
    }
    Ok(password.into())
}

/// The first file there is of those that docker and podman write.
fn stored() -> Result<Login, Failure> {
    for path in files(|name| env::var_os(name)) {
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::input(format!("cannot read {}: {error}", path.display()))),
        };
        let config = DockerConfig::parse(&bytes);
        let config = config.map_err(|fault| Failure::input(format!("{}: {fault}", path.display())))?;
        return Ok(Login::DockerConfig(config));
    }
    Ok(Login::Anonymous)
}

fn files(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let variable = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let docker = variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")));
    let podman = variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    [variable("REGISTRY_AUTH_FILE"), docker.map(|folder| folder.join("config.json")), podman]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_where_docker_and_podman_keep_them() {
        type Variables = &'static [(&'static str, &'static str)];
        let cases: [(Variables, &[&str]); 4] = [
            (&[], &[]),
            (&[("HOME", "/home/u")], &["/home/u/.docker/config.json"]),
            (&[("HOME", "/home/u"), ("DOCKER_CONFIG", "/d"), ("REGISTRY_AUTH_FILE", "")], &["/d/config.json"]),
            (
                &[("HOME", "/home/u"), ("REGISTRY_AUTH_FILE", "/f"), ("XDG_RUNTIME_DIR", "/run/u")],
                &["/f", "/home/u/.docker/config.json", "/run/u/containers/auth.json"],
            ),
        ];
        for (variables, expected) in cases {
            let of = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            assert_eq!(files(of), expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{variables:?}");
        }
    }
}
