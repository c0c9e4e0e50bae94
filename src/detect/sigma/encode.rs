//! The modifiers that change a value before it is looked for: UTF-16, Base64, dashes.

/// The standard alphabet, RFC 4648 section 4.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Characters that `windash` takes for one another: hyphen, slash, en dash, em dash, horizontal bar.
const DASHES: [&str; 5] = ["-", "/", "\u{2013}", "\u{2014}", "\u{2015}"];

/// UTF-16, little endian without a mark (`wide`, `utf16le`), big endian (`utf16be`), or marked (`utf16`).
pub fn utf16(text: &str, big_endian: bool, mark: bool) -> Vec<u8> {
    let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

/// Base64 with padding.
pub fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let character = ALPHABET.get((group >> (18 - 6 * place) & 63) as usize).copied();
            out.push(if place <= chunk.len() { character.unwrap_or(b'=') } else { b'=' });
        }
    }
    out
}

/// The three texts one of which Base64 of any data has in it that contains these bytes, by where they begin in a group
/// of three. Characters that depend on the neighbours are left out.
pub fn base64_offsets(bytes: &[u8]) -> [Vec<u8>; 3] {
    [0, 1, 2].map(|offset| {
        let mut shifted = vec![0; offset];
        shifted.extend_from_slice(bytes);
        let encoded = base64(&shifted);
        let start = [0, 2, 3][offset];
        let whole_bits = shifted.len() * 8;
        let end = whole_bits / 6;
        encoded.get(start..end).unwrap_or_default().to_vec()
    })
}

/// The value with each dash that begins a word replaced by each of those that programs take for one.
///
/// All dashes of a value change alike, as in the reference implementation: one variant for each character.
pub fn windash(value: &str) -> Vec<String> {
    let starts: Vec<usize> = value
        .char_indices()
        .filter(|&(at, c)| DASHES.iter().any(|dash| dash.starts_with(c)) && begins_word(value, at, c))
        .map(|(at, _)| at)
        .collect();
    let mut variants = vec![value.to_owned()];
    for dash in DASHES {
        let mut variant = String::new();
        let mut from = 0;
        for &at in &starts {
            variant.push_str(value.get(from..at).unwrap_or_default());
            variant.push_str(dash);
            from = at + value.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        }
        variant.push_str(value.get(from..).unwrap_or_default());
        if !variants.contains(&variant) {
            variants.push(variant);
        }
    }
    variants
}

/// A dash is an option's only after a blank or at the beginning, and before a letter or digit; else it joins words or
/// paths.
fn begins_word(value: &str, at: usize, dash: char) -> bool {
    let before = value.get(..at).and_then(|head| head.chars().next_back());
    let after = value.get(at + dash.len_utf8()..).and_then(|tail| tail.chars().next());
    before.is_none_or(|c| !c.is_alphanumeric() && c != '_') && after.is_some_and(char::is_alphanumeric)
}
