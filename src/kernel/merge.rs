//! Tells of the events that the kernel side merged into equal ones.
//!
//! Within a window the first event of a process, inode and kind makes a record; for further ones the kernel side only
//! counts (`struct se_merge`). There are two maps of counts, used in turn. Once a window the [`Merger`]
//!
//! 1. flips `se_switches.window`, so that the programs count in the other map;
//! 2. waits until no program can still be at the old one ([`SETTLING`]);
//! 3. empties the old map, and for each count makes a record: the bytes of the first event's record, with the count in
//!    `se_actor.merged` and the time of the last one in the header.
//!
//! The first record is found by its time and CPU, which the map has. So records that can be merged into are kept for
//! two windows, [`FIRSTS_MAX`] of each: the map has room for [`ENTRIES`] in a window, which come before all others,
//! as events are reported one by one when it is full. A count whose record is not there waits one window more, as the
//! reader may be behind, and is then told without it ([`Unplaced`]): the ring had no room, or the limit refused it.
//!
//! Every count is told once, one way or the other, and added to `sentinel_events_merged_total`, which is therefore
//! equal to the kernel side's `deduplicated` once the windows are over.
//!
//! Limits: a program that was kept from running for longer than the wait, in the middle of its count, may add to an
//! entry that was just taken out. What it counted is then missing in that sum.

use std::collections::VecDeque;
use std::fmt;
use std::mem::offset_of;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use libbpf_rs::{MapCore as _, MapFlags, MapHandle};

use super::abi::Layout as _;
use super::abi::types::{se_actor, se_file, se_header, se_merge, se_merge_key};
use super::records::Records;
use super::switches::Switches;
use crate::event::Kind;
use crate::metrics::Metrics;
use crate::util::clock;

/// How long a program may be at a map after the flip. Programs run for microseconds, and with preemption off.
const SETTLING: Duration = Duration::from_millis(20);

/// Entries of each map, see `bpf/lib/maps.bpf.h`.
pub const ENTRIES: usize = 8192;

/// Records kept of a window; beside those of entries there are some of kinds that never merge.
const FIRSTS_MAX: usize = 2 * ENTRIES;

/// Bytes kept of a window. Records have a few hundred bytes but for very long paths.
const FIRSTS_BYTES_MAX: usize = 16 << 20;

/// Windows whose records are kept: the running one, the one that is being told, and one for a reader that is behind.
const WINDOWS_KEPT: usize = 3;

/// Counts without a record that are told one by one until somebody takes them; further ones by kind.
const UNPLACED_MAX: usize = 256;

/// Merged events whose first one was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unplaced {
    /// Their kind.
    pub kind: Kind,
    /// The process.
    pub pid: u32,
    /// Inode number of what they are about.
    pub inode: u64,
    /// Device of it, major and minor.
    pub device: (u32, u32),
    /// How many.
    pub count: u64,
    /// Boot clock times of the first event, which was lost, and of the last.
    pub times_ns: (u64, u64),
}

/// What could not be told as a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Untold {
    /// One by one.
    pub each: Vec<Unplaced>,
    /// Those that were too many for that, by kind; without the kinds that have none.
    pub others: Vec<(Kind, u64)>,
}

/// Where counts without a record wait for whoever writes them down.
#[derive(Debug, Clone, Default)]
pub struct Unplaceds(Arc<Mutex<Untold>>);

impl Unplaceds {
    /// Takes out what there is.
    pub fn take(&self) -> Option<Untold> {
        let untold = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (untold != Untold::default()).then_some(untold)
    }

    fn put(&self, unplaced: Unplaced) {
        let mut untold = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if untold.each.len() < UNPLACED_MAX {
            untold.each.push(unplaced);
            return;
        }
        match untold.others.iter_mut().find(|(kind, _)| *kind == unplaced.kind) {
            Some((_, count)) => *count += unplaced.count,
            None => untold.others.push((unplaced.kind, unplaced.count)),
        }
    }
}

/// The maps could not be turned or read.
#[derive(Debug, thiserror::Error)]
#[error("{doing} the windows of merged events: {cause}")]
pub struct Error {
    doing: &'static str,
    cause: libbpf_rs::Error,
}

/// See the module. Owned by the thread that reads the rings.
pub struct Merger {
    maps: [MapHandle; 2],
    switches: Arc<Switches>,
    window_ns: u64,
    firsts: Firsts,
    flipped_ns: u64,
    /// The map that the programs have left and that is not emptied yet.
    left: Option<usize>,
    /// Counts whose record was not found in the first attempt.
    waiting: Vec<Count>,
    unplaced: Unplaceds,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for Merger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merger").field("window_ns", &self.window_ns).finish_non_exhaustive()
    }
}

