//! Friendly traffic: four paths on both listeners, starting, reloading, stopping.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sentinel_edge::control::config::Listener;
use sentinel_edge::control::http::{Error, Http};

use crate::support::{Agent, Canned, ask, canned, config, eventually, exchange, get, is_closed};

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[test]
fn both_listeners_answer_all_four_paths() {
    let agent = Agent::new();
    let addresses = agent.http.addresses();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        for (path, content_type, part) in [
            ("/health", "application/json", "\"se-ring\": \"alive\""),
            ("/ready", "application/json", "\"status\": \"up\""),
            ("/version", "application/json", "\"version\": \"0.1.0\""),
            ("/metrics", METRICS_TYPE, "\n# TYPE sentinel_events_processed_total counter\n"),
            ("/health?from=probe", "application/json", "\"status\": \"up\""),
        ] {
            let reply = ask(address, &get(path));
            assert_eq!(reply.status(), 200, "{path}");
            assert_eq!(reply.header("content-type"), Some(content_type));
            assert_eq!(reply.header("content-length"), Some(&*reply.body().len().to_string()));
            assert_eq!(reply.header("connection"), Some("close"));
            assert_eq!(reply.header("transfer-encoding"), None);
            assert!(reply.body().contains(part), "{path}: {}", reply.body());
        }
    }
    agent.counted(10, 0);
}

#[test]
fn what_is_down_is_unavailable() {
    let agent = Agent::new();
    agent.answers.up.store(false, Relaxed);
    for path in ["/health", "/ready"] {
        let reply = agent.get(path);
        assert_eq!((reply.status(), &reply.json()["status"]), (503, &"down".into()));
    }
    assert_eq!(agent.get("/metrics").status(), 200);
}

#[test]
fn head_has_the_length_and_no_body() {
    let agent = Agent::new();
    let length = agent.get("/version").body().len().to_string();
    let reply = agent.raw("HEAD /version HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((reply.status(), reply.body()), (200, ""));
    assert_eq!(reply.header("content-length"), Some(&*length));
}

#[test]
fn other_paths_and_methods() {
    let agent = Agent::new();
    assert_eq!(agent.get("/").status(), 404);
    assert_eq!(agent.get("/health/../metrics").status(), 404);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let reply = agent.raw(format!("{method} /health HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"));
        assert_eq!((reply.status(), reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[test]
fn old_clients_get_no_chunks() {
    let agent = Agent::padded(300_000, |_, _| ());
    let reply = agent.raw("GET /metrics HTTP/1.0\r\n\r\n");
    assert_eq!(reply.status(), 200);
    assert!(reply.text.starts_with("HTTP/1.0 200 OK\r\n"));
    assert!(reply.body().len() > 300_000);
}

#[test]
fn curl_is_content() {
    let agent = Agent::new();
    let url = |path: &str| format!("http://{}{path}", agent.address());
    let curl = |args: &[&str]| {
        let output = Command::new("curl").args(["-sS", "--max-time", "10"]).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(curl(&["-f", &url("/health")]).contains("\"status\": \"up\""));
    assert!(curl(&["-I", &url("/metrics")]).starts_with("HTTP/1.1 200 OK\r\n"));
    // Several requests in one run: curl must understand that each connection is closed.
    let many = curl(&["-f", &url("/version"), &url("/version"), &url("/version")]);
    assert_eq!(many.matches("0.1.0").count(), 3);
}

#[test]
fn a_panic_in_an_answer_is_an_error_500() {
    let agent = Agent::new();
    agent.answers.panics.store(true, Relaxed);
    for _ in 0..8 {
        assert_eq!(agent.get("/health").status(), 500);
    }
    agent.answers.panics.store(false, Relaxed);
    assert_eq!(agent.get("/health").status(), 200);
    eventually("the count", || {
        agent.metrics().render().contains("sentinel_errors_by_type_total{type=\"panic\"} 8\n")
    });
}

#[test]
fn the_private_socket_is_private_and_leaves_with_the_agent() {
    let agent = Agent::new();
    let socket = agent.config.socket.clone();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(socket.as_path()), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o750);
    let threads: Vec<_> = agent.http.beacons().iter().map(|b| b.name().to_owned()).collect();
    assert_eq!(threads, ["se-gate", "se-http"]);

    let address = agent.address();
    let begun = Instant::now();
    agent.http.stop();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(!socket.exists());
    assert!(TcpStream::connect(address).is_err());
    assert!(agent.http.addresses().is_empty());
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir);
    std::fs::create_dir_all(config.socket.parent().unwrap()).unwrap();
    let start = || {
        let answers = canned(0);
        Http::start(&config, Arc::<Canned>::clone(&answers), Arc::clone(&answers.metrics))
    };

    let live = UnixListener::bind(&config.socket).unwrap();
    assert!(matches!(start(), Err(Error::SocketInUse { .. })));
    drop(live);
    let http = start().unwrap();
    assert_eq!(ask(http.addresses()[0], &get("/health")).status(), 200);
    http.stop();

    std::fs::write(&config.socket, "precious").unwrap();
    assert!(matches!(start(), Err(Error::Socket { .. })));
    assert_eq!(std::fs::read_to_string(&config.socket).unwrap(), "precious");
}

#[test]
fn a_port_in_use_is_an_error_that_says_by_whom() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir);
    config.listeners[1].address = address;
    let answers = canned(0);
    let error = Http::start(&config, Arc::<Canned>::clone(&answers), Arc::clone(&answers.metrics))
        .unwrap_err()
        .to_string();
    let pid = std::process::id();
    let expected = format!(
        "monitoring.prometheus_endpoint: cannot listen on {address}: the port is in use, \
         held by this very process (pid {pid})"
    );
    assert_eq!(error, expected);
    assert!(!config.socket.exists(), "nothing is left behind");
}

#[test]
fn beyond_loopback_nothing_starts_unprotected() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir);
    config.listeners[0].address = "0.0.0.0:0".parse().unwrap();
    let start = |config: &_| {
        let answers = canned(0);
        Http::start(config, Arc::<Canned>::clone(&answers), Arc::clone(&answers.metrics))
    };
    assert!(matches!(start(&config), Err(Error::Insecure { key: "monitoring.health_check_port", .. })));
    config.allow_insecure = true;
    let http = start(&config).unwrap();
    let port = http.addresses()[0].port();
    assert_eq!(ask(([127, 0, 0, 1], port).into(), &get("/health")).status(), 200);
}

