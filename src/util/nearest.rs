//! The valid name that somebody probably meant.

/// The candidate that is close enough to `given` to be what was meant: a third of its letters may differ, or be
/// swapped with their neighbours. Case, and whether words are joined by `-` or `_`, make no difference.
pub fn name<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    if given.len() > 64 {
        return None;
    }
    let given = plain(given);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&given, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| {
            let longer = candidate.len().max(given.len());
            // Of names of one letter none is near to another.
            *distance <= (longer / 3).max(1) && *distance < longer
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean X?`, to follow what is wrong, or nothing if no candidate is near.
pub fn hint<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    name(given, candidates).map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

#[cfg(test)]
mod tests {
    use super::{hint, name};

    #[test]
    fn finds_typing_errors_only() {
        let words = ["ring_buffer_size", "batch_size", "event_batch_size"];
        assert_eq!(name("ring_bufer_size", words), Some("ring_buffer_size"));
        assert_eq!(name("ring-buffer-size", words), Some("ring_buffer_size"));
        assert_eq!(name("BATCH_SIZE", words), Some("batch_size"));
        assert_eq!(name("colour", words), None);
        assert_eq!(name("", words), None);
        assert_eq!(name(&"x".repeat(1000), words), None);
    }

    #[test]
    fn says_so_in_a_message() {
        assert_eq!(hint("commandlien", ["Image", "CommandLine"]), "; did you mean CommandLine?");
        assert_eq!(hint("groupby", ["group-by", "type"]), "; did you mean group-by?");
        assert_eq!(hint("b", ["a"]), "");
        assert_eq!(hint("zebra", ["Image", "CommandLine"]), "");
    }
}
