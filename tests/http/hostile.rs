//! Traffic that means harm, and how little of it is done.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{
    Agent, DEADLINE, Reply, dial, dial_from, eventually, exchange, get, host, in_thread, is_closed, status,
};

#[test]
fn silent_clients_are_cut_at_the_deadline() {
    let agent = Agent::new();
    let begun = Instant::now();
    let silent = dial(agent.address());
    let half = dial(agent.address());
    (&half).write_all(b"GET /health HTTP/1.1\r\nHost:").unwrap();
    let body = dial(agent.address());
    (&body).write_all(b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\nx").unwrap();
    for stream in [silent, half, body] {
        assert_eq!(exchange(stream, b"").text, "");
        assert!(begun.elapsed() >= DEADLINE && begun.elapsed() < 2 * DEADLINE, "{:?}", begun.elapsed());
    }
    agent.counted(0, 3);
}

#[test]
fn dribbling_clients_are_cut_at_the_deadline() {
    let agent = Agent::new();
    let begun = Instant::now();
    let mut stream = dial(agent.address());
    for byte in b"GET /health HTTP/1.1\r\nHost: x\r\nX-Endless: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
        if stream.write_all(&[*byte]).is_err() || is_closed(&stream) {
            break;
        }
        std::thread::sleep(Duration::from_millis(400));
    }
    assert!(begun.elapsed() >= DEADLINE && begun.elapsed() < 2 * DEADLINE, "{:?}", begun.elapsed());
}

#[test]
fn a_client_that_does_not_read_is_cut_at_the_deadline() {
    let agent = Agent::padded(3 << 20, |_, _| ());
    let begun = Instant::now();
    let streams: Vec<TcpStream> = (0..4).map(|_| dial(agent.address())).collect();
    for mut stream in &streams {
        stream.write_all(&get("/metrics")).unwrap();
    }
    // The threads that answer are not held up by those who do not read.
    assert_eq!(agent.get("/health").status(), 200);
    assert!(begun.elapsed() < DEADLINE);
    eventually("four cuts", || agent.metrics().http_refused.get() == 4);
    assert!(begun.elapsed() < 2 * DEADLINE);
}

#[test]
fn one_address_cannot_take_all_places() {
    let agent = Agent::new();
    let flood: Vec<TcpStream> = (0..300).map(|_| dial(agent.address())).collect();
    eventually("refusals", || agent.metrics().http_refused.get() >= 292);
    assert_eq!(flood.iter().filter(|stream| !is_closed(stream)).count(), 8);
    let begun = Instant::now();
    let other = dial_from(host(1), agent.address());
    assert_eq!(exchange(other, &get("/health")).status(), 200);
    assert!(begun.elapsed() < DEADLINE / 2, "the flood delayed another host: {:?}", begun.elapsed());
    // The flooding host itself is told, when it asks politely.
    assert_eq!(agent.get("/health").status(), 503);
}

#[test]
fn three_hundred_hosts_are_endured() {
    let deadline = Duration::from_secs(5);
    let agent = Agent::with(|config, _| config.deadline = deadline);
    let begun = Instant::now();
    let threads = status("Threads");
    let mut flood: Vec<TcpStream> = (0..300).map(|i| dial_from(host(i + 100), agent.address())).collect();
    eventually("refusals", || agent.metrics().http_refused.get() >= 268);
    assert_eq!(flood.iter().filter(|stream| !is_closed(stream)).count(), 32);
    // Tests beside this one have threads too, but not hundreds.
    assert!(status("Threads") < threads + 150);
    // Half of those who got in dribble, the others are silent.
    let dribblers: Vec<TcpStream> = flood.drain(..).filter(|stream| !is_closed(stream)).step_by(2).collect();
    let dribble = in_thread(move || {
        while dribblers.iter().any(|stream| !is_closed(stream)) {
            dribblers.iter().for_each(|mut stream| drop(stream.write_all(b"G")));
            std::thread::sleep(Duration::from_millis(400));
        }
    });
    let waited = eventually("an answer for another host", || {
        exchange(dial_from(host(1), agent.address()), &get("/health")).status() == 200
    });
    assert!(begun.elapsed() < 2 * deadline, "{waited:?}");
    dribble.join().unwrap();
}

#[test]
fn heads_are_read_to_their_limit() {
    let agent = Agent::new();
    let long = |start: &str| agent.raw([start.as_bytes(), &[b'a'; 9000]].concat()).status();
    assert_eq!(long("GET /health HTTP/1.1\r\nHost: x\r\nX: "), 431);
    assert_eq!(long("GET /"), 414);
}

#[test]
fn contradictory_lengths_are_refused() {
    let agent = Agent::new();
    let post = |headers: &str| {
        let smuggled = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        let body = format!("0\r\n\r\n{smuggled}");
        agent.raw(format!("POST /health HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}"))
    };
    for (headers, expected) in [
        ("Content-Length: 5\r\nContent-Length: 42", 400),
        ("Content-Length: 5\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
        ("Transfer-Encoding: chunked", 400),
        ("Transfer-Encoding: xchunked", 400),
        ("Content-Length: 5\r\nTransfer-Encoding : chunked", 400),
        ("Content-Length: 5\r\n Transfer-Encoding: chunked", 400),
        ("Content-Length: 0x2A", 400),
        ("Content-Length: 65537", 413),
        ("Content-Length: 18446744073709551617", 413),
        ("Expect: 100-continue\r\nContent-Length: 5", 417),
        ("Upgrade: websocket\r\nConnection: upgrade", 400),
    ] {
        let reply = post(headers);
        assert_eq!(reply.status(), expected, "{headers}");
        assert_eq!(answers(&reply), 1, "{headers}");
    }
    agent.counted(0, 13);
}

fn answers(reply: &Reply) -> usize {
    reply.text.matches("HTTP/1.").count()
}

#[test]
fn pipelined_requests_get_one_answer() {
    let agent = Agent::new();
    let reply = agent.raw(get("/health").repeat(1000));
    assert_eq!((reply.status(), answers(&reply)), (200, 1));
    agent.counted(1, 0);
}

#[test]
fn bodies_are_read_to_their_limit() {
    let agent = Agent::new();
    let post = |length: usize| {
        let mut request =
            format!("GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        request.resize(request.len() + length, b'x');
        agent.raw(request).status()
    };
    assert_eq!(post(65536), 200);
    assert_eq!(post(65537), 413);
    assert_eq!(post(200_000), 413);
    let cut = dial(agent.address());
    (&cut).write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf").unwrap();
    cut.shutdown(Shutdown::Write).unwrap();
    assert_eq!(exchange(cut, b"").status(), 400);
}

#[test]
fn garbage_is_refused() {
    let agent = Agent::new();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\x00\x00\x00\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\r\n\r\n",
        b"GET /health\r\n\r\n",
        b"GET /health HTTP/1.1\nHost: x\n\n\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: \xff\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /he\x00alth HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health\x0bHTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let status = agent.raw(garbage).status();
        assert!(matches!(status, 400 | 505), "{status} for {}", garbage.escape_ascii());
    }
    agent.counted(0, 12);
    assert_eq!(agent.get("/health").status(), 200);
}
