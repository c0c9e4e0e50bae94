//! Which container a control group's path tells of. Pure.
//!
//! Every runtime names the groups of its containers in its own way, in two dialects: with the systemd driver as
//! units (`docker-<id>.scope`), with the cgroupfs driver as plain directories (`docker/<id>`). The path is read
//! from the root inwards and the innermost container counts, as containers run in containers (kind, minikube,
//! Docker-in-Docker, LXC with Docker inside). A Kubernetes pod is a group of its own around its containers.
//!
//! Groups of the runtimes' own processes are no containers: `libpod-conmon-`, `crio-conmon-`, `lxc.monitor.`,
//! nspawn's `supervisor`. Virtual machines that machined knows are none either.
//!
//! A name is all there is: whoever may make control groups, such as a user in a delegated subtree, may call one
//! like a container. So this describes, and must not be what grants an exception to anybody.

use std::sync::OnceLock;

use crate::event::{Container, Runtime};

/// Longest id or name taken over; a path component has no more.
const NAME_MAX: usize = 255;

/// The innermost container that this path of a control group lies in.
pub fn of_path(path: &str) -> Option<Container> {
    let mut found: Option<Container> = None;
    let mut pod: Option<Box<str>> = None;
    let (mut before, mut before_that) = ("", "");
    for component in path.split('/').filter(|c| !c.is_empty() && c.len() <= NAME_MAX) {
        if let Some(uid) = pod_uid(component) {
            pod = Some(uid.into());
        }
        // machined's scope of an nspawn container holds nspawn itself too.
        let is_nspawn = found.as_ref().is_some_and(|c| c.runtime == Runtime::Nspawn);
        if component == "supervisor" && is_nspawn {
            found = None;
        }
        if let Some((id, runtime)) = container(component, before, before_that) {
            found = Some(Container { id: id.into(), runtime, pod_uid: pod.clone(), labels: OnceLock::new() });
        }
        (before, before_that) = (component, before);
    }
    found
}

/// Id and runtime, if this component, with the two before it, is a container's group.
fn container(component: &str, before: &str, before_that: &str) -> Option<(String, Runtime)> {
    by_unit(component)
        .or_else(|| by_colons(component))
        .or_else(|| by_name(component, before, before_that))
        .or_else(|| by_machine(component, before))
        .or_else(|| by_lxc(component, before, before_that))
}

/// `<prefix>-<id>`, as a unit or not: the systemd driver's form, and that of CRI-O and Podman in any case.
fn by_unit(component: &str) -> Option<(String, Runtime)> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    let (prefix, id) = name.rsplit_once('-').filter(|(_, id)| is_id(id))?;
    let runtime = match prefix {
        "docker" => Runtime::Docker,
        "cri-containerd" | "containerd" | "nerdctl" => Runtime::Containerd,
        "crio" => Runtime::CriO,
        "libpod" | "libpod-payload" => Runtime::Podman,
        _ if prefix.ends_with("conmon") => return None,
        _ if name.len() < component.len() => Runtime::Unknown,
        _ => return None,
    };
    Some((id.to_owned(), runtime))
}

/// `<slice>:<prefix>:<id>`: what systemd would be asked for, used as a directory's name by mistake. Seen where the
/// kubelet and containerd do not agree on the driver.
fn by_colons(component: &str) -> Option<(String, Runtime)> {
    let mut parts = component.split(':');
    let (_slice, prefix, id) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && is_id(id);
    whole.then(|| by_unit(&format!("{prefix}-{id}.scope"))).flatten()
}

/// A directory that is called like the id: the cgroupfs driver's form. The directory above tells whose.
fn by_name(component: &str, before: &str, before_that: &str) -> Option<(String, Runtime)> {
    // Fargate's are <task>-<number> below <task>.
    if before_that == "ecs" && !before.is_empty() && component.strip_prefix(before).is_some_and(is_suffix) {
        return Some((component.to_owned(), Runtime::Containerd));
    }
    if !is_id(component) || component.len() != 64 {
        return None;
    }
    let runtime = match before {
        "docker" => Runtime::Docker,
        "k8s.io" | "default" => Runtime::Containerd,
        "libpod_parent" => Runtime::Podman,
        _ if before_that == "ecs" => Runtime::Docker,
        // Below a pod the cgroupfs driver does not say.
        _ => Runtime::Unknown,
    };
    Some((component.to_owned(), runtime))
}

