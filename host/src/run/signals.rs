//! Ctrl-C, and what else asks a program to end.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::replica::Event;

/// From now on each such signal is an event, and no longer the end of this process.
pub(super) fn forward(events: Sender<Event>) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let registered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    drop(registered);
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                if events.send(Event::Interrupted).is_err() {
                    return;
                }
            }
        });
    });
    Ok(())
}
