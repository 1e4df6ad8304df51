//! The one thing a plugin can call. The host has a budget for it: a line for what an admin should know, no more.
//!
//! Outside a component, as in `cargo test`, lines go to standard error.

use crate::bindings::trainyard::framework::log::Level;

/// For the plugin's author.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// For the admin.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// For the admin, who should look.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// For the admin, who should act.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    crate::bindings::trainyard::framework::log::write(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}

/// A component has no standard error: without this a panic would be a trap and no word.
pub(crate) fn panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| error(panic.to_string())));
}
