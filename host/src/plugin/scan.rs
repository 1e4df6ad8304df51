//! What a component would cost to compile, found out in one pass over its bytes, before anything compiles it.
//!
//! Compilers take more than linear time and memory for what is nested or many: 81 KB of nested loops keep one busy for
//! minutes. A component that any toolchain makes is far below these caps; what is above them is named. The limits of
//! the compiler's process (see `compile`) stop what nobody has thought of.

mod body;

use std::fmt;

use wasmparser::{Instance, MemoryType, Parser, Payload, TableType};

use super::{LoadError, NotAComponent, limits, one_line};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// Bytes of the component.
    Bytes,
    /// Components in components.
    Depth,
    /// Components, the outermost one included.
    Components,
    /// Core modules.
    Modules,
    /// Instances of core modules.
    Instances,
    /// Types, of modules and components.
    Types,
    /// Imports, exports, aliases, instances and canonical functions of components.
    Items,
    /// Imports, exports, globals and segments of core modules.
    Entries,
    /// Functions with a body.
    Functions,
    /// Bytes of a function's body.
    Body,
    /// Blocks in blocks of a function.
    Blocks,
    /// Loops in loops of a function.
    Loops,
    /// Local variables of a function.
    Locals,
    /// Targets of all branch tables of a function.
    Targets,
    /// Memories.
    Memories,
    /// Bytes a memory has from the start.
    Memory,
    /// Tables.
    Tables,
    /// Elements a table has from the start.
    Table,
}

/// More of something than is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cap}: {found}, at most {}", .cap.limit())]
pub struct Excess {
    /// Of what.
    pub cap: Cap,
    /// How many there are, at least.
    pub found: u64,
}

impl Cap {
    /// The largest components there are, whole interpreters, are below each.
    pub const fn limit(self) -> u64 {
        match self {
            Self::Bytes => limits::COMPONENT as u64,
            Self::Depth => 8,
            Self::Components | Self::Modules => 64,
            Self::Instances => limits::INSTANCES as u64,
            Self::Types | Self::Items | Self::Targets => 20_000,
            Self::Entries => 100_000,
            Self::Functions => 50_000,
            Self::Body => 1 << 20,
            Self::Blocks | Self::Locals => 2_000,
            Self::Loops => 100,
            Self::Memories => limits::MEMORIES as u64,
            Self::Memory => limits::MEMORY_CEILING as u64,
            Self::Tables => limits::TABLES as u64,
            Self::Table => limits::TABLE_ELEMENTS as u64,
        }
    }

    /// Refuses what is above the limit.
    pub(super) fn allow(self, found: u64) -> Result<(), Excess> {
        if found > self.limit() { Err(Excess { cap: self, found }) } else { Ok(()) }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Depth => "depth of components in components",
            Self::Components => "components",
            Self::Modules => "core modules",
            Self::Instances => "instances of core modules",
            Self::Types => "types",
            Self::Items => "imports, exports and functions of components",
            Self::Entries => "imports, exports, globals and segments of core modules",
            Self::Functions => "functions",
            Self::Body => "bytes of a function",
            Self::Blocks => "depth of blocks in a function",
            Self::Loops => "depth of loops in a function",
            Self::Locals => "local variables of a function",
            Self::Targets => "targets of the branch tables of a function",
            Self::Memories => "memories",
            Self::Memory => "bytes of a memory at the start",
            Self::Tables => "tables",
            Self::Table => "elements of a table at the start",
        }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Passes once over all bytes, modules and components in it included.
pub fn scan(bytes: &[u8]) -> Result<(), LoadError> {
    Cap::Bytes.allow(bytes.len() as u64)?;
    let mut seen = Seen { components: 1, ..Seen::default() };
    for payload in Parser::new(0).parse_all(bytes) {
        seen.see(payload.map_err(damaged)?)?;
    }
    Ok(())
}

fn damaged(error: wasmparser::BinaryReaderError) -> NotAComponent {
    NotAComponent::Damaged(one_line(&error.to_string()))
}

/// What has been counted so far.
#[derive(Default)]
struct Seen {
    depth: u64,
    components: u64,
    modules: u64,
    instances: u64,
    types: u64,
    items: u64,
    entries: u64,
    functions: u64,
    memories: u64,
    tables: u64,
}

/// Adds and refuses what is too much.
fn count(cap: Cap, counter: &mut u64, more: u32) -> Result<(), Excess> {
    *counter += u64::from(more);
    cap.allow(*counter)
}

impl Seen {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "wasmparser's enum, of which these cases cost a compiler something"
    )]
    fn see(&mut self, payload: Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::ModuleSection { .. } => {
                self.depth += 1;
                count(Cap::Modules, &mut self.modules, 1)?;
            }
            Payload::ComponentSection { .. } => {
                self.depth += 1;
                count(Cap::Components, &mut self.components, 1)?;
                Cap::Depth.allow(self.depth)?;
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::TypeSection(section) => count(Cap::Types, &mut self.types, section.count())?,
            Payload::CoreTypeSection(section) => count(Cap::Types, &mut self.types, section.count())?,
            Payload::ComponentTypeSection(section) => count(Cap::Types, &mut self.types, section.count())?,
            Payload::ComponentImportSection(section) => count(Cap::Items, &mut self.items, section.count())?,
            Payload::ComponentExportSection(section) => count(Cap::Items, &mut self.items, section.count())?,
            Payload::ComponentAliasSection(section) => count(Cap::Items, &mut self.items, section.count())?,
            Payload::ComponentInstanceSection(section) => count(Cap::Items, &mut self.items, section.count())?,
            Payload::ComponentCanonicalSection(section) => count(Cap::Items, &mut self.items, section.count())?,
            Payload::ImportSection(section) => count(Cap::Entries, &mut self.entries, section.count())?,
            Payload::ExportSection(section) => count(Cap::Entries, &mut self.entries, section.count())?,
            Payload::GlobalSection(section) => count(Cap::Entries, &mut self.entries, section.count())?,
            Payload::ElementSection(section) => count(Cap::Entries, &mut self.entries, section.count())?,
            Payload::DataSection(section) => count(Cap::Entries, &mut self.entries, section.count())?,
            Payload::CodeSectionStart { count: functions, .. } => {
                count(Cap::Functions, &mut self.functions, functions)?;
            }
            Payload::CodeSectionEntry(body) => body::scan(&body)?,
            Payload::InstanceSection(section) => {
                for instance in section {
                    let is_instance = matches!(instance.map_err(damaged)?, Instance::Instantiate { .. });
                    count(Cap::Instances, &mut self.instances, is_instance.into())?;
                }
            }
            Payload::MemorySection(section) => {
                count(Cap::Memories, &mut self.memories, section.count())?;
                for memory in section {
                    Cap::Memory.allow(bytes(&memory.map_err(damaged)?))?;
                }
            }
            Payload::TableSection(section) => {
                count(Cap::Tables, &mut self.tables, section.count())?;
                for table in section {
                    let TableType { initial, .. } = table.map_err(damaged)?.ty;
                    Cap::Table.allow(initial)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Of a memory at the start.
fn bytes(memory: &MemoryType) -> u64 {
    let page = 1_u64.checked_shl(memory.page_size_log2.unwrap_or(16)).unwrap_or(u64::MAX);
    memory.initial.saturating_mul(page)
}

#[cfg(test)]
mod tests;
