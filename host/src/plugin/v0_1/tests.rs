//! The model and the contract have the same shape: every type and every case survives the way there and back.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use trainyard_core::contract::*;

use super::Serialize;
use super::bindings::exports::trainyard::framework::framework as contract;
use crate::plugin::sample;

/// From the model to the contract and back.
fn survives<C: Serialize + DeserializeOwned, M: Serialize + DeserializeOwned + PartialEq + Debug>(model: &M) {
    let there: C = serde_json::from_slice(&serde_json::to_vec(model).unwrap()).unwrap();
    let back: M = serde_json::from_slice(&serde_json::to_vec(&there).unwrap()).unwrap();
    assert_eq!(back, *model);
}

fn text<T: From<&'static str>>(text: &'static str) -> T {
    text.into()
}

fn issues() -> Vec<Issue> {
    let issue = |severity, problem| Issue { severity, path: text("spec.x"), problem, detail: text("no") };
    vec![
        issue(Severity::Error, Problem::Required),
        issue(Severity::Warning, Problem::Invalid(text("1"))),
        issue(Severity::Error, Problem::Duplicate(text("1"))),
        issue(Severity::Error, Problem::Forbidden),
        issue(Severity::Error, Problem::NotSupported((text("1"), vec![text("2"), text("3")]))),
    ]
}

fn pieces() -> Vec<Piece> {
    let at = || Replica::At(ReplicaId { replica_type: text("Worker"), index: 7 });
    let each = |what| Each {
        replica_type: text("Worker"),
        running_only: true,
        before: text("("),
        what,
        after: text(")"),
        separator: text(","),
    };
    vec![
        Piece::Literal(text("a")),
        Piece::Rank(3),
        Piece::Host(Endpoint { replica: Replica::This, form: Form::Short }),
        Piece::Host(Endpoint { replica: at(), form: Form::Qualified }),
        Piece::Port(at()),
        Piece::Each(each(EachWhat::Name)),
        Piece::Each(each(EachWhat::Host(Form::Short))),
        Piece::Each(each(EachWhat::HostAndPort(Form::Qualified))),
    ]
}

fn fragment() -> Fragment {
    let strings = match pieces().pop() {
        Some(Piece::Each(each)) => Content::Strings(each),
        other => panic!("the last piece is an each: {other:?}"),
    };
    let fill = |content| Fill { at: text("/data/x"), content };
    Fragment { json: text("{}"), fills: vec![fill(Content::Text(pieces())), fill(strings)] }
}

fn plan() -> JobPlan {
    let env = |value, to, replicas, existing| Env { name: text("X"), value, to, replicas, existing };
    let gate = |state| Gate { replica_type: text("Worker"), state };
    let object = |existing, while_suspended| Object { object: fragment(), existing, while_suspended };
    JobPlan {
        replicas: vec![ReplicaPlan {
            replica_type: text("Worker"),
            leads: Which::First,
            env: vec![
                env(Value::Text(pieces()), Containers::All, Which::All, Existing::Append),
                env(Value::Field(text("status.podIP")), Containers::First, Which::None, Existing::Keep),
                env(Value::Text(vec![]), Containers::Named(text("x")), Which::Rest, Existing::Keep),
            ],
            default_command: Some(Command {
                to: Containers::First,
                command: vec![text("sleep")],
                args: vec![text("1")],
            }),
            init_containers: vec![fragment()],
            volumes: vec![text("{}")],
            mounts: vec![Mount { to: Containers::All, mount: text("{}") }],
            service_account: Some(text("x")),
            after: [GateState::Running, GateState::Ready, GateState::Succeeded].map(gate).into(),
        }],
        network: Network::SharedService,
        objects: vec![
            object(ObjectExisting::UseAny, WhileSuspended::Keep),
            object(ObjectExisting::KeepOurs, WhileSuspended::Delete),
            object(ObjectExisting::UpdateOurs, WhileSuspended::Keep),
        ],
        ssh_keys: vec![text("x")],
    }
}

fn observed() -> Observed {
    let pod = |phase| Pod {
        replica_type: text("Worker"),
        index: 1,
        phase,
        ready: true,
        exit_code: Some(-1),
        reason: text("Evicted"),
        message: text("m"),
        restarts: 2,
        node: Some(text("n")),
        disruption: Some(text("PreemptionByScheduler")),
    };
    let total = Total {
        replica_type: text("Worker"),
        wanted: 6,
        active: 5,
        succeeded: 4,
        failed: 3,
        restarting: 2,
        evicted: 1,
    };
    let phases = [Phase::Pending, Phase::Running, Phase::Succeeded, Phase::Failed, Phase::Unknown];
    Observed { totals: vec![total], pods: phases.map(pod).into(), attempt: 9 }
}

fn assessment(scope: RestartScope) -> Assessment {
    Assessment {
        verdicts: vec![
            Verdict::Running(text("r")),
            Verdict::Restarting(text("re")),
            Verdict::Succeeded(text("s")),
            Verdict::Failed(Failure { reason: Some(text("Why")), message: text("m") }),
        ],
        restart: Some(Restart { scope, counts: true, message: text("m") }),
        events: vec![Event { warning: true, reason: text("Why"), message: text("m") }],
        check_after: Some(30),
    }
}

#[test]
fn every_type_survives_the_way_to_the_contract_and_back() {
    let mut description = sample::description();
    survives::<contract::Description, _>(&description);
    for policy in [RestartPolicy::Never, RestartPolicy::OnFailure, RestartPolicy::Always] {
        let kind = Kind { restart_policy: policy, port: None, scales: None, ..description.kinds[0].clone() };
        description.kinds.push(kind);
    }
    survives::<contract::Description, _>(&description);
    let context =
        Context { name: text("n"), namespace: text("ns"), job: text("{\"a\":\"ü\\n\"}"), settings: text("{}") };
    survives::<contract::Context, _>(&context);
    survives::<Vec<contract::Issue>, _>(&issues());
    survives::<contract::JobPlan, _>(&plan());
    for network in [Network::None, Network::ServicePerReplica] {
        survives::<contract::JobPlan, _>(&JobPlan { network, ..plan() });
    }
    survives::<contract::Observed, _>(&observed());
    let replicas = vec![ReplicaId { replica_type: text("Worker"), index: 0 }];
    for scope in [RestartScope::Replicas(replicas), RestartScope::ReplicaType(text("Worker")), RestartScope::All] {
        survives::<contract::Assessment, _>(&assessment(scope));
    }
    survives::<contract::Refusal, _>(&Refusal::Invalid(issues()));
    survives::<contract::Refusal, _>(&Refusal::Unsupported(text("no")));
}
