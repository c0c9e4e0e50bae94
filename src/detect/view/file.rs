//! What rules ask of file events and mounts.

use super::texts::Texts;
use crate::detect::sigma::fields::Field;
use crate::detect::sigma::logsource::Category;
use crate::detect::sigma::set::Wanted;
use crate::event::ecs::file_mode;
use crate::event::{File, FileOp, Kind};

/// `O_TRUNC`.
const TRUNCATES: u32 = 0o1000;

/// The fields that are known without the line; without a value they are absent.
pub const PROVIDED: [Field; 8] = [
    Field::EVENT_TYPE,
    Field::TARGET_FILENAME,
    Field::SOURCE_FILENAME,
    Field::MODE,
    Field::OLD_MODE,
    Field::OWNER_ID,
    Field::XATTR_NAME,
    Field::FILESYSTEM_TYPE,
];

/// What was done, as a category calls it.
fn event_type(event: &File<'_>, category: Category) -> &'static str {
    match (category, event.op) {
        (Category::FileEvent, FileOp::Open) if event.open_flags & TRUNCATES != 0 => "truncate",
        (Category::FileEvent, FileOp::Open) => "open_write",
        (_, op) => op.name(),
    }
}

/// Writes them.
pub fn write(event: &File<'_>, category: Category, wanted: &Wanted, texts: &mut Texts) {
    texts.text(Field::EVENT_TYPE, event_type(event, category).as_bytes());
    let (path, source) = event.paths();
    some(texts, Field::TARGET_FILENAME, &path.text());
    if wanted.has(Field::SOURCE_FILENAME) {
        match source {
            Some(source) => some(texts, Field::SOURCE_FILENAME, &source.text()),
            None if event.kind == Kind::Mount || event.op == FileOp::Symlink => {
                some(texts, Field::SOURCE_FILENAME, event.other);
            }
            None => {}
        }
    }
    if wanted.has(Field::MODE) && event.has_mode() {
        texts.text(Field::MODE, &file_mode(event.object.mode));
    }
    if let Some(before) = event.before.as_ref().filter(|_| wanted.has(Field::OLD_MODE)) {
        texts.text(Field::OLD_MODE, &file_mode(before.mode));
    }
    if let Some(owner) = event.owner().filter(|_| wanted.has(Field::OWNER_ID)) {
        texts.number(Field::OWNER_ID, u64::from(owner));
    }
    match event.op {
        FileOp::Setxattr | FileOp::Removexattr => some(texts, Field::XATTR_NAME, event.name),
        _ if event.kind == Kind::Mount => some(texts, Field::FILESYSTEM_TYPE, event.name),
        _ => {}
    }
}

/// Writes a text, if there is one.
fn some(texts: &mut Texts, field: Field, text: &[u8]) {
    if !text.is_empty() {
        texts.text(field, text);
    }
}
