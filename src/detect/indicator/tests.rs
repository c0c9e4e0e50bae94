//! Lists made by hand; what is wrong with lines; the stores against simple models. Size and speed are in `million`.

mod million;
mod model;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A directory that goes with the test.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("indicator-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn load(content: impl AsRef<[u8]>) -> (Set, Vec<String>) {
    let directory = Directory::new();
    let (set, problems) = Set::load(&[directory.file("list.txt", content)], &Limits::default());
    let said = problems.iter().map(ToString::to_string);
    (set, said.map(|said| said.rsplit_once("list.txt").unwrap().1.to_owned()).collect())
}

fn entry(found: Option<Match<'_>>) -> Option<String> {
    found.map(|found| found.entry)
}

fn ip(set: &Set, address: &str) -> Option<String> {
    entry(set.ip(address.parse().unwrap()))
}

#[test]
fn addresses_find_the_longest_network() {
    let (set, problems) = load(
        "10.0.0.0/8\n10.1.2.3/16\n10.1.2.3\n2001:db8::/32\n2001:DB8::1\n::ffff:192.0.2.0/120\n255.255.255.255\n0.0.0.0\n",
    );
    assert_eq!((problems, set.len()), (vec![], 8));
    for (address, found) in [
        ("10.0.0.1", Some("10.0.0.0/8")),
        ("10.1.2.2", Some("10.1.0.0/16")),
        ("10.1.2.3", Some("10.1.2.3")),
        ("10.1.2.4", Some("10.1.0.0/16")),
        ("10.2.0.0", Some("10.0.0.0/8")),
        ("10.255.255.255", Some("10.0.0.0/8")),
        ("11.0.0.0", None),
        ("9.255.255.255", None),
        ("0.0.0.0", Some("0.0.0.0")),
        ("0.0.0.1", None),
        ("255.255.255.254", None),
        ("255.255.255.255", Some("255.255.255.255")),
        ("::ffff:10.1.2.3", Some("10.1.2.3")),
        ("192.0.2.77", Some("192.0.2.0/24")),
        ("2001:db8::1", Some("2001:db8::1")),
        ("2001:db8::2", Some("2001:db8::/32")),
        ("2001:db9::", None),
        ("::", None),
    ] {
        assert_eq!(ip(&set, address).as_deref(), found, "{address}");
    }
    let (everything, _) = load("0.0.0.0/0\n::/0\n");
    assert_eq!(ip(&everything, "1.2.3.4").as_deref(), Some("0.0.0.0/0"));
    assert_eq!(ip(&everything, "ffff::").as_deref(), Some("::/0"));
}

#[test]
fn domains_find_themselves_and_what_they_are_below_of() {
    let (set, problems) =
        load("Example.COM.\n*.below.org\ndeep.example.com\nbücher.de\nΒΌΛΟΣ.GR\nxn--mnchen-3ya.de\n");
    assert_eq!(problems, Vec::<String>::new());
    for (name, found) in [
        ("example.com", Some("example.com")),
        ("WWW.Example.Com.", Some("example.com")),
        ("deep.example.com", Some("deep.example.com")),
        ("very.deep.example.com", Some("deep.example.com")),
        ("notexample.com", None),
        ("com", None),
        ("below.org", None),
        ("a.b.below.org", Some("*.below.org")),
        ("xn--bcher-kva.de", Some("xn--bcher-kva.de")),
        ("www.xn--mnchen-3ya.de", Some("xn--mnchen-3ya.de")),
        ("", None),
        (".", None),
        ("..", None),
    ] {
        assert_eq!(entry(set.domain(name.as_bytes())).as_deref(), found, "{name}");
    }
    assert_eq!(set.domain(&[b'a'; 300]), None);
    for both in ["*.x.org\nx.org\n", "x.org\n*.x.org\n"] {
        let (set, _) = load(both);
        assert_eq!((entry(set.domain(b"a.x.org")).as_deref(), set.len()), (Some("x.org"), 1));
        assert!(set.domain(b"x.org").is_some());
    }
}

