//! A real registry on this machine, with TLS and a password or with neither. It is gone with its owner.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::control_plane::programs::Programs;
use crate::{ROOT, wait_until};

/// Who may use the one with a password.
pub const USER: &str = "trainer";
/// By what it knows them.
pub const PASSWORD: &str = "secret";
/// The bcrypt of it.
const HASH: &str = "$2b$04$UqVqbxKk.IoAxVdpq5uPuOH4CoBuHCrHXXuCfRvV/8kBbkdGTD2t2";

/// Who is let in, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// TLS, and [`USER`] with [`PASSWORD`] alone.
    Locked,
    /// Plain HTTP, and everybody.
    Open,
}

/// A running registry.
pub struct Registry {
    folder: TempDir,
    host: String,
    programs: Programs,
}

impl Registry {
    /// Answers when it listens.
    pub fn start(door: Door) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("trainyard-registry-").tempdir()?;
        let storage = folder.path().join("storage");
        Self::of(door, folder, &storage)
    }

    /// Another registry, open, with the same content; for as long as this one is there.
    pub fn back_door(&self) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("trainyard-registry-").tempdir()?;
        Self::of(Door::Open, folder, &self.folder.path().join("storage"))
    }

    fn of(door: Door, folder: TempDir, storage: &Path) -> Result<Self> {
        let program = program()?;
        let path = |name: &str| folder.path().join(name);
        let (mut http, mut auth) = (json!({"addr": "127.0.0.1:0"}), json!({}));
        if door == Door::Locked {
            let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
            fs::write(path("ca.pem"), own.cert.pem())?;
            fs::write(path("key.pem"), own.signing_key.serialize_pem())?;
            fs::write(path("htpasswd"), format!("{USER}:{HASH}\n"))?;
            let tls = json!({"certificate": path("ca.pem"), "key": path("key.pem")});
            http = json!({"addr": "127.0.0.1:0", "tls": tls});
            auth = json!({"htpasswd": {"realm": "tests", "path": path("htpasswd")}});
        }
        let config = json!({
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": storage}},
            "http": http,
            "auth": auth,
        });
        fs::write(path("config.yml"), config.to_string())?; // JSON is YAML
        let programs = Programs::new(folder.path())?;
        programs.start("registry", &program, &["serve".into(), path("config.yml").display().to_string()])?;
        let host = wait_until(30, "the registry to listen", || {
            programs.check()?;
            let log = fs::read_to_string(path("registry.log"))?;
            let address = log.split_once("listening on ").context("it does not say where it listens")?.1;
            Ok(address.split(['"', ',', ' ']).next().unwrap_or_default().to_owned())
        })?;
        Ok(Self { folder, host, programs })
    }

    /// It is down: nobody answers at its address.
    pub fn close(&self) -> Result<()> {
        self.programs.end()
    }

    /// It is there again, at its address; an open door is needed.
    pub fn reopen(&self) -> Result<()> {
        let config = self.folder.path().join("config.yml");
        fs::write(&config, fs::read_to_string(&config)?.replace("127.0.0.1:0", &self.host))?;
        self.programs.start("registry", &program()?, &["serve".into(), config.display().to_string()])?;
        wait_until(30, "the registry to listen", || Ok(TcpStream::connect(&self.host).map(drop)?))
    }

    /// `127.0.0.1:5000`
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The certificate by which it is known.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Puts a blob there, as any client would; an open door is needed.
    pub fn put_blob(&self, repository: &str, digest: &str, bytes: &[u8]) -> Result<()> {
        let begun = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"), "text/plain", b"")?;
        let location = begun.lines().find_map(|line| line.strip_prefix("Location: ")).context("no location")?;
        let path = location.trim().split_once(&*self.host).context("the location is elsewhere")?.1;
        self.request("PUT", &format!("{path}&digest={digest}"), "application/octet-stream", bytes).map(|_| ())
    }

    /// Names blobs, or of an index manifests, that are there.
    pub fn put_manifest(&self, repository: &str, tag: &str, manifest: &Value) -> Result<()> {
        let (path, media_type) = (format!("/v2/{repository}/manifests/{tag}"), manifest["mediaType"].as_str());
        let media_type = media_type.context("a manifest without mediaType")?;
        self.request("PUT", &path, media_type, manifest.to_string().as_bytes()).map(|_| ())
    }

    fn request(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> Result<String> {
        let mut stream = TcpStream::connect(&self.host)?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        Ok(answer)
    }
}

fn program() -> Result<PathBuf> {
    let found = Command::new(Path::new(ROOT).join("setup/registry")).output().context("cannot run setup/registry")?;
    ensure!(found.status.success(), "no registry: {}", String::from_utf8_lossy(&found.stderr));
    Ok(PathBuf::from(String::from_utf8(found.stdout)?.trim()))
}
