//! The valid name that somebody probably meant.

/// The candidate that is close enough to `given` to be what was meant: a third of its letters may differ.
pub fn name<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_ascii_lowercase().replace('-', "_");
    if given.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&given, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(given.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::name;

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
}
