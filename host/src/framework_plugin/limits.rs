//! What one call may use, as an admin writes it.

use std::borrow::Cow;
use std::time::Duration;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trainyard_core::quantity::bytes;

use super::{FrameworkPluginSpec, SpecError};
use crate::plugin::Limits;

/// From the least to the most that may be written.
type Bounds<T> = [T; 2];

const FUEL: Bounds<u64> = [1, 100_000_000_000];
const MILLISECONDS: Bounds<u64> = [1, 30_000];
const MEMORY: Bounds<&str> = ["64Ki", "1Gi"];
const OUTPUT: Bounds<&str> = ["1Ki", "64Mi"];
const LOG: Bounds<&str> = ["0", "1Mi"];
const CONCURRENCY: Bounds<u64> = [1, 64];

/// What one call may use. What is left out is as it is for bundled plugins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct LimitsSpec {
    /// Instructions, roughly; 200000000, which is about 0.2 s. A plan takes less than 1000000 in Rust, 5000000 in an
    /// interpreter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = FUEL[0], max = FUEL[1]))]
    pub fuel: Option<u64>,
    /// Time, as in `1s` or `500ms`; 1 s. From `1ms` to `30s`. Fuel should run out first, since it does so every time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = [{
        "rule": r"self.matches('^([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('30s')",
        "message": "write a time from 1ms to 30s, as in 500ms",
    }]))]
    pub time: Option<String>,
    /// Memory, as in `64Mi`; 64Mi. From `64Ki` to `1Gi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = within(MEMORY)))]
    pub memory: Option<Amount>,
    /// The size of an answer; 8Mi. From `1Ki` to `64Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = within(OUTPUT)))]
    pub output: Option<Amount>,
    /// What it may log; 64Ki. From `0` to `1Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = within(LOG)))]
    pub log: Option<Amount>,
    /// Calls at once; 4. More wait, for half of `time` at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = CONCURRENCY[0], max = CONCURRENCY[1]))]
    pub concurrency: Option<u32>,
}

/// An amount of bytes: `64Mi`, or a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(pub Value);

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true})
    }
}

/// As the host checks it again below.
fn within([least, most]: Bounds<&str>) -> Value {
    json!([{
        "rule": format!(
            "isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('{least}')) >= 0 \
             && quantity(string(self)).compareTo(quantity('{most}')) <= 0"
        ),
        "message": format!("write an amount of bytes from {least} to {most}"),
    }])
}

impl FrameworkPluginSpec {
    /// What one call may use.
    pub fn limits(&self) -> Result<Limits, SpecError> {
        let LimitsSpec { fuel, time, memory, output, log, concurrency } = &self.limits;
        let usual = Limits::default();
        let concurrency = number("concurrency", concurrency.map(u64::from), CONCURRENCY)?;
        Ok(Limits {
            wall: time.as_deref().map(duration).transpose()?.unwrap_or(usual.wall),
            fuel: number("fuel", *fuel, FUEL)?.unwrap_or(usual.fuel),
            memory: amount("memory", memory.as_ref(), MEMORY)?.unwrap_or(usual.memory),
            output: amount("output", output.as_ref(), OUTPUT)?.unwrap_or(usual.output),
            log_bytes: amount("log", log.as_ref(), LOG)?.unwrap_or(usual.log_bytes),
            concurrency: concurrency.and_then(|calls| calls.try_into().ok()).unwrap_or(usual.concurrency),
            ..usual
        })
    }
}

fn invalid(field: &str, why: String) -> SpecError {
    SpecError::invalid(format!("spec.limits.{field}"), why)
}

fn number(field: &str, given: Option<u64>, [least, most]: Bounds<u64>) -> Result<Option<u64>, SpecError> {
    match given {
        Some(number) if !(least..=most).contains(&number) => {
            Err(invalid(field, format!("{number} is not from {least} to {most}")))
        }
        Some(_) | None => Ok(given),
    }
}

fn amount(field: &str, given: Option<&Amount>, [least, most]: Bounds<&str>) -> Result<Option<usize>, SpecError> {
    let Some(Amount(written)) = given else { return Ok(None) };
    let bound = |text: &str| bytes(&text.into());
    let found = bytes(written).filter(|&found| bound(least) <= Some(found) && Some(found) <= bound(most));
    let found = found.and_then(|found| usize::try_from(found).ok());
    found.map(Some).ok_or_else(|| invalid(field, format!("{written} is no amount of bytes from {least} to {most}")))
}

/// As Go writes it, with one number or several.
fn duration(text: &str) -> Result<Duration, SpecError> {
    let is_go = text.bytes().all(|byte| byte.is_ascii_digit() || b".hmnsu".contains(&byte));
    let found = text.parse::<SignedDuration>().ok().filter(|_| is_go).and_then(|found| Duration::try_from(found).ok());
    let [least, most] = MILLISECONDS.map(Duration::from_millis);
    let found = found.filter(|found| (least..=most).contains(found));
    found.ok_or_else(|| invalid("time", format!("{text:?} is no time from {least:?} to {most:?}, as in 500ms")))
}
