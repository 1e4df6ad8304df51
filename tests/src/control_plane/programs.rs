//! The running programs of one control plane. They end with their owner, however that ends.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};

/// Reads which process groups to end, until the pipe is closed: by `drop`, or by the system when our process is gone,
/// be it killed. (The parent-death signal would not do: it comes when the *thread* that started a program ends.)
const KEEPER: &str = r#"
trap '' HUP INT TERM
folder=$1; shift
while read -r verb group; do
  case $verb in
    keep) set -- "$@" "$group" ;;
    forget) for each do shift; [ "$each" = "$group" ] || set -- "$@" "$each"; done ;;
  esac
done
for group do kill -9 "-$group" 2>/dev/null; done
for try in 1 2 3 4 5; do rm -rf "$folder" && exit; sleep 0.1; done
"#;

pub(crate) struct Programs {
    folder: PathBuf,
    running: Mutex<Vec<Program>>,
    keeper: Mutex<Child>,
}

pub(super) struct Program {
    pub(super) child: Child,
    pub(super) log: PathBuf,
}

impl Programs {
    /// None yet; `folder` is removed when they end.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(folder)
            .current_dir("/")
            .process_group(0) // Ctrl-C in a terminal goes to our group
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        Ok(Self { folder: folder.to_owned(), running: Mutex::default(), keeper: Mutex::new(keeper) })
    }

    /// Starts a program that has to run as long as the control plane does.
    pub(crate) fn start(&self, name: &str, program: &Path, flags: &[String]) -> Result<()> {
        let started = self.start_apart(name, program, flags)?;
        lock(&self.running).push(started);
        Ok(())
    }

    /// Ends those that are running; others may be started.
    pub(crate) fn end(&self) -> Result<()> {
        for mut program in lock(&self.running).drain(..) {
            program.child.kill()?;
            program.child.wait()?;
            self.forget(program.child.id())?;
        }
        Ok(())
    }

    /// Starts a program that may end before the control plane does: then it is to be forgotten.
    pub(super) fn start_apart(&self, name: &str, program: &Path, flags: &[String]) -> Result<Program> {
        let log = self.folder.join(name).with_extension("log");
        let file = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(program)
            .args(flags)
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        self.tell_keeper("keep", child.id())?;
        Ok(Program { child, log })
    }

    /// The number of a process that was waited for may become another's.
    pub(super) fn forget(&self, group: u32) -> Result<()> {
        self.tell_keeper("forget", group)
    }

    /// An error when one has ended.
    pub(crate) fn check(&self) -> Result<()> {
        lock(&self.running).iter_mut().try_for_each(Program::check)
    }

    fn tell_keeper(&self, verb: &str, group: u32) -> Result<()> {
        let mut keeper = lock(&self.keeper);
        let pipe = keeper.stdin.as_mut().context("the keeper of the programs has no input")?;
        writeln!(pipe, "{verb} {group}").context("the keeper of the programs has ended")
    }
}

impl Program {
    /// An error with the last lines of its log when it has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(15).collect();
        let last: String = last.iter().rev().map(|line| format!("\n  {line}")).collect();
        bail!("a program has ended ({status}); the last lines of {} are{last}", self.log.display())
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let mut keeper = lock(&self.keeper);
        drop(keeper.stdin.take());
        let _ = keeper.wait();
        for program in lock(&self.running).iter_mut() {
            let _ = program.child.wait();
        }
    }
}

/// A test that panicked while it held the lock has broken nothing here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
