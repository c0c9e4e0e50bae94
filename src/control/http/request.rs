//! A strict parser for the head of a request.
//!
//! Wherever two parsers could read the same bytes differently, a request can be smuggled past one of them. So
//! this one accepts a small part of HTTP/1.1 (RFC 9112) exactly and refuses the rest, rather than repairing it:
//!
//! * lines end in CR LF, never in LF alone; no continuation lines, no space before a colon;
//! * printable ASCII only, with tabs inside of header values;
//! * HTTP/1.0 and 1.1, targets that begin with `/`; HTTP/1.1 names its host exactly once;
//! * at most one `Content-Length`, digits only; no `Transfer-Encoding`, `Upgrade` or `Expect`.
//!
//! Pure functions of bytes, for anybody to fuzz. Limits: [`MAX_HEAD`], [`MAX_BODY`], [`MAX_TARGET`],
//! [`MAX_HEADERS`].

/// Longest head in bytes, from the method to the empty line.
pub const MAX_HEAD: usize = 8 * 1024;
/// Longest body in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// Longest target (path and query) in bytes.
pub const MAX_TARGET: usize = 1024;
/// Most header lines.
pub const MAX_HEADERS: usize = 64;
/// Longest method in bytes.
const MAX_METHOD: usize = 16;

/// Headers that are passed on. A list of what is harmless cannot overlook a hop-by-hop header that the client
/// invents with `Connection:`, and nothing here answers differently for any other.
const PASSED_ON: [&str; 2] = ["accept", "content-type"];

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// One clause for who reads the answer.
    pub reason: &'static str,
}

const fn refuse(status: u16, reason: &'static str) -> Refusal {
    Refusal { status, reason }
}

/// A head that made sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Method, as written; known ones are upper case.
    pub method: String,
    /// The target without its query.
    pub path: String,
    /// 0 or 1, of `HTTP/1.x`.
    pub minor_version: u8,
    /// The token of `Authorization: Bearer`.
    pub bearer: Option<Vec<u8>>,
    /// Headers to pass on: lower-case name, value.
    pub passed_on: Vec<(&'static str, String)>,
    /// Bytes of the body.
    pub body_length: usize,
}

/// Where the head ends, once its empty line is among the bytes read so far, of which the first `seen` have been
/// searched before. An error if it cannot be a head any more, whatever comes.
pub fn find_end(bytes: &[u8], seen: usize) -> Result<Option<usize>, Refusal> {
    const END: &[u8] = b"\r\n\r\n";
    let from = seen.saturating_sub(END.len() - 1);
    let window = &bytes[from.min(bytes.len())..bytes.len().min(MAX_HEAD)];
    if let Some(at) = memchr::memmem::find(window, END) {
        return Ok(Some(from + at + END.len()));
    }
    // A client that speaks TLS or anything else binary is told at once, not at its deadline.
    if window.iter().any(|&b| !matches!(b, b'\t' | b'\r' | b'\n' | b' '..=b'~')) {
        return Err(refuse(400, "the head is not ASCII text"));
    }
    if bytes.len() < MAX_HEAD {
        return Ok(None);
    }
    Err(if memchr::memchr(b'\n', &bytes[..MAX_HEAD]).is_some() {
        refuse(431, "the head is too long")
    } else {
        refuse(414, "the request line is too long")
    })
}

/// Reads a head, its empty line included.
pub fn parse(head: &[u8]) -> Result<Head, Refusal> {
    let text = std::str::from_utf8(head).map_err(|_| refuse(400, "the head is not ASCII text"))?;
    let text = text.strip_suffix("\r\n\r\n").ok_or(refuse(400, "the head has no end"))?;
    let mut lines = text.split("\r\n");
    let (method, target, minor_version) = request_line(lines.next().unwrap_or_default())?;
    let path = target.split_once('?').map_or(target, |(path, _)| path);

    let mut parsed = Head {
        method: method.to_owned(),
        path: path.to_owned(),
        minor_version,
        bearer: None,
        passed_on: Vec::new(),
        body_length: 0,
    };
    let mut seen = Seen::default();
    for (i, line) in lines.enumerate() {
        if i >= MAX_HEADERS {
            return Err(refuse(431, "too many headers"));
        }
        let (name, value) = header(line)?;
        take(&mut parsed, &mut seen, &name.to_ascii_lowercase(), value)?;
    }
    if minor_version == 1 && !seen.host {
        return Err(refuse(400, "HTTP/1.1 needs a Host header"));
    }
    Ok(parsed)
}

