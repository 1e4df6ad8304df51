//! A free loopback port for each replica, kept until the replica starts.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
use trainyard_core::contract::{Kind, ReplicaId};
use trainyard_core::fill::Addresses;
use trainyard_core::job::Job;

/// Ports of replicas that have not started.
pub(super) struct Ports {
    kept: BTreeMap<String, OwnedFd>,
}

impl Ports {
    /// One for each replica of the job; and one for the first of each type that the job does not have, whose address a
    /// plan may spell all the same.
    pub(super) fn keep(kind: &Kind, job: &Job) -> io::Result<(Self, Addresses)> {
        let (mut ports, mut kept) = (BTreeMap::new(), BTreeMap::new());
        for spec in &job.replicas {
            for index in 0..spec.replicas {
                let (port, socket) = free_port()?;
                ports.insert(ReplicaId { replica_type: spec.name.clone(), index }, port);
                kept.insert(job.pod_name(spec, index), socket);
            }
        }
        for known in &kind.replica_types {
            let first = ReplicaId { replica_type: known.name.clone(), index: 0 };
            if let std::collections::btree_map::Entry::Vacant(entry) = ports.entry(first) {
                entry.insert(free_port()?.0);
            }
        }
        Ok((Self { kept }, Addresses::Local { ports }))
    }

    /// The pod is about to start and will want its port.
    pub(super) fn release(&mut self, pod: &str) {
        self.kept.remove(pod);
    }
}

/// Bound, and not listened on: who connects too early is refused, as he would be by the replica.
fn free_port() -> io::Result<(u16, OwnedFd)> {
    // Not for the replicas: a port is free when the last copy of its socket is closed.
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let address = SocketAddrV4::try_from(getsockname(&socket)?)?;
    Ok((address.port(), socket))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_port_is_kept_and_silent_until_it_is_released() {
        let (port, socket) = free_port().unwrap();
        let address = (Ipv4Addr::LOCALHOST, port);
        assert_eq!(TcpListener::bind(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        drop(socket);
        assert_eq!(TcpListener::bind(address).unwrap().local_addr().unwrap().port(), port);
    }
}
