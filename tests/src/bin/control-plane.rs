//! `make cluster`: a control plane to play with, until Ctrl-C.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use trainyard_tests::ControlPlane;
use trainyard_tests::control_plane::Shape;

const NODES: u32 = 4;

fn main() -> Result<()> {
    eprintln!("starting a control plane, usually a few seconds");
    let cluster = ControlPlane::start(Shape::Full)?;
    cluster.add_nodes(NODES)?;
    writeln!(
        io::stdout(),
        "A Kubernetes control plane with {NODES} fake nodes is running. Pods are scheduled and seem to run; annotations\n\
         such as test/complete-after: 5s make them end. In another terminal:\n\n    \
         export KUBECONFIG={}\n    \
         export PATH={}:$PATH\n    \
         kubectl get nodes\n\n\
         Logs are in {}. Ctrl-C ends it and removes its folder.",
        cluster.kubeconfig().display(),
        cluster.binaries().display(),
        cluster.folder().display(),
    )?;
    // Ctrl-C ends this process, and that ends the programs.
    loop {
        cluster.check()?;
        thread::sleep(Duration::from_secs(1));
    }
}
