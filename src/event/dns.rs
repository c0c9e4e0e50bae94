//! DNS messages: a header, the first question and the answers, as far as the bytes go.
//!
//! Total: any bytes give a message or `None`, nothing panics, and the work is bounded by the length. Names are
//! compressed by pointers to earlier names, which a hostile message makes into loops; here every pointer must lead to
//! a place before the one that the current piece began at, so a name ends after at most as many jumps as there are
//! bytes, and 255 bytes are the most that one may have. What is cut or wrong ends the list of answers.
//!
//! Told are A, AAAA, CNAME, NS, PTR and TXT; of other types the name, the type and the time to live.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of the header.
const HEADER_BYTES: usize = 12;

/// Bytes that a name may have, lengths of labels included (RFC 1035, 2.3.4).
const NAME_BYTES: usize = 255;

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// By which questions and answers are matched.
    pub id: u16,
    flags: u16,
    questions: u16,
    answers: u16,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name.
    pub name: Name<'a>,
    /// Type of the records wanted.
    pub kind: u16,
    /// Class of the records wanted.
    pub class: u16,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is about.
    pub name: Name<'a>,
    /// Its type.
    pub kind: u16,
    /// Its class.
    pub class: u16,
    /// How long it may be kept, seconds.
    pub ttl: u32,
    /// What it says.
    pub data: Data<'a>,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// A and AAAA.
    Address(IpAddr),
    /// CNAME, NS and PTR.
    Name(Name<'a>),
    /// TXT: strings, each behind a byte with its length.
    Text(&'a [u8]),
    /// Another type, or one whose data makes no sense.
    Other,
}

/// A name in a message, not yet decompressed.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    message: &'a [u8],
    start: usize,
}

/// Equal if they are spelled the same.
impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Name<'_> {}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

impl<'a> Message<'a> {
    /// The message that the bytes begin with.
    pub fn parse(bytes: &'a [u8]) -> Option<Message<'a>> {
        let field = |at| u16_at(bytes, at);
        let message =
            Message { bytes, id: field(0)?, flags: field(2)?, questions: field(4)?, answers: field(6)? };
        (bytes.len() >= HEADER_BYTES).then_some(message)
    }

    /// It answers a question.
    pub fn is_answer(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// What kind of question it is or answers.
    pub fn op_code(&self) -> &'static str {
        match self.flags >> 11 & 15 {
            0 => "QUERY",
            1 => "IQUERY",
            2 => "STATUS",
            4 => "NOTIFY",
            5 => "UPDATE",
            _ => "UNKNOWN",
        }
    }

    /// How it went, the lower four bits of it; the upper ones are in an extension that is not read.
    pub fn response_code(&self) -> &'static str {
        const CODES: [&str; 11] = [
            "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
            "NXRRSET", "NOTAUTH", "NOTZONE",
        ];
        CODES.get(usize::from(self.flags & 15)).copied().unwrap_or("UNKNOWN")
    }

    /// Names of the flags that are set, as ECS spells them.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        let flags = self.flags;
        [("AA", 10), ("TC", 9), ("RD", 8), ("RA", 7), ("AD", 5), ("CD", 4)]
            .into_iter()
            .filter(move |(_, bit)| flags >> bit & 1 == 1)
            .map(|(name, _)| name)
    }

    /// The first question; there is never more than one in practice.
    pub fn question(&self) -> Option<Question<'a>> {
        (self.questions > 0).then(|| self.question_at(HEADER_BYTES)).flatten().map(|(question, _)| question)
    }

    /// With the place of what follows.
    fn question_at(&self, start: usize) -> Option<(Question<'a>, usize)> {
        let name = Name { message: self.bytes, start };
        let end = name.end()?;
        let question = Question {
            name,
            kind: u16_at(self.bytes, end)?,
            class: u16_at(self.bytes, end.checked_add(2)?)?,
        };
        Some((question, end.checked_add(4)?))
    }

    /// The answers.
    pub fn answers(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let message = *self;
        let start =
            (0..self.questions).try_fold(HEADER_BYTES, |at, _| message.question_at(at).map(|(_, next)| next));
        let mut left = self.answers;
        let mut next = start.filter(|_| message.is_answer());
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let (record, end) = message.record_at(next?)?;
            next = Some(end);
            Some(record)
        })
    }

    fn record_at(&self, start: usize) -> Option<(Record<'a>, usize)> {
        let name = Name { message: self.bytes, start };
        let fixed = name.end()?;
        let data = fixed.checked_add(10)?;
        let length = usize::from(u16_at(self.bytes, fixed.checked_add(8)?)?);
        let end = data.checked_add(length)?;
        let bytes = self.bytes.get(data..end)?;
        let kind = u16_at(self.bytes, fixed)?;
        let named = Name { message: self.bytes, start: data };
        let record = Record {
            name,
            kind,
            class: u16_at(self.bytes, fixed.checked_add(2)?)?,
            ttl: u32_at(self.bytes, fixed.checked_add(4)?)?,
            data: match kind {
                1 => <[u8; 4]>::try_from(bytes)
                    .map_or(Data::Other, |a| Data::Address(Ipv4Addr::from(a).into())),
                28 => <[u8; 16]>::try_from(bytes)
                    .map_or(Data::Other, |a| Data::Address(Ipv6Addr::from(a).into())),
                2 | 5 | 12 if named.end() == Some(end) => Data::Name(named),
                16 => Data::Text(bytes),
                _ => Data::Other,
            },
        };
        Some((record, end))
    }
}