fn request_line(line: &str) -> Result<(&str, &str, u8), Refusal> {
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(refuse(400, "the request line is not METHOD TARGET VERSION"));
    };
    if method.is_empty() || method.len() > MAX_METHOD || !method.bytes().all(is_token) {
        return Err(refuse(400, "the method is not a token"));
    }
    let minor_version = match version {
        "HTTP/1.0" => 0,
        "HTTP/1.1" => 1,
        other => {
            let major = other.strip_prefix("HTTP/").and_then(|v| v.bytes().next());
            let known = major.is_some_and(|digit| digit.is_ascii_digit() && digit != b'1');
            return Err(if known {
                refuse(505, "only HTTP/1.0 and HTTP/1.1")
            } else {
                refuse(400, "the version is malformed")
            });
        }
    };
    if target.len() > MAX_TARGET {
        return Err(refuse(414, "the target is too long"));
    }
    if !target.starts_with('/') || target.bytes().any(|b| !b.is_ascii_graphic() || b == b'#') {
        return Err(refuse(400, "the target is not a path"));
    }
    Ok((method, target, minor_version))
}

/// Name and value of a header line.
fn header(line: &str) -> Result<(&str, &str), Refusal> {
    if line.starts_with([' ', '\t']) {
        return Err(refuse(400, "a header line is folded"));
    }
    let (name, value) = line.split_once(':').ok_or(refuse(400, "a header line has no colon"))?;
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(refuse(400, "a header name is not a token"));
    }
    if value.bytes().any(|b| !matches!(b, b'\t' | b' '..=b'~')) {
        return Err(refuse(400, "a header value is not printable ASCII"));
    }
    Ok((name, value.trim_matches([' ', '\t'])))
}

/// Headers that may come once.
#[derive(Default)]
struct Seen {
    host: bool,
    content_length: bool,
    authorization: bool,
}

fn once(seen: &mut bool, reason: &'static str) -> Result<(), Refusal> {
    if std::mem::replace(seen, true) { Err(refuse(400, reason)) } else { Ok(()) }
}

fn take(head: &mut Head, seen: &mut Seen, name: &str, value: &str) -> Result<(), Refusal> {
    match name {
        "host" => once(&mut seen.host, "more than one Host")?,
        "content-length" => {
            once(&mut seen.content_length, "more than one Content-Length")?;
            head.body_length = content_length(value)?;
        }
        "authorization" => {
            once(&mut seen.authorization, "more than one Authorization")?;
            head.bearer = bearer(value).map(|token| token.as_bytes().to_vec());
        }
        "transfer-encoding" => return Err(refuse(400, "Transfer-Encoding is not accepted")),
        "upgrade" => return Err(refuse(400, "Upgrade is not accepted")),
        "expect" => return Err(refuse(417, "Expect is not accepted")),
        _ => {
            if let Some(name) = PASSED_ON.iter().find(|passed_on| **passed_on == name) {
                head.passed_on.push((name, value.to_owned()));
            }
        }
    }
    Ok(())
}

fn content_length(value: &str) -> Result<usize, Refusal> {
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refuse(400, "the Content-Length is not a number"));
    }
    // What does not fit into a number is too large as well.
    let length = value.parse().unwrap_or(usize::MAX);
    if length > MAX_BODY { Err(refuse(413, "the body is too large")) } else { Ok(length) }
}

/// The token of `Bearer <token>`; the scheme is case-insensitive (RFC 9110, 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

