//! A set of 16-bit numbers, 8 KiB, so that it stays in the first level of the processor's cache.

/// Numbers there are.
const BITS: usize = 1 << 16;

/// The numbers.
pub(super) struct Bitmap([u64; BITS / 64]);

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        f.debug_struct("Bitmap").field("set", &set).finish_non_exhaustive()
    }
}

impl Bitmap {
    /// The set of these.
    pub(super) fn new(bits: impl Iterator<Item = u16>) -> Box<Bitmap> {
        let mut map = Box::new(Bitmap([0; BITS / 64]));
        bits.for_each(|bit| map.0[usize::from(bit) / 64] |= 1 << (bit % 64));
        map
    }

    /// 1 in the lowest bit if the number is in the set; the other bits tell nothing. Indexes are below the length by the
    /// type of `bit`, which the compiler sees.
    pub(super) fn lowest(&self, bit: u16) -> u64 {
        self.0[usize::from(bit) / 64] >> (bit % 64)
    }

    /// The number is in the set.
    pub(super) fn has(&self, bit: u16) -> bool {
        self.lowest(bit) & 1 == 1
    }
}