impl<'a> Name<'a> {
    /// Where what follows the name begins; `None` if it does not end. What pointers lead to is not looked at.
    fn end(&self) -> Option<usize> {
        let mut at = self.start;
        loop {
            let length = usize::from(*self.message.get(at)?);
            match length {
                0 => return at.checked_add(1),
                1..=63 => at = at.checked_add(length)?.checked_add(1)?,
                192.. => return at.checked_add(2).filter(|end| *end <= self.message.len()),
                // Two bits of the length are reserved.
                _ => return None,
            }
        }
    }

    /// The labels; false at the end of a name that is cut or never ends.
    fn each(&self, mut label: impl FnMut(&'a [u8])) -> bool {
        let (mut at, mut piece, mut total) = (self.start, self.start, 1_usize);
        loop {
            let Some(&length) = self.message.get(at) else { return false };
            let begin = at.saturating_add(1);
            match length {
                0 => return true,
                1..=63 => {
                    at = begin.saturating_add(usize::from(length));
                    let Some(bytes) = self.message.get(begin..at) else { return false };
                    total = total.saturating_add(bytes.len()).saturating_add(1);
                    if total > NAME_BYTES {
                        return false;
                    }
                    label(bytes);
                }
                192.. => {
                    let Some(pointer) = u16_at(self.message, at) else { return false };
                    let target = usize::from(pointer & 0x3fff);
                    // Only ever back: this is what keeps it from going round.
                    if target >= piece {
                        return false;
                    }
                    (at, piece) = (target, target);
                }
                _ => return false,
            }
        }
    }

    /// In the form of zone files without the dot at the end: bytes that are no part of host names as `\DDD`. The root is
    /// a dot. What there is of a name that is cut or never ends.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.each(|label| {
            if !text.is_empty() {
                text.push('.');
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' => text.extend(['\\', char::from(byte)]),
                    b'!'..=b'~' => text.push(char::from(byte)),
                    _ => text.push_str(&format!("\\{byte:03}")),
                }
            }
        });
        if text.is_empty() {
            text.push('.');
        }
        text
    }
}

/// The strings of TXT data, one after the other.
pub fn strings(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first()?;
        let length = usize::from(*length).min(behind.len());
        let (string, after) = behind.split_at(length);
        rest = after;
        Some(string)
    })
}

/// The name of a record type.
pub fn kind_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        41 => "OPT",
        43 => "DS",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        50 => "NSEC3",
        52 => "TLSA",
        64 => "SVCB",
        65 => "HTTPS",
        252 => "AXFR",
        255 => "ANY",
        257 => "CAA",
        _ => return None,
    })
}

