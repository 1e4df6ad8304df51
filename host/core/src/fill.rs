//! Completes what a plan leaves to the host: ranks, addresses, ports, lists of replicas.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::contract::{Content, Each, EachWhat, Endpoint, Form, Fragment, Kind, Network, Piece, Replica, ReplicaId};
use crate::job::{Job, ReplicaSpec};
use crate::name;

/// Where replicas are to be found.
#[derive(Clone, Debug)]
pub enum Addresses {
    /// By DNS name and the port of the container that trains. The domain follows `svc` in qualified names.
    Cluster {
        /// `cluster.local`, if the admin set one.
        domain: Option<String>,
    },
    /// On this machine: a loopback address, and a port of its own for each replica.
    Local {
        /// Free ports.
        ports: BTreeMap<ReplicaId, u16>,
    },
}

/// All that texts are completed from.
#[derive(Clone, Copy, Debug)]
pub struct Filler<'a> {
    /// Of the job.
    pub kind: &'a Kind,
    /// With defaults.
    pub job: &'a Job,
    /// Of the plan.
    pub network: Network,
    /// Where replicas are.
    pub addresses: &'a Addresses,
    /// Names of the pods that run now.
    pub running: &'a BTreeSet<String>,
}

/// Why a text of a plan cannot be completed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// `rank` or `this` in an object.
    #[error("an object belongs to no replica, so it has no rank and no address of its own")]
    NoReplica,
    /// `host` or `port` where the plan says there is no network.
    #[error("the plan asks for the address of {0}, and for no network")]
    NoNetwork(String),
    /// A type without a port.
    #[error("the plan asks for the port of {0}, which has none")]
    NoPort(String),
    /// `running-only` in a pod would change what a pod was made of.
    #[error("the plan lists running replicas in a pod")]
    RunningInPod,
    /// Text that should be JSON and is not.
    #[error("{what} is not JSON: {error}")]
    NotJson {
        /// Which text.
        what: String,
        /// The parser's words.
        error: String,
    },
    /// A fill without a place.
    #[error("there is no {0:?} in the object that is to be filled")]
    NoPlace(String),
}

/// The address of every replica in a local run.
pub const LOOPBACK: &str = "127.0.0.1";

