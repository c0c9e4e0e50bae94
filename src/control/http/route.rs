//! What is told to whom. A pure function of request and [`Answers`].
//!
//! Without a token set, the gate calls everybody authorised. With one, `/health` and `/ready` still tell probes
//! up or down and why, also those with a wrong token, since a token that is being rotated must not make a
//! supervisor kill a healthy agent; everything else is for clients with the token.

use super::{Answers, Status};

/// What tiny_http shall answer.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub content_type: &'static str,
    /// Another header.
    pub header: Option<(&'static str, &'static str)>,
    /// The body; tiny_http leaves it out for HEAD.
    pub body: String,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Reply {
    fn text(status: u16, body: &str) -> Reply {
        Reply { status, content_type: TEXT, header: None, body: format!("{body}\n") }
    }

    fn json(status: u16, value: &serde_json::Value) -> Reply {
        Reply { status, content_type: JSON, header: None, body: format!("{value:#}\n") }
    }

    fn status(status: Status, authorised: bool) -> Reply {
        let body = if authorised { &status.body } else { &status.brief };
        Reply::json(if status.up { 200 } else { 503 }, body)
    }
}

/// The reply to a request; a query in `target` is ignored.
pub(super) fn reply(method: &str, target: &str, authorised: bool, answers: &dyn Answers) -> Reply {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let known = matches!(path, "/health" | "/ready" | "/version" | "/metrics");
    if !known {
        return Reply::text(404, "not found; there are /health, /ready, /version and /metrics");
    }
    if !matches!(method, "GET" | "HEAD") {
        return Reply { header: Some(("Allow", "GET, HEAD")), ..Reply::text(405, "only GET and HEAD") };
    }
    match path {
        "/health" => Reply::status(answers.health(), authorised),
        "/ready" => Reply::status(answers.ready(), authorised),
        _ if !authorised => {
            let challenge = Some(("WWW-Authenticate", "Bearer realm=\"sentineledge\""));
            Reply { header: challenge, ..Reply::text(401, "needs Authorization: Bearer with the token") }
        }
        "/version" => Reply::json(200, &answers.version()),
        _ => Reply { status: 200, content_type: METRICS, header: None, body: answers.metrics() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Canned(bool);

    impl Answers for Canned {
        fn health(&self) -> Status {
            Status { up: self.0, body: json!({"full": 1}), brief: json!({"brief": 1}) }
        }
        fn ready(&self) -> Status {
            Status { up: !self.0, ..self.health() }
        }
        fn version(&self) -> serde_json::Value {
            json!({"version": "1"})
        }
        fn metrics(&self) -> String {
            "a 1\n".into()
        }
    }

    #[test]
    fn everything_for_the_authorised() {
        for (target, status, content_type, part) in [
            ("/health", 200, JSON, "full"),
            ("/health?verbose", 200, JSON, "full"),
            ("/ready", 503, JSON, "full"),
            ("/version", 200, JSON, "\"version\": \"1\""),
            ("/metrics", 200, METRICS, "a 1\n"),
            ("/", 404, TEXT, "/health"),
            ("/health/", 404, TEXT, ""),
            ("/Health", 404, TEXT, ""),
            ("/%68ealth", 404, TEXT, ""),
        ] {
            for method in ["GET", "HEAD"] {
                let reply = reply(method, target, true, &Canned(true));
                assert_eq!((reply.status, reply.content_type), (status, content_type), "{target}");
                assert!(reply.body.contains(part), "{target}: {}", reply.body);
            }
        }
    }

    #[test]
    fn little_for_the_others() {
        for (target, status, part) in [("/health", 200, "brief"), ("/ready", 503, "brief")] {
            let reply = reply("GET", target, false, &Canned(true));
            assert_eq!(reply.status, status);
            assert!(reply.body.contains(part) && !reply.body.contains("full"));
        }
        for target in ["/version", "/metrics"] {
            let reply = reply("GET", target, false, &Canned(true));
            assert_eq!(reply.status, 401);
            assert_eq!(reply.header.unwrap().0, "WWW-Authenticate");
        }
    }

    #[test]
    fn other_methods_are_named_what_works() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "BREW"] {
            let reply = reply(method, "/health", true, &Canned(true));
            assert_eq!((reply.status, reply.header), (405, Some(("Allow", "GET, HEAD"))));
        }
    }
}
