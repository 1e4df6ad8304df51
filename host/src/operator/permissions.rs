//! What the operator needs for the jobs of a plugin, and whether it may.

use futures::StreamExt as _;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use trainyard_core::contract::{Kind, ObjectKind};

use super::api::resource;
use super::plugins::Failure;

/// Verbs on a resource of a group, in the words of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    group: String,
    resource: String,
    verbs: Vec<&'static str>,
}

/// Questions under way at once.
const PARALLEL: usize = 8;

/// What jobs of these kinds with these objects take.
fn needed(kinds: &[&Kind], objects: &[ObjectKind]) -> Vec<Rule> {
    let rule = |group: &str, resource: String, verbs: &[&'static str]| Rule {
        group: group.to_owned(),
        resource,
        verbs: verbs.to_vec(),
    };
    let of_kind = |kind: &&Kind| {
        let (group, plural) = (&kind.group, &kind.plural);
        [
            rule(group, plural.clone(), &["list", "watch", "delete"]),
            rule(group, format!("{plural}/status"), &["update"]),
            rule(group, format!("{plural}/finalizers"), &["update"]),
        ]
    };
    let of_object = |object: &ObjectKind| {
        let found = resource(&object.api_version, &object.kind);
        rule(&found.group, found.plural, &["list", "watch", "create", "update", "delete", "get"])
    };
    kinds.iter().flat_map(of_kind).chain(objects.iter().map(of_object)).collect()
}

/// Asks for each; what is missing is named, with the rules to add.
pub(super) async fn check(
    client: &Client,
    namespace: &str,
    kinds: &[&Kind],
    objects: &[ObjectKind],
) -> Result<(), Failure> {
    let needed = needed(kinds, objects);
    let questions = needed.iter().flat_map(|rule| rule.verbs.iter().map(move |verb| (rule, *verb)));
    let questions: Vec<_> = questions
        .map(|(rule, verb)| async move {
            let may = may(client, namespace, rule, verb).await?;
            Ok::<_, kube::Error>((!may).then(|| Rule { verbs: vec![verb], ..rule.clone() }))
        })
        .collect();
    let answers: Vec<_> = futures::stream::iter(questions).buffered(PARALLEL).collect().await;
    let missing = answers.into_iter().collect::<Result<Vec<_>, _>>();
    let missing = missing.map_err(|error| Failure::ready("PermissionUnknown", error.to_string()).soon())?;
    let missing = merged(missing.into_iter().flatten());
    if missing.is_empty() {
        return Ok(());
    }
    let rules: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let message = format!(
        "the operator may not do all that jobs of this plugin take; add a ClusterRole with the label \
         trainyard.dev/aggregate-to-operator: \"true\" and these rules: [{}]",
        rules.join(", ")
    );
    Err(Failure::ready("PermissionMissing", message).soon())
}

async fn may(client: &Client, namespace: &str, rule: &Rule, verb: &str) -> kube::Result<bool> {
    let (plural, subresource) = rule.resource.split_once('/').unwrap_or((&rule.resource, ""));
    let named = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let attributes = ResourceAttributes {
        group: Some(rule.group.clone()),
        namespace: named(namespace),
        resource: named(plural),
        subresource: named(subresource),
        verb: named(verb),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..Default::default() };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// One rule for each resource.
fn merged(rules: impl Iterator<Item = Rule>) -> Vec<Rule> {
    rules.fold(Vec::new(), |mut all: Vec<Rule>, rule| {
        match all.iter_mut().find(|known| (&known.group, &known.resource) == (&rule.group, &rule.resource)) {
            Some(known) => known.verbs.extend(rule.verbs),
            None => all.push(rule),
        }
        all
    })
}

/// As a line of YAML.
impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { group, resource, verbs } = self;
        let group = if group.is_empty() { "\"\"" } else { group };
        write!(f, "{{apiGroups: [{group}], resources: [{resource}], verbs: [{}]}}", verbs.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_as_few_rules_as_there_are_resources() {
        let object = ObjectKind { api_version: "v1".into(), kind: "Secret".into() };
        let rules = needed(&[], &[object]);
        let each = rules.iter().flat_map(|rule| {
            rule.verbs.iter().filter(|verb| **verb != "get").map(|verb| Rule { verbs: vec![verb], ..rule.clone() })
        });
        let said: Vec<_> = merged(each).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["{apiGroups: [\"\"], resources: [secrets], verbs: [list, watch, create, update, delete]}"]);
    }
}
