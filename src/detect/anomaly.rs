//! Anomalies: events that show a program doing what it never did.
//!
//! Says which doings of an event are looked at and what is told of new ones; what is usual is known by [`Novelty`]. Ports
//! that the kernel hands out are one port, and addresses count by their network (24 bits of IPv4, 48 of IPv6), as a
//! service's neighbours are its usual peers. The loopback network is left out.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use super::judge::{Case, Hit};
use super::novelty::{Deed, Novelty};
use super::sigma::rule::{About, Level};
use crate::event::{Body, Container, Kind, Network};

/// The first port that Linux hands out by itself, see ip_local_port_range in ip(7).
const EPHEMERAL: u32 = 32_768;

static CHILD: LazyLock<Arc<About>> = LazyLock::new(|| {
    about("novelty-child", "Program runs another one for the first time", "attack.execution")
});
static LISTEN: LazyLock<Arc<About>> = LazyLock::new(|| {
    about("novelty-listen", "Program listens on a port for the first time", "attack.persistence")
});
static CONNECT: LazyLock<Arc<About>> = LazyLock::new(|| {
    about("novelty-connect", "Program connects to a network for the first time", "attack.command-and-control")
});

fn about(id: &str, title: &str, tactic: &str) -> Arc<About> {
    Arc::new(About {
        source: Arc::from("anomalies"),
        line: 1,
        id: id.into(),
        name: Some(id.into()),
        title: title.into(),
        description: "The program was seen on this host, or in this container, for longer than a day and never did this."
            .into(),
        author: "SentinelEdge".into(),
        license: None,
        references: Vec::new(),
        tags: vec![tactic.into()],
        false_positives: vec!["Updates, new configuration, work that is done once a month".into()],
        status: None,
        level: Level::Low,
    })
}

/// Where a container's programs are at home: in its image, whose containers come and go; by its id where no runtime told
/// the image.
fn place(container: &Container) -> &[u8] {
    let image = container.labels.get().and_then(|labels| labels.image_name());
    image.map_or(&*container.id, |image| image.name).as_bytes()
}

/// Adds a hit if the event shows something new.
pub fn add(case: &Case<'_>, novelty: &Novelty, hits: &mut Vec<Hit>) {
    let context = case.input.context;
    let place = context.container.as_deref().map_or(&b"host"[..], place);
    let wall_ns = case.input.event.time_ns.saturating_add_signed(case.wall_offset_ns);
    let process = context.process.as_deref().map(|process| &*process.image.executable);
    let is_new = |program: &[u8], deed: Deed, what: &[u8]| {
        !program.is_empty() && novelty.is_new(place, program, deed, what, wall_ns)
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match &case.input.event.body {
        Body::Exec(exec) => {
            let child = exec.program.executable;
            let parent = context.parent.as_deref().map(|parent| &*parent.image.executable);
            if let Some(parent) =
                parent.filter(|parent| *parent != child && is_new(parent, Deed::Child, child))
            {
                let matched = vec![("ParentImage".into(), text(parent)), ("Image".into(), text(child))];
                hits.push(case.hit(&CHILD, "process_creation", matched));
            }
        }
        Body::Network(network) if network.kind == Kind::NetListen && network.errno == 0 => {
            let port = if network.local.port >= EPHEMERAL {
                "any".to_owned()
            } else {
                network.local.port.to_string()
            };
            if let Some(program) = process.filter(|program| is_new(program, Deed::Listen, port.as_bytes())) {
                let matched = vec![("Image".into(), text(program)), ("SourcePort".into(), port)];
                hits.push(case.hit(&LISTEN, "network_listen", matched));
            }
        }
        Body::Network(network) if network.kind == Kind::NetConnect => {
            let Some((address, block)) = block(network) else { return };
            if let Some(program) = process.filter(|program| is_new(program, Deed::Connect, &block)) {
                let matched =
                    vec![("Image".into(), text(program)), ("DestinationIp".into(), address.to_string())];
                hits.push(case.hit(&CONNECT, "network_connection", matched));
            }
        }
        _ => {}
    }
}

/// The address on the other side and its network, unless it is this host.
fn block(network: &Network<'_>) -> Option<(IpAddr, Vec<u8>)> {
    let address = network.remote.ip(network.family)?.to_canonical();
    if address.is_loopback() || address.is_unspecified() {
        return None;
    }
    let block = match address {
        IpAddr::V4(v4) => v4.octets().get(..3)?.to_vec(),
        IpAddr::V6(v6) => v6.octets().get(..6)?.to_vec(),
    };
    Some((address, block))
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::event::{Labels, Runtime};

    #[test]
    fn containers_of_an_image_are_one_place() {
        let container = |id: &str, image: Option<&str>| {
            let labels = OnceLock::new();
            if let Some(image) = image {
                let of_image = Labels { image: Some(image.into()), ..Labels::default() };
                labels.set(Box::new(of_image)).unwrap();
            }
            Container { id: id.into(), runtime: Runtime::Docker, pod_uid: None, labels }
        };
        assert_eq!(place(&container("a", Some("web:1"))), b"web");
        assert_eq!(place(&container("b", Some("web:2@sha256:00"))), b"web");
        assert_eq!(place(&container("c", None)), b"c");
    }
}