/// A character of a token (RFC 9110, 5.6.2).
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(head: &str) -> u16 {
        parse(head.as_bytes()).map_or_else(|refusal| refusal.status, |_| 200)
    }

    fn with(headers: &str) -> String {
        format!("GET /health HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
    }

    #[test]
    fn a_usual_request() {
        let head = parse(
            b"GET /metrics?a=b&c HTTP/1.1\r\nHost: h:9090\r\nauthorization: bEaRer  abc \r\n\
              Accept:\ttext/plain\r\nConnection: keep-alive, x-mine\r\nX-Mine: 1\r\nContent-Length: 3\r\n\r\n",
        );
        let expected = Head {
            method: "GET".into(),
            path: "/metrics".into(),
            minor_version: 1,
            bearer: Some(b"abc".to_vec()),
            passed_on: vec![("accept", "text/plain".into())],
            body_length: 3,
        };
        assert_eq!(head, Ok(expected));
        assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), 200);
    }

    #[test]
    fn request_lines() {
        let cases = [
            ("GET /health HTTP/1.1", 200),
            ("BREW /pot HTTP/1.1", 200),
            ("GET  /health HTTP/1.1", 400),
            ("GET /health", 400),
            ("GET /health HTTP/1.1 ", 400),
            (" GET /health HTTP/1.1", 400),
            ("GET /he\talth HTTP/1.1", 400),
            ("G(T /health HTTP/1.1", 400),
            ("GETGETGETGETGETGET /health HTTP/1.1", 400),
            ("GET /health HTTP/2.0", 505),
            ("GET /health HTTP/0.9", 505),
            ("GET /health HTTP/1.2", 400),
            ("GET /health http/1.1", 400),
            ("GET health HTTP/1.1", 400),
            ("GET http://h/health HTTP/1.1", 400),
            ("GET /health#x HTTP/1.1", 400),
            ("CONNECT h:80 HTTP/1.1", 400),
            ("OPTIONS * HTTP/1.1", 400),
            ("", 400),
        ];
        for (line, expected) in cases {
            assert_eq!(status(&format!("{line}\r\nHost: x\r\n\r\n")), expected, "{line:?}");
        }
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(MAX_TARGET))), 414);
    }

    #[test]
    fn headers() {
        let cases = [
            ("", 200),
            ("A: \r\n", 200),
            ("A: b\tc\r\n", 200),
            ("A : b\r\n", 400),
            ("A\r\n", 400),
            (": b\r\n", 400),
            ("A: b\r\n c\r\n", 400),
            ("A: b\r\n\tc\r\n", 400),
            ("A: b\nB: c\r\n", 400),
            ("A: b\rB: c\r\n", 400),
            ("A: b\0\r\n", 400),
            ("A: é\r\n", 400),
            ("Ä: b\r\n", 400),
            ("Host: y\r\n", 400),
            ("Content-Length: 0\r\n", 200),
            ("Content-Length: 65536\r\n", 200),
            ("Content-Length: 65537\r\n", 413),
            ("Content-Length: 99999999999999999999999\r\n", 413),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
            ("Content-Length: 5\r\ncontent-length: 5\r\n", 400),
            ("Content-Length: 5, 5\r\n", 400),
            ("Content-Length: +5\r\n", 400),
            ("Content-Length: -5\r\n", 400),
            ("Content-Length: 0x5\r\n", 400),
            ("Content-Length: 5 5\r\n", 400),
            ("Content-Length:\r\n", 400),
            ("Transfer-Encoding: chunked\r\n", 400),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
            ("Transfer-Encoding: identity\r\n", 400),
            ("Upgrade: h2c\r\n", 400),
            ("Expect: 100-continue\r\n", 417),
            ("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", 400),
        ];
        for (lines, expected) in cases {
            assert_eq!(status(&with(lines)), expected, "{lines:?}");
        }
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400, "no host");
        assert_eq!(status(&with(&"A: b\r\n".repeat(MAX_HEADERS - 1))), 200);
        assert_eq!(status(&with(&"A: b\r\n".repeat(MAX_HEADERS))), 431);
    }

    #[test]
    fn other_schemes_carry_no_token() {
        for value in ["Basic YTpi", "Bearer", "Bearertoken", "token"] {
            let head = parse(with(&format!("Authorization: {value}\r\n")).as_bytes()).unwrap();
            assert_eq!(head.bearer, None, "{value}");
        }
    }

    #[test]
    fn the_end_is_found_across_reads() {
        let head = b"GET / HTTP/1.0\r\n\r\nrest";
        for split in 0..=head.len() {
            let first = find_end(&head[..split], 0).unwrap();
            let found = if first.is_some() { first } else { find_end(head, split).unwrap() };
            assert_eq!(found, Some(18), "split at {split}");
        }
    }

    #[test]
    fn what_can_never_be_a_head_is_refused_early() {
        assert_eq!(find_end(&[0x16, 3, 1, 2, 0], 0).unwrap_err().status, 400);
        assert_eq!(find_end(&[b'A'; MAX_HEAD], 0).unwrap_err().status, 414);
        let long = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'A'; MAX_HEAD]].concat();
        assert_eq!(find_end(&long, 0).unwrap_err().status, 431);
        assert_eq!(find_end(&[b'A'; MAX_HEAD - 1], 0), Ok(None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_understood(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = find_end(&bytes, 0);
            let _ = parse(&bytes);
        }

        #[test]
        fn nothing_accepted_can_break_a_line(lines in "(GET|PUT) /[ -~\r\n]{0,9} HTTP/1.[01]\r\n([A-Za-z-]{0,9}:?[ -~\r\n\t]{0,12}\r\n){0,4}\r\n") {
            if let Ok(head) = parse(lines.as_bytes()) {
                let values = head.passed_on.iter().map(|(_, value)| value);
                for text in values.chain([&head.method, &head.path]) {
                    prop_assert!(!text.contains(['\r', '\n', '\0']));
                }
                prop_assert!(head.body_length <= MAX_BODY);
            }
        }
    }
}
