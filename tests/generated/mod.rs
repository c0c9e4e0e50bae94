//! Files of the repository that are written from tables in the source. `make docs` writes them; a test fails when one is
//! stale.

use std::path::Path;
use std::{env, fs};

/// Compares a file, by its path in the repository, with what it should be, or writes it if asked to.
pub fn assert_fresh(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut found = fs::read_to_string(&path).unwrap_or_default();
    // Only what differs, as other tests read the file meanwhile.
    if found != text && env::var_os("WRITE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().expect("files are in directories")).expect("the directory is made");
        fs::write(&path, text).expect("the file is written");
        text.clone_into(&mut found);
    }
    let stale = text.lines().zip(found.lines().chain(std::iter::repeat(""))).find(|(new, old)| new != old);
    assert!(
        found == text,
        "{name} is stale; `make docs` writes it anew. First difference (new, old): {stale:?}"
    );
}