/// A count of the kernel side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    kind: Kind,
    pid: u32,
    inode: u64,
    dev: u32,
    first_ns: u64,
    last_ns: u64,
    cpu: u16,
    count: u64,
}

impl Merger {
    /// `maps`: the even and the odd one.
    pub(super) fn new(
        maps: [MapHandle; 2],
        switches: Arc<Switches>,
        window: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        Merger {
            maps,
            switches,
            window_ns: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
            firsts: Firsts::default(),
            flipped_ns: clock::boot_ns(),
            left: None,
            waiting: Vec::new(),
            unplaced: Unplaceds::default(),
            metrics,
        }
    }

    /// Where counts whose first record was lost can be had.
    pub fn unplaced(&self) -> Unplaceds {
        self.unplaced.clone()
    }

    /// Keeps those of the records that later ones may have been merged into. To be called with all that is read.
    pub fn observe(&mut self, records: &Records) {
        records.iter().for_each(|record| self.firsts.keep(record));
    }

    /// Does what is due at this time of the boot clock, and appends records to `into` for what was merged.
    ///
    /// # Errors
    ///
    /// A map could not be turned or read; the counts stay where they are.
    pub fn turn(&mut self, now_ns: u64, into: &mut Records) -> Result<(), Error> {
        let since_ns = now_ns.saturating_sub(self.flipped_ns);
        if let Some(left) = self.left
            && since_ns >= u64::try_from(SETTLING.as_nanos()).unwrap_or(u64::MAX)
        {
            self.left = None;
            let counts = self.empty(left)?;
            let late = std::mem::take(&mut self.waiting);
            for count in late {
                self.tell(&count, true, into);
            }
            for count in counts {
                self.tell(&count, false, into);
            }
        }
        if self.left.is_none() && since_ns >= self.window_ns {
            let left = self.switches.flip().map_err(|cause| Error { doing: "turning", cause })?;
            self.left = Some(left);
            self.flipped_ns = now_ns;
            self.firsts.turn();
        }
        Ok(())
    }

    /// After the programs were detached and the rings read: tells everything that is left.
    ///
    /// # Errors
    ///
    /// As of [`Merger::turn`].
    pub fn finish(&mut self, into: &mut Records) -> Result<(), Error> {
        sleep(SETTLING);
        let mut counts = std::mem::take(&mut self.waiting);
        for map in 0..self.maps.len() {
            counts.extend(self.empty(map)?);
        }
        for count in counts {
            self.tell(&count, true, into);
        }
        Ok(())
    }

    /// Takes everything out of a map that no program uses any more.
    fn empty(&self, map: usize) -> Result<Vec<Count>, Error> {
        let Some(map) = self.maps.get(map) else { return Ok(Vec::new()) };
        // With room for all in one go: in smaller steps the kernel silently leaves out what shares a bucket.
        let most = map.max_entries();
        let entries = map
            .lookup_and_delete_batch(most, MapFlags::ANY, MapFlags::ANY)
            .map_err(|cause| Error { doing: "emptying", cause })?;
        Ok(entries.filter_map(|(key, value)| Count::read(&key, &value)).collect())
    }

    /// Appends the record of a count, or puts it off, or gives up on its record if this was the `last_try`.
    fn tell(&mut self, count: &Count, last_try: bool, into: &mut Records) {
        match self.firsts.find(count) {
            Some(first) => into.push(&repeated(first, count)),
            None if !last_try => return self.waiting.push(*count),
            None => self.unplaced.put(Unplaced {
                kind: count.kind,
                pid: count.pid,
                inode: count.inode,
                device: (count.dev >> 20, count.dev & 0xf_ffff),
                count: count.count,
                times_ns: (count.first_ns, count.last_ns),
            }),
        }
        self.metrics.events_merged.at(count.kind).add(count.count);
    }
}

impl Count {
    /// `None` for an event that stayed the only one of its kind in the window.
    fn read(key: &[u8], value: &[u8]) -> Option<Count> {
        let (key, value) = (se_merge_key::read(key)?, se_merge::read(value)?);
        let kind = Kind::from_number(u16::try_from(key.kind).ok()?)?;
        (value.count > 0).then_some(Count {
            kind,
            pid: key.pid,
            inode: key.inode,
            dev: key.dev,
            first_ns: value.first_ns,
            last_ns: value.last_ns.max(value.first_ns),
            cpu: u16::try_from(value.cpu).ok()?,
            count: value.count,
        })
    }
}