fn is_suffix(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Containers that machined knows: systemd-nspawn's, and libvirt's LXC.
fn by_machine(component: &str, before: &str) -> Option<(String, Runtime)> {
    if before != "machine.slice" {
        return None;
    }
    let scope = component.strip_prefix("machine-").and_then(|rest| rest.strip_suffix(".scope"));
    let service = || component.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service"));
    let name = unescape(scope.or_else(service)?);
    match () {
        () if name.is_empty() || name.starts_with("qemu-") => None,
        () if name.starts_with("lxc-") => Some((name, Runtime::Lxc)),
        () => Some((name, Runtime::Nspawn)),
    }
}

/// LXC, LXD and Incus.
fn by_lxc(component: &str, before: &str, before_that: &str) -> Option<(String, Runtime)> {
    let by_prefix = component.strip_prefix("lxc.payload.");
    let is_below = before == "lxc.payload" || before == "lxc" && before_that.is_empty();
    let name = by_prefix.or_else(|| is_below.then_some(component)).filter(|name| !name.is_empty())?;
    Some((name.to_owned(), Runtime::Lxc))
}

/// Uid of the pod whose group this is: `pod<uid>` or `kubepods-burstable-pod<uid>.slice`, the latter with
/// underscores for hyphens. Static pods have a uid without hyphens.
fn pod_uid(component: &str) -> Option<String> {
    // The mistaken form has the container behind a colon.
    let component = component.split(':').next().unwrap_or(component);
    let uid = match component.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod").filter(|(before, _)| before.contains("kubepods"))?.1,
        None => component.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-");
    let groups: Vec<usize> = uid.split('-').map(str::len).collect();
    let shaped = groups == [8, 4, 4, 4, 12] || groups == [32];
    (shaped && uid.bytes().all(|b| b == b'-' || is_hex(b))).then_some(uid)
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// A container's id: 64 lower-case hexadecimal digits; some tools shorten it behind a prefix, not below 12.
fn is_id(text: &str) -> bool {
    (12..=64).contains(&text.len()) && text.bytes().all(is_hex)
}

/// Undoes systemd's `\x2d` in the name of a unit.
fn unescape(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.strip_prefix(b"x").and_then(|hex| hex.get(..2));
        let escaped = digits
            .filter(|digits| byte == b'\\' && digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const B: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
    const POD: &str = "8f1c2d3e-4b5a-6978-8796-a5b4c3d2e1f0";
    const POD_: &str = "8f1c2d3e_4b5a_6978_8796_a5b4c3d2e1f0";
    const STATIC: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

    /// Paths as found on real hosts; `{A}`, `{B}`: ids, `{P}`, `{_}`: a pod's uid, `{S}`: a static pod's.
    const CONTAINERS: &[(&str, &str, Runtime, Option<&str>)] = &[
        ("/docker/{A}", A, Runtime::Docker, None),
        ("/system.slice/docker-{A}.scope", A, Runtime::Docker, None),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope",
            A,
            Runtime::Docker,
            None,
        ),
        ("/system.slice/docker-{A}.scope/init.scope", A, Runtime::Docker, None),
        // Docker-in-Docker.
        ("/docker/{A}/docker/{B}", B, Runtime::Docker, None),
        ("/system.slice/docker-{A}.scope/docker/{B}", B, Runtime::Docker, None),
        // containerd: ctr, nerdctl.
        ("/default/{A}", A, Runtime::Containerd, None),
        ("/k8s.io/{A}", A, Runtime::Containerd, None),
        ("/system.slice/nerdctl-{A}.scope", A, Runtime::Containerd, None),
        // Podman: rootful, rootless, cgroupfs, quadlet.
        ("/machine.slice/libpod-{A}.scope", A, Runtime::Podman, None),
        ("/machine.slice/libpod-{A}.scope/container", A, Runtime::Podman, None),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container/foo.service",
            A,
            Runtime::Podman,
            None,
        ),
        ("/libpod_parent/libpod-{A}", A, Runtime::Podman, None),
        ("/libpod_parent/{A}", A, Runtime::Podman, None),
        ("/system.slice/web.service/libpod-payload-{A}", A, Runtime::Podman, None),
        // Kubernetes with the systemd driver: each class, then CRI-O, Docker and a static pod.
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{_}.slice/cri-containerd-{A}.scope",
            A,
            Runtime::Containerd,
            Some(POD),
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{_}.slice/cri-containerd-{A}.scope",
            A,
            Runtime::Containerd,
            Some(POD),
        ),
        ("/kubepods.slice/kubepods-pod{_}.slice/cri-containerd-{A}.scope", A, Runtime::Containerd, Some(POD)),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{_}.slice/crio-{A}.scope",
            A,
            Runtime::CriO,
            Some(POD),
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{_}.slice/crio-{A}.scope/container",
            A,
            Runtime::CriO,
            Some(POD),
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{_}.slice/docker-{A}.scope",
            A,
            Runtime::Docker,
            Some(POD),
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{S}.slice/cri-containerd-{A}.scope",
            A,
            Runtime::Containerd,
            Some(STATIC),
        ),
        // Kubernetes with the cgroupfs driver.
        ("/kubepods/burstable/pod{P}/{A}", A, Runtime::Unknown, Some(POD)),
        ("/kubepods/besteffort/pod{P}/{A}", A, Runtime::Unknown, Some(POD)),
        ("/kubepods/pod{P}/{A}", A, Runtime::Unknown, Some(POD)),
        ("/kubepods/burstable/pod{P}/crio-{A}", A, Runtime::CriO, Some(POD)),
        ("/kubepods/burstable/pod{S}/{A}", A, Runtime::Unknown, Some(STATIC)),
        // The drivers do not agree.
        (
            "/system.slice/containerd.service/kubepods-burstable-pod{_}.slice:cri-containerd:{A}",
            A,
            Runtime::Containerd,
            Some(POD),
        ),
        ("/kubepods-besteffort-pod{_}.slice:cri-containerd:{A}", A, Runtime::Containerd, Some(POD)),
        // kind and minikube: a node in Docker, pods in the node.
        ("/docker/{A}/kubelet/kubepods/burstable/pod{P}/{B}", B, Runtime::Unknown, Some(POD)),
        (
            "/system.slice/docker-{A}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{_}.slice/cri-containerd-{B}.scope",
            B,
            Runtime::Containerd,
            Some(POD),
        ),
        (
            "/system.slice/docker-{A}.scope/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{_}.slice/docker-{B}.scope",
            B,
            Runtime::Docker,
            Some(POD),
        ),
        ("/system.slice/docker-{A}.scope/system.slice/kubelet.service", A, Runtime::Docker, None),
        // A pod that runs Docker.
        ("/kubepods/burstable/pod{P}/{A}/docker/{B}", B, Runtime::Docker, Some(POD)),
        // ECS: on EC2 with either driver, on Fargate.
        ("/ecs/{S}/{A}", A, Runtime::Docker, None),
        ("/ecs/family/8f1c2d3e-4b5a-6978-8796-a5b4c3d2e1f0/{A}", A, Runtime::Unknown, None),
        ("/ecstasks.slice/ecstasks-{S}.slice/docker-{A}.scope", A, Runtime::Docker, None),
        ("/ecs/{S}/{S}-1234567890", "0a1b2c3d4e5f60718293a4b5c6d7e8f9-1234567890", Runtime::Containerd, None),
        // LXC, LXD.
        ("/lxc.payload.web-1", "web-1", Runtime::Lxc, None),
        ("/lxc.payload.web/system.slice/cron.service", "web", Runtime::Lxc, None),
        ("/lxc.payload/web", "web", Runtime::Lxc, None),
        ("/lxc/web", "web", Runtime::Lxc, None),
        ("/lxc/web/ns/user.slice", "web", Runtime::Lxc, None),
        ("/lxc.payload.web/docker/{A}", A, Runtime::Docker, None),
        ("/machine.slice/machine-lxc\\x2d4711\\x2dweb.scope", "lxc-4711-web", Runtime::Lxc, None),
        // systemd-nspawn.
        ("/machine.slice/machine-web.scope/payload/init.scope", "web", Runtime::Nspawn, None),
        ("/machine.slice/machine-web\\x2d1.scope", "web-1", Runtime::Nspawn, None),
        ("/machine.slice/systemd-nspawn@web.service/payload", "web", Runtime::Nspawn, None),
        // A runtime that has not been heard of.
        ("/system.slice/runx-{A}.scope", A, Runtime::Unknown, None),
        ("/actions_job/{A}", A, Runtime::Unknown, None),
    ];

    const NO_CONTAINERS: &[&str] = &[
        "",
        "/",
        "/init.scope",
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/user.slice/user-1000.slice/session-3.scope",
        "/docker",
        "/docker/buildkit",
        "/system.slice/docker-.scope",
        "/system.slice/docker-0123456789a.scope",
        "/system.slice/docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0.scope",
        "/system.slice/docker-0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef.scope",
        "/docker/0123456789abcdef0123456789abcdef",
        "/machine.slice/libpod-conmon-{A}.scope",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{_}.slice/crio-conmon-{A}.scope",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{_}.slice",
        "/kubepods/burstable/pod{P}",
        "/lxc.monitor.web",
        "/lxc.monitor/web",
        "/lxc.payload.",
        "/user.slice/lxc/web",
        "/machine.slice/machine-web.scope/supervisor",
        "/machine.slice/systemd-nspawn@web.service/supervisor",
        "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
        "/machine.slice/machine-.scope",
        "/user.slice/machine-web.scope",
        "/ecs",
        "/ecs/{S}",
        "/ecs/{S}/{S}-",
        "/ecs/{S}/{S}-12x",
        "/a:b:{A}:c",
        "/x:docker:0123",
    ];

    fn fill(path: &str) -> String {
        let pairs = [("{A}", A), ("{B}", B), ("{P}", POD), ("{_}", POD_), ("{S}", STATIC)];
        pairs.iter().fold(path.to_owned(), |path, (mark, text)| path.replace(mark, text))
    }

    #[test]
    fn paths_of_containers() {
        for (path, id, runtime, pod) in CONTAINERS {
            let expected = Container {
                id: (*id).into(),
                runtime: *runtime,
                pod_uid: pod.map(Box::from),
                labels: OnceLock::new(),
            };
            assert_eq!(of_path(&fill(path)), Some(expected), "{path}");
        }
    }

    #[test]
    fn paths_of_others() {
        for path in NO_CONTAINERS {
            assert_eq!(of_path(&fill(path)), None, "{path}");
        }
    }

    #[test]
    fn the_runtimes_own_groups_belong_to_what_is_around_them() {
        let path = fill("/docker/{A}/machine.slice/libpod-conmon-{B}.scope");
        assert_eq!(of_path(&path).unwrap().id.as_ref(), A);
    }

    proptest! {
        #[test]
        fn any_path_does_no_harm(path in "(/(docker|lxc|pod|ecs|[-a-f0-9:.x\\\\é]{0,70}|kubepods-pod[a-f0-9_]{0,40}\\.slice|machine.slice|machine-[\\\\x0-9é]*\\.scope)){0,8}") {
            if let Some(container) = of_path(&path) {
                prop_assert!(!container.id.is_empty() && container.id.len() <= 3 * NAME_MAX);
            }
        }

        #[test]
        fn any_text_does_no_harm(path in "\\PC{0,200}") {
            let _ = of_path(&path);
        }
    }
}
