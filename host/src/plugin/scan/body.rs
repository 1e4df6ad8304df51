//! The body of one function: how deep it is, and how wide.

use wasmparser::{FunctionBody, Operator};

use super::{Cap, Excess, LoadError, damaged};

pub(super) fn scan(body: &FunctionBody<'_>) -> Result<(), LoadError> {
    Cap::Body.allow(body.as_bytes().len() as u64)?;
    let mut locals = 0_u64;
    for group in body.get_locals_reader().map_err(damaged)? {
        let (count, _) = group.map_err(damaged)?;
        locals += u64::from(count);
        Cap::Locals.allow(locals)?;
    }
    let (mut nest, mut targets) = (Nest::default(), 0_u64);
    let mut operators = body.get_operators_reader().map_err(damaged)?;
    while !operators.eof() {
        #[expect(clippy::wildcard_enum_match_arm, reason = "wasmparser's enum of all instructions")]
        match operators.read().map_err(damaged)? {
            Operator::Loop { .. } => nest.open(true)?,
            Operator::Block { .. } | Operator::If { .. } | Operator::Try { .. } | Operator::TryTable { .. } => {
                nest.open(false)?;
            }
            Operator::End | Operator::Delegate { .. } => nest.close(),
            Operator::BrTable { targets: table } => {
                targets += u64::from(table.len());
                Cap::Targets.allow(targets)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The blocks that are open; of each, whether it is a loop.
#[derive(Default)]
struct Nest {
    blocks: Vec<bool>,
    loops: u64,
}

impl Nest {
    fn open(&mut self, is_loop: bool) -> Result<(), Excess> {
        self.blocks.push(is_loop);
        self.loops += u64::from(is_loop);
        Cap::Blocks.allow(self.blocks.len() as u64)?;
        Cap::Loops.allow(self.loops)
    }

    fn close(&mut self) {
        if self.blocks.pop() == Some(true) {
            self.loops -= 1;
        }
    }
}
