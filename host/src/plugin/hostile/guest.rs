//! Components of the contract's world made from core modules written by hand: a guest that behaves, whose parts a test
//! replaces.

mod plan;

use trainyard_core::contract::{Description, JobPlan, Kind};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

pub(super) const CONTRACT: &str = include_str!("../../../../wit/framework.wit");

/// WebAssembly text for the parts of a core module.
#[derive(Clone)]
pub(super) struct Guest {
    pub(super) description: Description,
    /// The contract it is built for, and further packages of which the last has the world.
    pub(super) contract: String,
    pub(super) packages: Vec<&'static str>,
    pub(super) imports: &'static str,
    /// Initial pages of memory.
    pub(super) pages: u32,
    /// Start function, globals and the like.
    pub(super) fields: &'static str,
    /// Bodies; each leaves the address of the answer on the stack.
    pub(super) describe: Option<&'static str>,
    pub(super) default: Option<&'static str>,
    pub(super) plan: &'static str,
    /// Of `plan`, in place of its body.
    pub(super) answer: Option<JobPlan>,
    pub(super) assess: &'static str,
    pub(super) realloc: &'static str,
}

/// Address of zeros: an empty plan, assessment, list of issues; as an answer of `default`, an empty text.
pub(super) const ZEROS: &str = "(i32.const 64)";
/// Where the texts and records of the answers are.
const DATA: usize = 1024;

const REALLOC: &str = "
    (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size)))";

impl Guest {
    pub(super) fn good(description: Description) -> Self {
        Self {
            description,
            contract: CONTRACT.into(),
            packages: vec![],
            imports: "",
            pages: 16,
            fields: "",
            describe: None,
            default: None,
            plan: ZEROS,
            answer: None,
            assess: ZEROS,
            realloc: REALLOC,
        }
    }

    /// The core module, as text.
    pub(super) fn module(&self) -> String {
        let mut data = Data(vec![]);
        let patch = [[0; 4].to_vec(), data.text("{}"), [0; 4].to_vec()].concat();
        let patch = data.put(&patch);
        let description = lower(&mut data, &self.description);
        let description = data.put(&description);
        let answer = self.answer.as_ref().map(|answer| {
            let answer = plan::lower(&mut data, answer);
            format!("(i32.const {})", data.put(&answer))
        });
        let plan = answer.unwrap_or_else(|| self.plan.to_owned());
        let Self { imports, pages, fields, assess, realloc, .. } = self;
        let describe = self.describe.map_or_else(|| format!("(i32.const {description})"), ToOwned::to_owned);
        let default = self.default.map_or_else(|| format!("(i32.const {patch})"), ToOwned::to_owned);
        let bytes: String = data.0.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let version = if self.contract.contains("@0.1.0;") { "0.1.0" } else { "0.9.0" };
        format!(
            r#"(module
            {imports}
            (memory (export "memory") {pages})
            (global $heap (mut i32) (i32.const 131072))
            (data (i32.const {DATA}) "{bytes}")
            {fields}
            (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32) {realloc})
            (func (export "trainyard:framework/framework@{version}#describe") (result i32) {describe})
            (func (export "trainyard:framework/framework@{version}#default")
                (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {default})
            (func (export "trainyard:framework/framework@{version}#validate")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {ZEROS})
            (func (export "trainyard:framework/framework@{version}#plan")
                (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {plan})
            (func (export "trainyard:framework/framework@{version}#assess")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {assess}))"#
        )
    }

    pub(super) fn component(&self) -> Vec<u8> {
        component(&self.module(), &self.contract, &self.packages)
    }
}

/// A component of a core module, for the one world of the last package.
pub(super) fn component(module: &str, contract: &str, packages: &[&str]) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let mut last = resolve.push_str("framework.wit", contract).unwrap();
    for package in packages {
        last = resolve.push_str("test.wit", package).unwrap();
    }
    let world = resolve.select_world(&[last], None).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// The contents of memory from [`DATA`] on, in the layout of the canonical ABI.
struct Data(Vec<u8>);

impl Data {
    /// Writes bytes, aligned, and answers their address.
    fn put(&mut self, bytes: &[u8]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        let address = DATA + self.0.len();
        self.0.extend(bytes);
        u32::try_from(address).unwrap()
    }

    fn text(&mut self, text: &str) -> Vec<u8> {
        let address = self.put(text.as_bytes());
        [address.to_le_bytes(), u32::try_from(text.len()).unwrap().to_le_bytes()].concat()
    }

    fn list<T>(&mut self, items: &[T], lower: impl Fn(&mut Self, &T) -> Vec<u8>) -> Vec<u8> {
        let lowered: Vec<_> = items.iter().flat_map(|item| lower(self, item)).collect();
        let address = self.put(&lowered);
        [address.to_le_bytes(), u32::try_from(items.len()).unwrap().to_le_bytes()].concat()
    }

    fn option<T>(&mut self, item: Option<&T>, size: usize, lower: impl Fn(&mut Self, &T) -> Vec<u8>) -> Vec<u8> {
        match item {
            Some(item) => [vec![1, 0, 0, 0], lower(self, item)].concat(),
            None => vec![0; 4 + size],
        }
    }
}

fn lower(data: &mut Data, description: &Description) -> Vec<u8> {
    [
        data.text(&description.name),
        data.text(&description.version),
        data.list(&description.kinds, lower_kind),
        data.list(&description.objects, |data, each| [data.text(&each.api_version), data.text(&each.kind)].concat()),
        data.text(&description.settings_schema),
    ]
    .concat()
}

fn lower_kind(data: &mut Data, kind: &Kind) -> Vec<u8> {
    [
        data.text(&kind.group),
        data.text(&kind.version),
        data.text(&kind.kind),
        data.text(&kind.plural),
        data.list(&kind.short_names, |data, name| data.text(name)),
        data.text(&kind.replica_specs),
        data.list(&kind.replica_types, |data, each| {
            [data.text(&each.name), each.replicas.to_le_bytes().into(), vec![each.single.into(), 0, 0, 0]].concat()
        }),
        data.text(&kind.container),
        data.option(kind.port.as_ref(), 12, |data, port| {
            [data.text(&port.name), u32::from(port.number).to_le_bytes().into()].concat()
        }),
        vec![kind.restart_policy as u8, kind.replace_failed.into(), 0, 0],
        data.text(&kind.spec_properties),
        data.option(kind.scales.as_ref(), 8, |data, name| data.text(name)),
        data.list(&kind.columns, |data, each| {
            [data.text(&each.name), data.text(&each.json_path), data.text(&each.kind)].concat()
        }),
    ]
    .concat()
}
