//! Where a component is, and who vouches for it, as an admin writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Where the component is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, transform = schema::exactly_one)]
pub enum SourceSpec {
    /// In the operator itself.
    Bundled(BundledSource),
    /// In a registry.
    Oci(OciSource),
    /// In a ConfigMap of the operator's namespace: at most 1 MiB.
    ConfigMap(ConfigMapSource),
    /// In a file of the operator's container.
    File(FileSource),
}

/// A plugin in the operator itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct BundledSource {
    /// What it is called.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// An artifact in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct OciSource {
    /// `registry.example/team/plugin:1.2`, or with `@sha256:…` in place of the tag: then it is that artifact for ever. A tag
    /// is looked up when it is written here, and when the operator starts.
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = [{
        "rule": r"self.matches('^(oci://)?[^/@[:space:]]+/[^:@[:space:]]+(:[^:/@[:space:]]+|(:[^:/@[:space:]]+)?@sha256:[0-9a-f]{64})$')",
        "message": "write it in full, as in registry.example/team/plugin:1.2, or with @sha256:… and 64 digits",
    }]))]
    pub reference: String,
    /// The secret, in the operator's namespace, with the credentials for the registry: of type
    /// kubernetes.io/dockerconfigjson.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_secret: Option<Named>,
    /// Authorities that are trusted beside those of the operator's system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Ca>,
    /// Whether the registry has no TLS. Everybody on the way can read the credentials and, of a tag, choose the artifact.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub plain_http: bool,
    /// Asked before the registry itself, in this order: `mirror.example:5000`, with `http://` in front if it has no TLS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 300)))]
    pub mirrors: Vec<String>,
}

/// Authorities: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, transform = schema::exactly_one)]
pub enum Ca {
    /// In a ConfigMap of the operator's namespace.
    ConfigMap(KeyOfConfigMap),
    /// PEM, as it is.
    Pem(String),
}

/// Something in the operator's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Named {
    /// What it is called.
    #[schemars(length(max = 253), regex(pattern = schema::NAME))]
    pub name: String,
}

/// A component in a ConfigMap of the operator's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct ConfigMapSource {
    /// What the ConfigMap is called.
    #[schemars(length(max = 253), regex(pattern = schema::NAME))]
    pub name: String,
    /// Under which key of its binaryData the component is.
    #[serde(default = "component_key")]
    #[schemars(length(max = 253), regex(pattern = schema::KEY))]
    pub key: String,
}

/// A text in a ConfigMap of the operator's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct KeyOfConfigMap {
    /// What the ConfigMap is called.
    #[schemars(length(max = 253), regex(pattern = schema::NAME))]
    pub name: String,
    /// Under which key of its data the text is.
    #[serde(default = "ca_key")]
    #[schemars(length(max = 253), regex(pattern = schema::KEY))]
    pub key: String,
}

/// A file of the operator's container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct FileSource {
    /// From the root on.
    #[schemars(length(max = 4096), regex(pattern = "^/"))]
    pub path: String,
}

/// Whose signature is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, transform = schema::exactly_one)]
pub enum SignatureSpec {
    /// Public keys as in `cosign.pub`: PEM, of ECDSA with P-256 or of Ed25519. One of them has to have signed.
    Keys(
        #[schemars(
            length(min = 1, max = 16),
            inner(length(max = 4096), regex(pattern = "-----BEGIN PUBLIC KEY-----"))
        )]
        Vec<String>,
    ),
    /// Who has to have signed without a key, as a certificate of Sigstore says.
    Identity(Box<IdentitySpec>),
}

/// Somebody whom an issuer of identities knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct IdentitySpec {
    /// What the certificate is for: an address of electronic mail, or the URI of a workflow or a service account. With `*` at
    /// the end all that begin so: let nobody else have one of these.
    #[schemars(length(min = 1, max = 2048))]
    pub subject: String,
    /// Who says so: `https://token.actions.githubusercontent.com`
    #[schemars(length(min = 1, max = 2048))]
    pub issuer: String,
    /// The authorities and logs of the Sigstore in which it was signed.
    pub trusted_root: TrustedRootSpec,
}

/// Authorities and logs: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, transform = schema::exactly_one)]
pub enum TrustedRootSpec {
    /// In a ConfigMap of the operator's namespace.
    ConfigMap(TrustedRootSource),
}

/// A trusted root in a ConfigMap of the operator's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct TrustedRootSource {
    /// What the ConfigMap is called.
    #[schemars(length(max = 253), regex(pattern = schema::NAME))]
    pub name: String,
    /// Under which key of its data it is.
    #[serde(default = "trusted_root_key")]
    #[schemars(length(max = 253), regex(pattern = schema::KEY))]
    pub key: String,
}

fn component_key() -> String {
    "plugin.wasm".into()
}

fn ca_key() -> String {
    "ca.crt".into()
}

fn trusted_root_key() -> String {
    "trusted_root.json".into()
}
