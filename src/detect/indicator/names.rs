//! Domains and paths: texts with marks, found whole or by their beginnings.
//!
//! A domain is kept with its letters turned around, `moc.elpmaxe`, so that what it is a subdomain of is what it begins
//! with. Thereby a look-up hashes a name once, and takes the hash at each dot.
//!
//! Paths that are beginnings are found by trying each length that any of them has, the longest match counting; the
//! cost grows with the number of different lengths, not with the number of entries.

use super::mark::Mark;
use super::texts::Texts;

/// Bytes of a domain without the dot at its end.
pub(super) const MOST_DOMAIN_BYTES: usize = 253;

/// Texts with a mark each.
#[derive(Debug, Default)]
struct Marked {
    texts: Texts,
    marks: Vec<Mark>,
}

impl Marked {
    fn mark(&self, number: u32) -> Option<Mark> {
        self.marks.get(number as usize).copied()
    }

    fn shrink(&mut self) {
        self.texts.shrink();
        self.marks.shrink_to_fit();
    }

    fn heap_bytes(&self) -> usize {
        self.texts.heap_bytes() + self.marks.capacity() * size_of::<Mark>()
    }

    /// The present mark if the text is there already, `Ok(None)` if it is new now.
    fn add(&mut self, text: &[u8], mark: Mark) -> Result<Option<&mut Mark>, Full> {
        let (number, is_new) = self.texts.intern(text).ok_or(Full)?;
        if is_new {
            self.marks.push(mark);
            return Ok(None);
        }
        Ok(self.marks.get_mut(number as usize))
    }
}

/// There is no room for another text.
#[derive(Debug)]
pub(super) struct Full;

/// Domains. The flag of a mark says that only subdomains count.
#[derive(Debug, Default)]
pub(super) struct Domains(Marked);

impl Domains {
    pub(super) fn len(&self) -> usize {
        self.0.texts.len()
    }

    /// Adds a name in lower case without the dot at its end.
    pub(super) fn add(&mut self, name: &[u8], below_only: bool, mark: Mark) -> Result<(), Full> {
        let turned: Vec<u8> = name.iter().rev().copied().collect();
        let mark = mark.with_flag(below_only);
        if let Some(present) = self.0.add(&turned, mark)?
            && present.flag
            && !below_only
        {
            *present = mark;
        }
        Ok(())
    }

    /// The entry that is nearest to the name: itself, else the longest one it is below of.
    pub(super) fn get(&self, name: &[u8]) -> Option<(Mark, String)> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        let mut turned = [0; MOST_DOMAIN_BYTES];
        let turned = turned.get_mut(..name.len())?;
        for (to, from) in turned.iter_mut().zip(name.iter().rev()) {
            *to = from.to_ascii_lowercase();
        }
        let mut running = self.0.texts.running(turned);
        let mut found = None;
        for end in memchr::memchr_iter(b'.', turned).chain([turned.len()]) {
            let Some(beginning) = turned.get(..end) else { break };
            if let Some(number) = self.0.texts.find_hashed(running.at(end), beginning)
                && let Some(mark) = self.0.mark(number)
                && !(mark.flag && end == turned.len())
            {
                found = Some((mark, number));
            }
        }
        let (mark, number) = found?;
        let name: Vec<u8> = self.0.texts.get(number).iter().rev().copied().collect();
        let name = String::from_utf8_lossy(&name);
        Some((mark, if mark.flag { format!("*.{name}") } else { name.into_owned() }))
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink();
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

/// Paths, whole ones and beginnings.
#[derive(Debug, Default)]
pub(super) struct Paths {
    whole: Marked,
    beginnings: Marked,
    /// Of the beginnings, ascending, each once.
    lengths: Vec<usize>,
}

impl Paths {
    pub(super) fn len(&self) -> usize {
        self.whole.texts.len() + self.beginnings.texts.len()
    }

    pub(super) fn add(&mut self, path: &[u8], is_beginning: bool, mark: Mark) -> Result<(), Full> {
        let marked = if is_beginning { &mut self.beginnings } else { &mut self.whole };
        marked.add(path, mark)?;
        if is_beginning && let Err(at) = self.lengths.binary_search(&path.len()) {
            self.lengths.insert(at, path.len());
        }
        Ok(())
    }

    /// The path itself, else the longest beginning of it.
    pub(super) fn get(&self, path: &[u8]) -> Option<(Mark, String)> {
        if let Some(number) = self.whole.texts.find(path) {
            let text = String::from_utf8_lossy(self.whole.texts.get(number)).into_owned();
            return Some((self.whole.mark(number)?, text));
        }
        let texts = &self.beginnings.texts;
        let mut running = texts.running(path);
        let mut found = None;
        for &length in &self.lengths {
            let Some(beginning) = path.get(..length) else { break };
            found = texts.find_hashed(running.at(length), beginning).or(found);
        }
        let number = found?;
        let text = String::from_utf8_lossy(texts.get(number));
        Some((self.beginnings.mark(number)?, format!("{text}*")))
    }

    pub(super) fn shrink(&mut self) {
        self.whole.shrink();
        self.beginnings.shrink();
        self.lengths.shrink_to_fit();
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.whole.heap_bytes() + self.beginnings.heap_bytes() + self.lengths.capacity() * size_of::<usize>()
    }
}
