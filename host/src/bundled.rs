//! The plugins in this binary.

/// A plugin in this binary, and which kinds it brings: who needs one of them need not compile the others. A test compares
/// with what the plugins say of themselves.
pub struct Bundled {
    /// `pytorch`
    pub name: &'static str,
    /// `kubeflow.org/v1/PyTorchJob`
    pub kinds: &'static [&'static str],
    /// Its bytes.
    pub component: &'static [u8],
    /// What its plans may do beyond the safe set: the JSON of its `grants.json`. None: nothing.
    pub grants: Option<&'static str>,
}

/// All of them.
pub const BUNDLED: &[Bundled] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));
