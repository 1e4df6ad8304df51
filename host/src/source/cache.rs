//! What has been fetched, on disk, so that an operator starts with the registry down and a rollback costs nothing.
//!
//! ```text
//! blobs/sha256/<hex>   components, manifests and signatures; the name is the content's hash
//! refs/<hex>.json      which manifest a reference was when last looked up, and all blobs that took
//! tmp/                 what is being written; emptied at the start
//! ```
//!
//! A file gets its name when it is whole and on disk, and is hashed again whenever it is opened: what does not fit its name
//! is thrown away, as if it had never been there. So a crash, a full disk or a flipped bit costs a download and no more.
//!
//! Machine code is not kept. To load it is to run it: it would have to be trusted, and a file that anybody else could have
//! written cannot be. It is compiled anew, which takes a second, from bytes that prove what they are.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::Reference;
use crate::plugin::Digest;

/// A folder that only this program writes.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    /// Bytes of all blobs, beside those in use.
    limit: u64,
    /// Names in `tmp/`.
    next: AtomicU64,
    /// What was here when it was asked for.
    hits: AtomicU64,
}

/// How names of what is being written end.
const PART: &str = "part";

/// What a reference was.
#[derive(Deserialize, Serialize)]
struct Remembered {
    reference: String,
    manifest: String,
    /// All that it takes to fetch and check it again.
    blobs: BTreeSet<String>,
}

impl Cache {
    /// Opens one, or makes it.
    pub fn open(root: &Path, limit: u64) -> io::Result<Self> {
        let tmp = root.join("tmp");
        for folder in [&tmp, &root.join("blobs/sha256"), &root.join("refs")] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        // What a crash left behind, and only that: the folder may be one that has a tmp of its own.
        for path in files(&tmp)?.iter().filter(|path| path.extension().is_some_and(|end| end == PART)) {
            remove(path)?;
        }
        Ok(Self { root: root.to_owned(), limit, next: AtomicU64::new(0), hits: AtomicU64::new(0) })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// The bytes of that name, if they are here and are what they are called.
    pub fn get(&self, digest: Digest) -> io::Result<Option<Vec<u8>>> {
        let path = self.blob(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if Digest::of(&bytes) != digest {
            tracing::warn!(%digest, "a damaged file in the cache is thrown away");
            remove(&path)?;
            return Ok(None);
        }
        self.hits.fetch_add(1, Ordering::Relaxed);
        // When it was last needed. If that cannot be said it is only thrown away early.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Ok(Some(bytes))
    }

    /// How often something was here, since this was asked last.
    pub fn new_hits(&self) -> u64 {
        self.hits.swap(0, Ordering::Relaxed)
    }

    /// Keeps bytes under their own name.
    pub fn put(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        self.write(&self.blob(digest), bytes)?;
        Ok(digest)
    }

    /// Which manifest this reference was when it was last looked up.
    pub fn resolved(&self, reference: &Reference) -> io::Result<Option<Digest>> {
        let remembered = read_reference(&self.reference(reference))?;
        let remembered = remembered.filter(|remembered| remembered.reference == reference.to_string());
        Ok(remembered.and_then(|remembered| remembered.manifest.parse().ok()))
    }

    /// Remembers what a reference is, and which blobs are needed for it.
    pub fn remember(&self, reference: &Reference, manifest: Digest, blobs: &BTreeSet<Digest>) -> io::Result<()> {
        let blobs = blobs.iter().map(Digest::to_string).collect();
        let remembered = Remembered { reference: reference.to_string(), manifest: manifest.to_string(), blobs };
        self.write(&self.reference(reference), &serde_json::to_vec(&remembered)?)
    }

    /// Removes what has not been needed for longest until the rest fits, but nothing that is in use: no component of these,
    /// and no manifest or signature with which it could be fetched again. Answers the bytes that are left.
    pub fn trim(&self, in_use: &BTreeSet<Digest>) -> io::Result<u64> {
        let mut kept: BTreeSet<String> = in_use.iter().map(Digest::to_string).collect();
        let mut references = Vec::new();
        for path in files(&self.root.join("refs"))? {
            match read_reference(&path)? {
                Some(remembered) if kept.is_disjoint(&remembered.blobs) => references.push((path, remembered)),
                Some(remembered) => kept.extend(remembered.blobs),
                None => remove(&path)?,
            }
        }
        let mut total = 0;
        let mut idle = Vec::new();
        for path in files(&self.root.join("blobs/sha256"))? {
            let about = fs::metadata(&path)?;
            total += about.len();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let name = format!("sha256:{name}");
            if !kept.contains(&name) {
                idle.push((about.modified()?, name, path, about.len()));
            }
        }
        idle.sort();
        for (_, name, path, bytes) in idle {
            if total <= self.limit {
                break;
            }
            remove(&path)?;
            total -= bytes;
            for (path, _) in references.iter().filter(|(_, remembered)| remembered.blobs.contains(&name)) {
                remove(path)?;
            }
        }
        Ok(total)
    }

    fn blob(&self, digest: Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    fn reference(&self, reference: &Reference) -> PathBuf {
        self.root.join("refs").join(format!("{}.json", Digest::of(reference.to_string().as_bytes()).hex()))
    }

    /// A file is there whole, or not at all, whenever the power goes.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let tmp = self.root.join("tmp").join(format!("{}.{PART}", self.next.fetch_add(1, Ordering::Relaxed)));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&tmp)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&tmp, path)?;
            File::open(path.parent().unwrap_or(&self.root))?.sync_all()
        })();
        if written.is_err() {
            // The disk is full: not with what is no use. What the first error was is what matters.
            let _ = fs::remove_file(&tmp);
        }
        written
    }
}

/// Nothing, if it cannot be read: it is asked for again.
fn read_reference(path: &Path) -> io::Result<Option<Remembered>> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
