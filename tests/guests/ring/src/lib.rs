//! Ring, a framework that does not exist: a leader and members on a ring; who knows the others can find its neighbours.

use trainyard_plugin::plan::{each, env, host, literal, port, rank, replica};
use trainyard_plugin::{
    Assessment, Description, EachWhat, Form, Framework, Issue, Job, JobPlan, Kind, Network, Observed, Piece, Port,
    Refusal, Replica, ReplicaPlan, ReplicaType, RestartPolicy, Verdict, Which, issue, verdict,
};

const LEADER: &str = "Leader";
const MEMBER: &str = "Member";

/// The plugin.
pub struct Ring;

trainyard_plugin::export!(Ring);

impl Framework for Ring {
    fn describe() -> Description {
        Description {
            name: "ring".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kinds: vec![Kind {
                group: "example.com".into(),
                kind: "RingJob".into(),
                plural: "ringjobs".into(),
                short_names: vec!["ring".into()],
                replica_specs: "replicaSpecs".into(),
                replica_types: [LEADER, MEMBER].map(ReplicaType::from).into(),
                container: "ring".into(),
                port: Some(Port { name: "ring".into(), number: 7000 }),
                restart_policy: RestartPolicy::OnFailure,
                ..Kind::default()
            }],
            objects: Vec::new(),
            settings_schema: "{}".into(),
        }
    }

    fn validate(job: &Job, _old: Option<&Job>) -> Vec<Issue> {
        let mut issues: Vec<_> = issue::replica_map(job).into_iter().collect();
        for replica_type in job.replica_types() {
            issues.extend(issue::known_type(job, replica_type));
            issues.extend(issue::containers(job, replica_type));
            issues.extend(issue::at_least_one(job, replica_type));
        }
        issues.extend((!job.has(MEMBER)).then(|| issue::required(job.path(MEMBER), "a ring needs members")));
        issues
    }

    fn plan(job: &Job) -> Result<JobPlan, Refusal> {
        let replicas = job.replica_types().into_iter().map(|replica_type| {
            let leads = if replica_type == LEADER { Which::All } else { Which::None };
            let first = if replica_type == LEADER { 0 } else { job.replicas(LEADER) };
            let env = vec![
                env("RING_LEADER", [host(LEADER, 0), literal(":"), port(LEADER, 0)]),
                env("RING_MEMBERS", each(MEMBER, EachWhat::HostAndPort(Form::Short))),
                env("RING_POSITION", rank(first)),
                env("RING_SIZE", literal(job.total_replicas())),
                env("RING_LISTEN", Piece::Port(Replica::This)),
            ];
            ReplicaPlan { leads, env, ..replica(replica_type) }
        });
        let (replicas, network) = (replicas.collect(), Network::SharedService);
        Ok(JobPlan { replicas, network, objects: Vec::new(), ssh_keys: Vec::new() })
    }

    /// The members decide, all of them.
    fn assess(job: &Job, seen: &Observed) -> Assessment {
        let Some(members) = seen.total(MEMBER) else { return vec![].into() };
        let verdict = if members.succeeded == members.wanted {
            Verdict::Succeeded(format!("RingJob {} is closed.", job.name))
        } else if members.failed > 0 {
            verdict::of_failures(job, members)
        } else if members.active + members.succeeded == members.wanted {
            Verdict::Running(format!("RingJob {} is turning.", job.name))
        } else {
            return vec![].into();
        };
        vec![verdict].into()
    }
}