/// The name of a class.
pub fn class_name(class: u16) -> Option<&'static str> {
    Some(match class {
        1 => "IN",
        3 => "CH",
        4 => "HS",
        254 => "NONE",
        255 => "ANY",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `www.example.org A`, answered by a CNAME and an address, both with compressed names.
    fn answer() -> Vec<u8> {
        let mut bytes = b"\x12\x34\x81\x80\0\x01\0\x03\0\0\0\0".to_vec();
        bytes.extend(b"\x03www\x07example\x03org\0\0\x01\0\x01");
        bytes.extend(b"\xc0\x0c\0\x05\0\x01\0\0\x0e\x10\0\x06\x03cdn\xc0\x10");
        bytes.extend(b"\xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07");
        bytes.extend(b"\xc0\x0c\0\x10\0\x01\0\0\0\x01\0\x06\x02hi\x02yo");
        bytes
    }

    #[test]
    fn an_answer_is_read_in_full() {
        let bytes = answer();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.id, message.is_answer(), message.op_code()), (0x1234, true, "QUERY"));
        assert_eq!(
            (message.response_code(), message.flags().collect::<Vec<_>>()),
            ("NOERROR", vec!["RD", "RA"])
        );
        let question = message.question().unwrap();
        assert_eq!((question.name.text(), question.kind, question.class), ("www.example.org".into(), 1, 1));
        let answers: Vec<_> = message.answers().collect();
        assert_eq!(answers.len(), 3);
        assert_eq!(
            (answers[0].kind, answers[0].ttl, answers[0].name.text()),
            (5, 3600, "www.example.org".into())
        );
        let Data::Name(target) = answers[0].data else { panic!("{:?}", answers[0]) };
        assert_eq!(target.text(), "cdn.example.org");
        assert_eq!(answers[1].name, target);
        assert_eq!(answers[1].data, Data::Address([192, 0, 2, 7].into()));
        let Data::Text(text) = answers[2].data else { panic!("{:?}", answers[2]) };
        assert_eq!(strings(text).collect::<Vec<_>>(), [b"hi", b"yo"]);
    }

    #[test]
    fn every_cut_gives_what_is_before_it() {
        let bytes = answer();
        for end in 0..bytes.len() {
            let Some(message) = Message::parse(&bytes[..end]) else {
                assert!(end < HEADER_BYTES);
                continue;
            };
            assert!(message.answers().count() < 3);
            assert_eq!(message.question().is_some(), end >= HEADER_BYTES + 21);
        }
    }

    #[test]
    fn pointers_that_go_round_or_ahead_end_the_name() {
        // To itself, to each other, and ahead.
        for name in [&b"\xc0\x0c"[..], b"\x01a\xc0\x0c", b"\xc0\x0e\xc0\x0c", b"\x01a\xc0\x20"] {
            let mut bytes = b"\0\0\0\0\0\x01\0\0\0\0\0\0".to_vec();
            bytes.extend(name);
            bytes.extend(b"\0\x01\0\x01\0\0");
            let text = Message::parse(&bytes).unwrap().question().unwrap().name.text();
            assert!(text == "." || text == "a", "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_host_name_are_escaped() {
        let bytes = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x05a.\\\xff\n\0\0\x01\0\x01";
        assert_eq!(Message::parse(bytes).unwrap().question().unwrap().name.text(), "a\\.\\\\\\255\\010");
    }

    #[test]
    fn a_name_is_no_longer_than_names_are() {
        let mut bytes = b"\0\0\0\0\0\x01\0\0\0\0\0\0".to_vec();
        for _ in 0..10 {
            bytes.push(63);
            bytes.extend([b'x'; 63]);
        }
        bytes.extend(b"\0\0\x01\0\x01");
        assert_eq!(Message::parse(&bytes).unwrap().question().unwrap().name.text().len(), 3 * 64 - 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(message) = Message::parse(&bytes) {
                let _ = message.question().map(|question| question.name.text());
                for record in message.answers() {
                    prop_assert!(record.name.text().len() <= 4 * NAME_BYTES);
                    if let Data::Text(text) = record.data {
                        prop_assert!(strings(text).count() <= text.len());
                    }
                }
            }
        }

        #[test]
        fn a_mutated_answer_is_read_without_a_panic(at in 0..92_usize, byte: u8, other in 0..92_usize, more: u8) {
            let mut bytes = answer();
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes[other % length] = more;
            let message = Message::parse(&bytes).unwrap();
            prop_assert!(message.answers().all(|record| record.name.text().len() <= 4 * NAME_BYTES));
        }
    }
}