impl Filler<'_> {
    /// Joins the pieces, for one replica or for none.
    pub fn text(&self, pieces: &[Piece], this: Option<&ReplicaId>) -> Result<String, FillError> {
        pieces.iter().map(|piece| self.piece(piece, this)).collect()
    }

    /// The same pieces, with what is alike for all replicas said once: a list of all of them in each of them grows with the
    /// square of their number.
    pub fn settled(&self, pieces: &[Piece]) -> Result<Vec<Piece>, FillError> {
        let settle = |piece: &Piece| {
            let is_alike = matches!(piece, Piece::Each(each) if !each.running_only);
            if is_alike { self.piece(piece, None).map(Piece::Literal) } else { Ok(piece.clone()) }
        };
        pieces.iter().map(settle).collect()
    }

    /// Parses a fragment and writes into its holes.
    pub fn fragment(&self, fragment: &Fragment, what: &str, this: Option<&ReplicaId>) -> Result<Value, FillError> {
        let mut value = json(&fragment.json, what)?;
        for fill in &fragment.fills {
            let content = match &fill.content {
                Content::Text(pieces) => Value::from(self.text(pieces, this)?),
                Content::Strings(each) => Value::from(self.strings(each, this)?),
            };
            *place(&mut value, &fill.at).ok_or_else(|| FillError::NoPlace(fill.at.clone()))? = content;
        }
        Ok(value)
    }

    fn piece(&self, piece: &Piece, this: Option<&ReplicaId>) -> Result<String, FillError> {
        match piece {
            Piece::Literal(text) => Ok(text.clone()),
            Piece::Rank(offset) => {
                let this = this.ok_or(FillError::NoReplica)?;
                Ok((u64::from(*offset) + u64::from(this.index)).to_string())
            }
            Piece::Host(Endpoint { replica, form }) => self.host(resolve(replica, this)?, *form),
            Piece::Port(replica) => self.port(resolve(replica, this)?).map(|port| port.to_string()),
            Piece::Each(each) => Ok(self.strings(each, this)?.join(&each.separator)),
        }
    }

    fn strings(&self, each: &Each, this: Option<&ReplicaId>) -> Result<Vec<String>, FillError> {
        if each.running_only && this.is_some() {
            return Err(FillError::RunningInPod);
        }
        let wanted = self.job.replica(&each.replica_type).map_or(0, |spec| spec.replicas);
        let ids = (0..wanted).map(|index| ReplicaId { replica_type: each.replica_type.clone(), index });
        let mut ids: Vec<_> = ids.map(|id| (self.pod_name(&id), id)).collect();
        if each.running_only {
            ids.retain(|(name, _)| self.running.contains(name));
            ids.sort();
        }
        let say = |(name, id): &(String, ReplicaId)| {
            let what = match each.what {
                EachWhat::Name => name.clone(),
                EachWhat::Host(form) => self.host(id, form)?,
                EachWhat::HostAndPort(form) => format!("{}:{}", self.host(id, form)?, self.port(id)?),
            };
            Ok([each.before.as_str(), &what, &each.after].concat())
        };
        ids.iter().map(say).collect()
    }

    fn host(&self, id: &ReplicaId, form: Form) -> Result<String, FillError> {
        let pod = self.pod_name(id);
        let short = match self.network {
            Network::None => return Err(FillError::NoNetwork(pod)),
            Network::ServicePerReplica => pod,
            Network::SharedService => format!("{pod}.{}", self.job.name),
        };
        Ok(match (self.addresses, form) {
            (Addresses::Local { .. }, _) => LOOPBACK.to_owned(),
            (Addresses::Cluster { .. }, Form::Short) => short,
            (Addresses::Cluster { domain: None }, Form::Qualified) => format!("{short}.{}.svc", self.job.namespace),
            (Addresses::Cluster { domain: Some(domain) }, Form::Qualified) => {
                format!("{short}.{}.svc.{domain}", self.job.namespace)
            }
        })
    }

    fn port(&self, id: &ReplicaId) -> Result<u16, FillError> {
        if self.network == Network::None {
            return Err(FillError::NoNetwork(self.pod_name(id)));
        }
        let port = match self.addresses {
            Addresses::Local { ports } => ports.get(id).copied(),
            Addresses::Cluster { .. } => match self.job.replica(&id.replica_type) {
                Some(spec) => spec.port(self.kind),
                None => self.kind.port.as_ref().map(|port| port.number),
            },
        };
        port.ok_or_else(|| FillError::NoPort(self.pod_name(id)))
    }

    /// Of a type that the job does not have, too.
    fn pod_name(&self, id: &ReplicaId) -> String {
        let known = self.kind.replica_types.iter().find(|known| known.name == id.replica_type);
        let single =
            self.job.replica(&id.replica_type).map_or(known.is_some_and(|known| known.single), ReplicaSpec::is_single);
        name::replica(&self.job.name, &id.replica_type, (!single).then_some(id.index))
    }
}

/// Parses JSON of a plan.
pub fn json(text: &str, what: &str) -> Result<Value, FillError> {
    serde_json::from_str(text).map_err(|error| FillError::NotJson { what: what.to_owned(), error: error.to_string() })
}

fn resolve<'a>(replica: &'a Replica, this: Option<&'a ReplicaId>) -> Result<&'a ReplicaId, FillError> {
    match replica {
        Replica::This => this.ok_or(FillError::NoReplica),
        Replica::At(id) => Ok(id),
    }
}