/// Where the actor is in every record that can stand for others: right behind the header.
const ACTOR_AT: usize = size_of::<se_header>();
const _: () = assert!(offset_of!(se_file, actor) == ACTOR_AT);
const MERGED_AT: usize = ACTOR_AT + offset_of!(se_actor, merged);
const PID_AT: usize = ACTOR_AT + offset_of!(se_actor, pid);

/// Whether records of this kind carry `struct se_actor`, without which a record cannot stand for others.
fn can_merge(kind: u16) -> bool {
    kind >= Kind::FileOpen as u16 && kind != Kind::Credentials as u16
}

/// The record of the first event, made to tell of those that were merged into it.
fn repeated(first: &[u8], count: &Count) -> Vec<u8> {
    let mut record = first.to_vec();
    let mut write = |at: usize, bytes: &[u8]| {
        if let Some(room) = record.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    };
    write(offset_of!(se_header, ts_ns), &count.last_ns.to_ne_bytes());
    write(MERGED_AT, &u32::try_from(count.count).unwrap_or(u32::MAX).to_ne_bytes());
    record
}

fn u32_at(record: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*record.get(at..)?.first_chunk()?))
}

/// Records of the last windows, by time and CPU.
#[derive(Debug, Default)]
struct Firsts {
    /// The running one first.
    windows: VecDeque<Kept>,
}

/// Records of one window.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Time, CPU, and where in the bytes. In the order of reading, which is nearly that of time.
    places: Vec<(u64, u16, std::ops::Range<usize>)>,
    is_sorted: bool,
}

impl Firsts {
    fn keep(&mut self, record: &[u8]) {
        let Some(header) = se_header::read(record).filter(|header| can_merge(header.kind)) else { return };
        if self.windows.is_empty() {
            self.windows.push_front(Kept::default());
        }
        let Some(kept) = self.windows.front_mut() else { return };
        let start = kept.bytes.len();
        if kept.places.len() >= FIRSTS_MAX || start + record.len() > FIRSTS_BYTES_MAX {
            return;
        }
        kept.bytes.extend_from_slice(record);
        kept.places.push((header.ts_ns, header.cpu, start..kept.bytes.len()));
        kept.is_sorted = false;
    }

    /// A new window begins. The memory of the oldest serves it.
    fn turn(&mut self) {
        let oldest = if self.windows.len() >= WINDOWS_KEPT { self.windows.pop_back() } else { None };
        let mut fresh = oldest.unwrap_or_default();
        fresh.bytes.clear();
        fresh.places.clear();
        self.windows.push_front(fresh);
    }

