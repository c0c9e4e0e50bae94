//! Files as runtimes write them, cut to what counts. That of Podman is Podman's own; of the others none can be had where
//! these tests run, and their files follow their source.

use std::fs;
use std::sync::OnceLock;
use std::time::Instant;

use super::*;
use crate::event::Runtime;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A host's root directory with one file about the container.
fn host(place: &str, text: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(place.replace("ID", ID));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    root
}

fn labels(name: &str, image: &str, pod: Option<&str>, namespace: Option<&str>) -> Labels {
    Labels {
        name: Some(name.into()),
        image: Some(image.into()),
        pod: pod.map(Box::from),
        namespace: namespace.map(Box::from),
    }
}

#[test]
fn containerd_below_kubernetes() {
    let text = r#"{"ociVersion":"1.1.0","process":{"args":["nginx"]},"annotations":{
        "io.kubernetes.cri.container-name":"web","io.kubernetes.cri.container-type":"container",
        "io.kubernetes.cri.image-name":"docker.io/library/nginx:1.27","io.kubernetes.cri.sandbox-id":"ab",
        "io.kubernetes.cri.sandbox-name":"web-7c5-x2x","io.kubernetes.cri.sandbox-namespace":"shop",
        "io.kubernetes.cri.sandbox-uid":"4d0a"}}"#;
    for place in &BUNDLES[..2] {
        let found = read(host(place, text).path(), ID);
        assert_eq!(
            found,
            Some(labels("web", "docker.io/library/nginx:1.27", Some("web-7c5-x2x"), Some("shop")))
        );
    }
}

#[test]
fn cri_o() {
    let text = r#"{"annotations":{"io.kubernetes.container.name":"web","io.kubernetes.pod.name":"web-1",
        "io.kubernetes.pod.namespace":"shop","io.kubernetes.cri-o.ImageName":"quay.io/shop/web:2",
        "io.kubernetes.cri-o.Image":"8d1f"}}"#;
    let found = read(host(BUNDLES[2], text).path(), ID);
    assert_eq!(found, Some(labels("web", "quay.io/shop/web:2", Some("web-1"), Some("shop"))));
}

#[test]
fn docker_with_and_without_kubernetes() {
    let text = r#"{"ID":"0123","Name":"/web","Config":{"Image":"nginx:1.27","Labels":{"a":"b"}}}"#;
    let root = host(DOCKER, text);
    assert_eq!(read(root.path(), ID), Some(labels("web", "nginx:1.27", None, None)));
    // Its bundle is there too, and says nothing.
    let bundle = root.path().join(BUNDLES[5].replace("ID", ID));
    fs::create_dir_all(bundle.parent().unwrap()).unwrap();
    fs::write(bundle, r#"{"ociVersion":"1.0.2","annotations":{}}"#).unwrap();
    assert_eq!(read(root.path(), ID), Some(labels("web", "nginx:1.27", None, None)));

    let text = r#"{"Name":"/k8s_web_web-1_shop_4d0a_0","Config":{"Image":"nginx@sha256:00","Labels":{
        "io.kubernetes.container.name":"web","io.kubernetes.pod.name":"web-1","io.kubernetes.pod.namespace":"shop"}}}"#;
    let found = read(host(DOCKER, text).path(), ID);
    assert_eq!(found, Some(labels("web", "nginx@sha256:00", Some("web-1"), Some("shop"))));
}

#[test]
fn podman() {
    // What Podman 4.3 wrote for `podman create --name web`, but for the id.
    let text = format!(
        r#"[{{"id":"00","names":["other"],"metadata":"{{}}"}},{{"id":"{ID}","names":["web"],"image":"4a28af11a5b6","layer":"f7761c4904aa","metadata":"{{\"image-name\":\"localhost/shop/web:1.4\",\"image-id\":\"4a28af11a5b6\",\"name\":\"web\",\"created-at\":1795397084}}","created":"2026-11-23T01:24:44.033183591Z","flags":{{"MountLabel":"","ProcessLabel":""}}}}]"#
    );
    for place in LISTS {
        let found = read(host(place, &text).path(), ID);
        assert_eq!(found, Some(labels("web", "localhost/shop/web:1.4", None, None)), "{place}");
    }
}

#[test]
fn what_is_no_such_file_tells_nothing() {
    for text in
        ["", "{", "[]", "{}", r#"{"annotations":[]}"#, r#"{"annotations":{"io.kubernetes.pod.name":7}}"#]
    {
        for place in BUNDLES.iter().chain([&DOCKER]).chain(&LISTS) {
            assert_eq!(read(host(place, text).path(), ID), None, "{text}");
        }
    }
    assert_eq!(read(tempfile::tempdir().unwrap().path(), ID), None);
}

#[test]
fn references_of_images_fall_into_parts() {
    let parts = |image: &str| {
        let labels = Labels { image: Some(image.into()), ..Labels::default() };
        let image = labels.image_name().unwrap();
        [Some(image.name), image.tag, image.digest].map(|part| part.map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(parts("nginx"), [some("nginx"), None, None]);
    assert_eq!(parts("localhost:5000/nginx"), [some("localhost:5000/nginx"), None, None]);
    assert_eq!(parts("localhost:5000/a/nginx:1.27"), [some("localhost:5000/a/nginx"), some("1.27"), None]);
    assert_eq!(parts("nginx:1@sha256:00"), [some("nginx"), some("1"), some("sha256:00")]);
    assert_eq!(parts("sha256:00ff"), [some("sha256:00ff"), None, None]);
}

#[test]
fn a_container_gets_its_labels_from_the_thread() {
    let root = host(BUNDLES[0], r#"{"annotations":{"io.kubernetes.cri.sandbox-name":"web-1"}}"#);
    let (asker, answerer) = channel(root.path().to_owned());
    let thread = answerer.start().unwrap();
    let container = |id: &str| {
        let (runtime, labels) = (Runtime::Containerd, OnceLock::new());
        Arc::new(Container { id: id.into(), runtime, pod_uid: None, labels })
    };
    let (known, other) = (container(ID), container("no-id"));
    assert!(asker.ask(&known) && asker.ask(&other));
    let begun = Instant::now();
    while known.labels.get().is_none() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(known.labels.get().and_then(|labels| labels.pod.as_deref()), Some("web-1"));
    drop(asker);
    assert!(thread.join());
    assert!(other.labels.get().is_none());
}

#[test]
fn a_full_queue_is_asked_again() {
    let (asker, answerer) = channel(PathBuf::from("/"));
    let container = |at: usize| {
        let (id, runtime) = (format!("{at:064x}").into(), Runtime::Containerd);
        Arc::new(Container { id, runtime, pod_uid: None, labels: OnceLock::new() })
    };
    assert!((0..QUEUE).all(|at| asker.ask(&container(at))));
    assert!(!asker.ask(&container(QUEUE)));
    drop(answerer);
    assert!(Asker::disabled().ask(&container(0)));
}