/// The value at a JSON pointer; its last step is made where it is missing from an object.
fn place<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    let (parent, last) = pointer.rsplit_once('/')?;
    match value.pointer_mut(parent)? {
        Value::Object(fields) => Some(fields.entry(last.replace("~1", "/").replace("~0", "~")).or_insert(Value::Null)),
        Value::Array(items) => items.get_mut(last.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture;

    fn id(replica_type: &str, index: u32) -> ReplicaId {
        ReplicaId { replica_type: replica_type.into(), index }
    }

    fn each(what: EachWhat, running_only: bool) -> Each {
        let text = |text: &str| text.to_owned();
        Each {
            replica_type: text("Worker"),
            running_only,
            before: text("<"),
            what,
            after: text(">"),
            separator: text(","),
        }
    }

    fn with<T>(addresses: &Addresses, network: Network, test: impl Fn(&Filler<'_>) -> T) -> T {
        let kind = fixture::kind();
        let job = Job::parse(&kind, &fixture::job()).unwrap();
        let running = BTreeSet::from(["train-worker-1".to_owned()]);
        test(&Filler { kind: &kind, job: &job, network, addresses, running: &running })
    }

    #[test]
    fn pieces_are_completed_for_a_cluster_and_for_this_machine() {
        let cluster = Addresses::Cluster { domain: Some("example.org".into()) };
        let local = Addresses::Local {
            ports: [(id("Master", 0), 7000), (id("Worker", 0), 7001), (id("Worker", 1), 7002)].into(),
        };
        let at = |form| Piece::Host(Endpoint { replica: Replica::At(id("Master", 0)), form });
        for (name, piece, in_cluster, here) in [
            ("literal", Piece::Literal("a".into()), "a", "a"),
            ("rank", Piece::Rank(1), "2", "2"),
            ("short host", at(Form::Short), "train-master-0", "127.0.0.1"),
            ("qualified host", at(Form::Qualified), "train-master-0.ns.svc.example.org", "127.0.0.1"),
            ("port", Piece::Port(Replica::This), "2222", "7002"),
            (
                "names",
                Piece::Each(each(EachWhat::Name, false)),
                "<train-worker-0>,<train-worker-1>",
                "<train-worker-0>,<train-worker-1>",
            ),
            (
                "endpoints",
                Piece::Each(each(EachWhat::HostAndPort(Form::Short), false)),
                "<train-worker-0:2222>,<train-worker-1:2222>",
                "<127.0.0.1:7001>,<127.0.0.1:7002>",
            ),
        ] {
            let this = id("Worker", 1);
            let text = |addresses| {
                with(addresses, Network::ServicePerReplica, |filler| {
                    let settled = filler.settled(std::slice::from_ref(&piece)).unwrap();
                    let text = filler.text(std::slice::from_ref(&piece), Some(&this));
                    assert_eq!(filler.text(&settled, Some(&this)), text, "{name}");
                    text
                })
            };
            assert_eq!((text(&cluster).unwrap(), text(&local).unwrap()), (in_cluster.into(), here.into()), "{name}");
        }
    }

    #[test]
    fn with_one_service_the_job_is_part_of_the_name() {
        let cluster = Addresses::Cluster { domain: None };
        let host = Piece::Host(Endpoint { replica: Replica::At(id("Master", 0)), form: Form::Qualified });
        let text = with(&cluster, Network::SharedService, |filler| filler.text(std::slice::from_ref(&host), None));
        assert_eq!(text.unwrap(), "train-master-0.train.ns.svc");
    }

    #[test]
    fn what_cannot_be_completed_is_refused() {
        let cluster = Addresses::Cluster { domain: None };
        let running = Piece::Each(each(EachWhat::Name, true));
        for (piece, network, this, error) in [
            (Piece::Rank(0), Network::ServicePerReplica, None, FillError::NoReplica),
            (Piece::Port(Replica::This), Network::ServicePerReplica, None, FillError::NoReplica),
            (
                Piece::Port(Replica::This),
                Network::None,
                Some(id("Worker", 0)),
                FillError::NoNetwork("train-worker-0".into()),
            ),
            (running, Network::ServicePerReplica, Some(id("Worker", 0)), FillError::RunningInPod),
        ] {
            let found = with(&cluster, network, |filler| filler.text(std::slice::from_ref(&piece), this.as_ref()));
            assert_eq!(found, Err(error), "{piece:?}");
            let settled = with(&cluster, network, |filler| filler.settled(std::slice::from_ref(&piece)));
            assert_eq!(settled, Ok(vec![piece]));
        }
    }

    #[test]
    fn fragments_are_filled_where_they_say() {
        let fragment = |at: &str, content| Fragment {
            json: r#"{"data":{},"list":["x"]}"#.into(),
            fills: vec![crate::contract::Fill { at: at.into(), content }],
        };
        let cluster = Addresses::Cluster { domain: None };
        let fill =
            |fragment: &Fragment| with(&cluster, Network::None, |filler| filler.fragment(fragment, "object 0", None));
        let hosts = Content::Text(vec![Piece::Each(each(EachWhat::Name, true))]);
        assert_eq!(
            fill(&fragment("/data/hosts", hosts.clone())).unwrap(),
            json!({"data": {"hosts": "<train-worker-1>"}, "list": ["x"]})
        );
        let names = Content::Strings(each(EachWhat::Name, false));
        assert_eq!(
            fill(&fragment("/list/0", names)).unwrap()["list"][0],
            json!(["<train-worker-0>", "<train-worker-1>"])
        );
        assert_eq!(fill(&fragment("/nowhere/hosts", hosts)), Err(FillError::NoPlace("/nowhere/hosts".into())));
    }
}