    fn find(&mut self, count: &Count) -> Option<&[u8]> {
        for kept in &mut self.windows {
            if !kept.is_sorted {
                kept.places.sort_by_key(|(time_ns, cpu, _)| (*time_ns, *cpu));
                kept.is_sorted = true;
            }
        }
        let wanted = (count.first_ns, count.cpu);
        self.windows.iter().find_map(|kept| {
            let at = kept.places.partition_point(|(time_ns, cpu, _)| (*time_ns, *cpu) < wanted);
            let same = kept.places.iter().skip(at).take_while(|(time_ns, cpu, _)| (*time_ns, *cpu) == wanted);
            let mut records = same.filter_map(|(_, _, place)| kept.bytes.get(place.clone()));
            records.find(|record| {
                let is_kind = se_header::read(record).is_some_and(|h| h.kind == count.kind as u16);
                is_kind && u32_at(record, PID_AT) == Some(count.pid)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: Kind, time_ns: u64, cpu: u16, pid: u32) -> Vec<u8> {
        let header =
            se_header { ts_ns: time_ns, len: u32::try_from(se_file::SIZE).unwrap(), kind: kind as u16, cpu };
        let actor = se_actor { pid, ..se_actor::default() };
        se_file { header, actor, ..se_file::default() }.bytes().to_vec()
    }

    fn count(time_ns: u64, cpu: u16, pid: u32) -> Count {
        Count {
            kind: Kind::FileOpen,
            pid,
            inode: 5,
            dev: 0,
            first_ns: time_ns,
            last_ns: time_ns + 9,
            cpu,
            count: 4,
        }
    }

    fn keep(firsts: &mut Firsts, records: &[Vec<u8>]) {
        records.iter().for_each(|record| firsts.keep(record));
    }

    #[test]
    fn the_first_record_is_found_by_time_cpu_kind_and_process() {
        let mut firsts = Firsts::default();
        keep(
            &mut firsts,
            &[
                record(Kind::FileOpen, 20, 1, 7),
                record(Kind::FileOpen, 10, 1, 7),
                record(Kind::FileRead, 10, 0, 7),
                record(Kind::FileOpen, 10, 0, 8),
                record(Kind::FileOpen, 10, 0, 7),
            ],
        );
        for (time_ns, cpu, pid) in [(20, 1, 7), (10, 1, 7), (10, 0, 8), (10, 0, 7)] {
            let found = firsts.find(&count(time_ns, cpu, pid)).map(<[u8]>::to_vec);
            assert_eq!(found, Some(record(Kind::FileOpen, time_ns, cpu, pid)));
        }
        assert_eq!(firsts.find(&count(10, 2, 7)), None);
        assert_eq!(firsts.find(&count(11, 1, 7)), None);
    }

    #[test]
    fn records_are_kept_for_two_more_windows() {
        let mut firsts = Firsts::default();
        keep(&mut firsts, &[record(Kind::FileOpen, 1, 0, 7)]);
        for _ in 1..WINDOWS_KEPT {
            assert!(firsts.find(&count(1, 0, 7)).is_some());
            firsts.turn();
        }
        keep(&mut firsts, &[record(Kind::FileOpen, 2, 0, 7)]);
        assert!(firsts.find(&count(1, 0, 7)).is_some());
        firsts.turn();
        assert!(firsts.find(&count(1, 0, 7)).is_none());
        assert!(firsts.find(&count(2, 0, 7)).is_some());
    }

    #[test]
    fn memory_is_bounded_and_the_first_of_a_window_stay() {
        let mut firsts = Firsts::default();
        for time_ns in 0..FIRSTS_MAX as u64 + 10 {
            firsts.keep(&record(Kind::FileOpen, time_ns, 0, 7));
        }
        assert!(firsts.find(&count(0, 0, 7)).is_some());
        assert!(firsts.find(&count(FIRSTS_MAX as u64, 0, 7)).is_none());
        // Kinds whose records cannot stand for others take no room.
        let mut firsts = Firsts::default();
        keep(
            &mut firsts,
            &[record(Kind::Exec, 1, 0, 7), record(Kind::Credentials, 1, 0, 7), b"short".to_vec()],
        );
        assert!(firsts.windows.is_empty());
    }

    #[test]
    fn a_record_is_made_to_stand_for_others() {
        let first = record(Kind::FileOpen, 10, 3, 7);
        let made = se_file::read(&repeated(&first, &count(10, 3, 7))).unwrap();
        let was = se_file::read(&first).unwrap();
        assert_eq!((made.header.ts_ns, made.actor.merged), (19, 4));
        assert_eq!((made.header.cpu, made.header.kind, made.actor.pid), (was.header.cpu, was.header.kind, 7));
    }

    #[test]
    fn counts_are_read_as_the_kernel_side_writes_them() {
        let key = se_merge_key {
            pid: 7,
            inode: 5,
            dev: 8 << 20 | 1,
            kind: Kind::FileRead as u32,
            ..se_merge_key::default()
        };
        let value = se_merge { first_ns: 10, last_ns: 9, count: 3, cpu: 1, ..se_merge::default() };
        let read = Count::read(key.bytes(), value.bytes()).unwrap();
        assert_eq!((read.kind, read.pid, read.count, read.last_ns), (Kind::FileRead, 7, 3, 10));
        let single = se_merge { count: 0, ..value };
        assert_eq!(Count::read(key.bytes(), single.bytes()), None);
        assert_eq!(Count::read(key.bytes(), b"short"), None);
    }

    #[test]
    fn what_has_no_record_is_told_in_bounded_memory() {
        let unplaced = Unplaceds::default();
        assert_eq!(unplaced.take(), None);
        let one =
            Unplaced { kind: Kind::FileOpen, pid: 7, inode: 5, device: (8, 1), count: 2, times_ns: (1, 2) };
        for _ in 0..UNPLACED_MAX + 3 {
            unplaced.put(one);
        }
        let untold = unplaced.take().unwrap();
        assert_eq!((untold.each.len(), untold.others), (UNPLACED_MAX, vec![(Kind::FileOpen, 6)]));
        assert_eq!(unplaced.take(), None);
    }
}
