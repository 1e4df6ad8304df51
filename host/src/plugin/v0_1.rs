//! The adapter of track 0.1: the only module that names a generated binding.
//!
//! Input and answer are JSON of the model in `trainyard_core::contract`, whose names are those of the contract. So the
//! bytes that identify a call, the bytes that are remembered and the conversion between both type worlds are one thing.

use serde::Serialize;
use wasmtime::{
    Store,
    component::{Component, HasSelf, InstancePre, Linker},
};

use self::bindings::{
    Plugin, PluginPre,
    exports::trainyard::framework::framework::{Context, Json, Observed, Refusal},
    trainyard::framework::{log, types},
};
use super::{call::Function, call::State, log::Level};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "plugin",
        imports: { default: trappable },
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

/// A component of this track, linked.
#[derive(Clone)]
pub(super) struct Prepared(PluginPre<State>);

/// Why a call gave no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The engine stopped it.
    Stopped(wasmtime::Error),
    /// The plugin's own no, as JSON.
    Refused(Vec<u8>),
    /// The model and the contract differ: our bug.
    Shape(serde_json::Error),
}

impl Prepared {
    /// Links what the contract grants, and checks that every function is there.
    pub(super) fn new(component: &Component) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(component.engine());
        Plugin::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        let linked: InstancePre<State> = linker.instantiate_pre(component)?;
        Ok(Self(PluginPre::new(linked)?))
    }

    pub(super) fn engine(&self) -> &wasmtime::Engine {
        self.0.engine()
    }

    /// One call in a sandbox of its own.
    pub(super) fn call(&self, store: &mut Store<State>, function: Function, input: &[u8]) -> Result<Vec<u8>, Failure> {
        let plugin = self.0.instantiate(&mut *store)?;
        let framework = plugin.trainyard_framework_framework();
        match function {
            Function::Describe => json(&framework.call_describe(store)?),
            Function::Default => {
                let ctx: Context = serde_json::from_slice(input)?;
                json(&framework.call_default(store, &ctx)?.map_err(refused)?)
            }
            Function::Validate => {
                let (ctx, old): (Context, Option<Json>) = serde_json::from_slice(input)?;
                json(&framework.call_validate(store, &ctx, old.as_ref())?)
            }
            Function::Plan => {
                let ctx: Context = serde_json::from_slice(input)?;
                json(&framework.call_plan(store, &ctx)?.map_err(refused)?)
            }
            Function::Assess => {
                let (ctx, seen): (Context, Observed) = serde_json::from_slice(input)?;
                json(&framework.call_assess(store, &ctx, &seen)?)
            }
        }
    }
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        Ok(self.log.write(&self.plugin, level, &message)?)
    }
}

/// An interface of types only.
impl types::Host for State {}

fn json(answer: &impl Serialize) -> Result<Vec<u8>, Failure> {
    Ok(serde_json::to_vec(answer)?)
}

fn refused(refusal: Refusal) -> Failure {
    json(&refusal).map_or_else(|failure| failure, Failure::Refused)
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Stopped(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Shape(error)
    }
}

#[cfg(test)]
mod tests;