#[test]
fn a_process_on_the_private_socket_is_not_authorised() {
    let agent = Agent::new();
    let connect = || UnixStream::connect(&agent.config.socket).unwrap();
    let forged = "GET /metrics HTTP/1.0\r\nx-sentineledge-access: full\r\n\r\n";
    assert_eq!(exchange(connect(), forged.as_bytes()).status(), 401);
    let reply = exchange(connect(), b"GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(reply.status(), 200);
    assert!(!reply.body().contains("se-ring"));
}

#[test]
fn a_reload_opens_and_closes_listeners() {
    let agent = Agent::new();
    let old = agent.http.addresses();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    let mut config = agent.config.clone();
    config.listeners[1] = Listener { address: free, key: "monitoring.prometheus_endpoint" };
    agent.http.reload(&config).unwrap();
    assert_eq!(agent.http.addresses(), [old[0], free]);
    assert_eq!(ask(free, &get("/health")).status(), 200);
    assert_eq!(ask(old[0], &get("/health")).status(), 200);
    eventually("the end of the old listener", || TcpStream::connect(old[1]).is_err());

    // A port that is taken: nothing changes.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    config.listeners[1].address = taken.local_addr().unwrap();
    assert!(matches!(agent.http.reload(&config), Err(Error::InUse { .. })));
    assert_eq!(agent.http.addresses(), [old[0], free]);
    assert_eq!(ask(free, &get("/health")).status(), 200);

    config.listeners.clear();
    agent.http.reload(&config).unwrap();
    assert!(agent.http.addresses().is_empty());
    agent.http.reload(&agent.config).unwrap();
    assert_eq!(agent.get("/health").status(), 200);
}

#[test]
fn a_reload_does_not_disturb_open_connections() {
    let agent = Agent::new();
    let waiting = crate::support::dial(agent.address());
    eventually("the connection", || status_threads_named("se-conn-"));
    agent.http.reload(&agent.config).unwrap();
    assert!(!is_closed(&waiting));
    assert_eq!(exchange(waiting, &get("/health")).status(), 200);
}

fn status_threads_named(prefix: &str) -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
        .any(|name| name.starts_with(prefix))
}