#[test]
fn punycode_is_that_of_the_standard() {
    // Examples of RFC 3492, 7.1, and of the root zone.
    for (text, expected) in [
        ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"),
        ("почемужеонинеговорятпорусски", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l"),
        ("3年b組金八先生", "xn--3b-ww4c5e180e575a65lsy2b"),
        ("そのスピードで", "xn--d9juau41awczczp"),
        ("中国", "xn--fiqs8s"),
        ("рф", "xn--p1ai"),
        ("plain", "plain"),
    ] {
        assert_eq!(punycode::label(text).as_deref(), Some(expected));
    }
}

#[test]
fn digests_and_paths_are_found() {
    let digest = "E3B0C44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let list =
        format!("{digest}\tempty file\n/tmp/.x/miner;mines\n/dev/shm/.x*\n/dev/*\n/dev/shm/.xy/*; a; b \n");
    let (set, problems) = load(list);
    assert_eq!((problems, set.len()), (vec![], 5));
    let mut bytes = [0; 32];
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digest[2 * n..2 * n + 2], 16).unwrap();
    }
    let found = set.sha256(&bytes).unwrap();
    assert_eq!(
        (found.entry, found.list, found.note),
        (digest.to_lowercase(), "list.txt", Some("empty file"))
    );
    assert_eq!(set.sha256(&[0; 32]), None);
    for (path, found) in [
        ("/tmp/.x/miner", Some("/tmp/.x/miner")),
        ("/tmp/.x/miner2", None),
        ("/tmp/.x", None),
        ("/dev/shm/.x", Some("/dev/shm/.x*")),
        ("/dev/shm/.xyz", Some("/dev/shm/.x*")),
        ("/dev/shm/.xy/z", Some("/dev/shm/.xy/*")),
        ("/dev/null", Some("/dev/*")),
        ("/dev", None),
        ("", None),
    ] {
        assert_eq!(entry(set.path(path.as_bytes())).as_deref(), found, "{path}");
    }
    assert_eq!(set.path(b"/dev/shm/.xy/").unwrap().note, Some("a; b"));
    assert_eq!(set.path(b"/dev/null").unwrap().note, None);
}

#[test]
fn what_is_wrong_is_said_by_line_and_the_rest_counts() {
    let (set, problems) = load(
        "\u{feff}# a comment\r\n\r\ngood.example;note\r\n1.2.3.400\r\n10.0.0.0/33\r\n::ffff:1.2.3.4/95\r\nnothing\r\n\
         bad..example\r\nba d.example\r\n# kind: url\r\n# Kind: Domain\r\nlocalhost\r\n/path\r\n# kind: sha256\r\nabc\r\n\
         # kind: auto\r\n1.2.3.4\r\n10.0.0.0/+8\r\n",
    );
    let expected = [
        ":4: '1.2.3.400' is no address or network",
        ":5: '10.0.0.0/33' has no prefix length from 0 to 32",
        ":6: '::ffff:1.2.3.4/95' has no prefix length from 96 to 128",
        ":7: 'nothing' is no address, network, domain, SHA-256 or absolute path",
        ":8: 'bad..example' is no domain: a label is empty",
        ":9: 'ba d.example' is no domain: only letters, digits, '-', '_' and dots belong into it",
        ":10: unknown kind 'url'; expected ip, domain, sha256, path or auto",
        ":13: '/path' is no domain: only letters, digits, '-', '_' and dots belong into it",
        ":15: 'abc' is no SHA-256: expected 64 hexadecimal digits",
        ":18: '10.0.0.0/+8' has no prefix length from 0 to 32",
    ];
    assert_eq!(problems, expected);
    assert_eq!(set.len(), 3);
    assert_eq!(set.domain(b"localhost").unwrap().note, None);
    assert_eq!(set.domain(b"good.example").unwrap().note, Some("note"));
}

#[test]
fn problems_lines_entries_and_files_are_limited() {
    let (set, problems) = load("x\n".repeat(250) + "1.2.3.4");
    assert_eq!((set.len(), problems.len(), problems[100].as_str()), (1, 101, ": 150 more lines are wrong"));

    let fits = format!("/{}\n", "p".repeat(MOST_LINE_BYTES - 2));
    let (set, problems) = load(format!("{fits}/{fits}1.2.3.4\n/{}", "q".repeat(3 * MOST_LINE_BYTES)));
    let long = format!("the line is longer than {MOST_LINE_BYTES} bytes");
    assert_eq!((set.len(), problems), (2, vec![format!(":2: {long}"), format!(":4: {long}")]));

    let directory = Directory::new();
    let files = [
        directory.file("one", "1.2.3.1\n1.2.3.2\n"),
        directory.file("two", "1.2.3.3\n1.2.3.4\n1.2.3.5\n"),
        directory.file("large", "# ".repeat(60)),
        directory.0.join("missing"),
        directory.0.clone(),
    ];
    let (set, problems) = Set::load(&files, &Limits { entries: 3, file_bytes: 100 });
    let said: Vec<String> = problems.iter().map(|problem| problem.reason.to_string()).collect();
    let expected = [
        "2 entries are left out, as 3 are allowed in all lists together",
        "is 120 bytes large, more than the 100 allowed for a list",
        "cannot read the list: No such file or directory (os error 2)",
        "is no regular file",
    ];
    assert_eq!(said, expected);
    assert_eq!((set.len(), set.ip([1, 2, 3, 3].into()).unwrap().list), (3, "two"));
}

#[test]
fn of_equal_entries_the_first_counts() {
    let directory = Directory::new();
    let list = "10.0.0.0/8;N\nx.org;N\n/p;N\n/q*;N\n";
    let files = ["first", "second"].map(|name| directory.file(name, list.replace('N', name)));
    let (set, problems) = Set::load(&files, &Limits::default());
    assert!(problems.is_empty() && set.len() == 4);
    for found in [set.ip([10, 0, 0, 1].into()), set.domain(b"x.org"), set.path(b"/p"), set.path(b"/q")] {
        let found = found.unwrap();
        assert_eq!((found.list, found.note), ("first", Some("first")));
    }
}
