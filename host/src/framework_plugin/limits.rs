//! What one call may use, as an admin writes it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What one call may use. What is left out is as it is for bundled plugins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct LimitsSpec {
    /// Instructions, roughly; 200000000, which is about 0.2 s. A plan takes less than 1000000 in Rust, 5000000 in an
    /// interpreter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000_000_u64))]
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
    #[schemars(extend("x-kubernetes-validations" = within("64Ki", "1Gi")))]
    pub memory: Option<Amount>,
    /// The size of an answer; 8Mi. From `1Ki` to `64Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = within("1Ki", "64Mi")))]
    pub output: Option<Amount>,
    /// What it may log; 64Ki. From `0` to `1Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = within("0", "1Mi")))]
    pub log: Option<Amount>,
    /// Calls at once; 4. More wait, for half of `time` at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
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

fn within(least: &str, most: &str) -> Value {
    serde_json::json!([{
        "rule": format!(
            "isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('{least}')) >= 0 \
             && quantity(string(self)).compareTo(quantity('{most}')) <= 0"
        ),
        "message": format!("write an amount of bytes from {least} to {most}"),
    }])
}
