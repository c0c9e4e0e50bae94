//! `/etc/passwd` and `/etc/group`: name and number, see passwd(5) and group(5).

use super::{lines, number};

/// Longest name taken over; longer ones are no names.
const NAME_MAX: usize = 256;

/// Numbers with their names, in the order of the file, first come first kept by whoever looks them up. Both files
/// have name, password and number as the first three fields. Lines of NIS (`+user`) have no number and are left
/// out, and so is what is malformed.
pub fn parse(text: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    lines(text).filter_map(|line| {
        let mut fields = line.split(|&b| b == b':');
        let name = fields.next().filter(|n| !n.is_empty() && n.len() <= NAME_MAX && n[0] != b'#')?;
        Some((number(fields.nth(1)?)?, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_by_number() {
        let text = b"root:x:0:0:root:/root:/bin/bash\n# comment:x:5:\n+nis\n:x:7:\nbad:x:-1:\n\ntoor:x:0:0::/:\nlast:*:12";
        let found: Vec<_> = parse(text).collect();
        assert_eq!(found, [(0, &b"root"[..]), (0, b"toor"), (12, b"last")]);
    }

    proptest! {
        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for (_, name) in parse(&bytes) {
                prop_assert!(!name.is_empty() && name.len() <= NAME_MAX);
            }
        }
    }
}
