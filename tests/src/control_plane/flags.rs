//! What each program of the control plane is started with.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

use super::Shape;

/// As whom the control plane's own programs act; `audit.yaml` leaves them out.
pub(super) const SCHEDULER: &str = "system:kube-scheduler";
pub(super) const CONTROLLERS: &str = "system:kube-controller-manager";
pub(super) const KWOK: &str = "kwok";

pub(super) struct Ports {
    pub(super) server: u16,
    etcd: u16,
    etcd_peer: u16,
    kubelet: u16,
}

impl Ports {
    pub(super) fn free() -> Result<Self> {
        Ok(Self { server: free_port()?, etcd: free_port()?, etcd_peer: free_port()?, kubelet: free_port()? })
    }
}

/// Below the range from which the system takes the local ports of connections: nobody gets it between now and its use.
pub(super) fn free_port() -> Result<u16> {
    const RANGE: std::ops::Range<u16> = 20_000..32_000;
    static USED: AtomicU16 = AtomicU16::new(0);
    let span = RANGE.end - RANGE.start;
    let first = u16::try_from(process::id() * 31 % u32::from(span))?; // processes look in different places
    (0..span)
        .map(|_| RANGE.start + (first + USED.fetch_add(1, Ordering::Relaxed) % span) % span)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("there is no free port from 20000 to 32000")
}

/// No fsync: the data is thrown away. Of the room, 8 GiB are the most that etcd advises: each of a thousand pods that name all
/// the others has four versions, and versions are kept for five minutes.
pub(super) fn etcd(ports: &Ports) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    lines(&format!(
        "--data-dir=etcd
        --listen-client-urls={client}
        --advertise-client-urls={client}
        --listen-peer-urls={peer}
        --initial-advertise-peer-urls={peer}
        --initial-cluster=default={peer}
        --quota-backend-bytes=8589934592
        --unsafe-no-fsync"
    ))
}

/// The prefix is this cluster's own: should another's etcd answer at our port, we do not share its data.
pub(super) fn api_server(ports: &Ports, shape: Shape) -> Vec<String> {
    let prefix = format!("/trainyard-{}-{}", process::id(), ports.server);
    let without = match shape {
        Shape::Full => "",
        Shape::Bare => "--disable-admission-plugins=ServiceAccount",
    };
    lines(&format!(
        "--etcd-servers=http://127.0.0.1:{}
        --etcd-prefix={prefix}
        --bind-address=127.0.0.1
        --advertise-address=10.243.0.1
        --secure-port={}
        --service-cluster-ip-range=10.96.0.0/16
        --authorization-mode=Node,RBAC
        --client-ca-file=ca.crt
        --tls-cert-file=server.crt
        --tls-private-key-file=server.key
        --service-account-key-file=accounts.pub
        --service-account-signing-key-file=accounts.key
        --service-account-issuer=https://kubernetes.default.svc
        --allow-privileged
        --kubelet-certificate-authority=ca.crt
        --audit-policy-file=audit.yaml
        --audit-log-path=audit.log
        --enable-priority-and-fairness=false
        --max-requests-inflight=3000
        --max-mutating-requests-inflight=1000
        {without}",
        ports.etcd, ports.server
    ))
}

/// No port of their own, for this and the next: nobody asks them.
pub(super) fn controller_manager(shape: Shape) -> Vec<String> {
    let controllers = match shape {
        Shape::Full => "*,-nodeipam,-cloud-node-lifecycle",
        Shape::Bare => "garbage-collector-controller,namespace-controller",
    };
    lines(&format!(
        "--kubeconfig={CONTROLLERS}.kubeconfig
        --secure-port=0
        --service-account-private-key-file=accounts.key
        --root-ca-file=ca.crt
        --use-service-account-credentials
        --leader-elect=false
        --controllers={controllers}
        --kube-api-qps=500
        --kube-api-burst=1000"
    ))
}

pub(super) fn scheduler() -> Vec<String> {
    lines(&format!(
        "--kubeconfig={SCHEDULER}.kubeconfig
        --secure-port=0
        --leader-elect=false
        --kube-api-qps=500
        --kube-api-burst=1000"
    ))
}

/// Without leases the controller manager takes the fake nodes for lost after 40 seconds. It is the kubelet of all of them,
/// which the API server asks for logs.
pub(super) fn kwok(ports: &Ports) -> Vec<String> {
    let port = ports.kubelet;
    lines(&format!(
        "--kubeconfig={KWOK}.kubeconfig
        --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake
        --config=stages.yaml
        --node-lease-duration-seconds=40
        --node-ip=127.0.0.1
        --node-port={port}
        --server-address=127.0.0.1:{port}
        --tls-cert-file=server.crt
        --tls-private-key-file=server.key
        --cidr=10.245.0.0/16"
    ))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}
