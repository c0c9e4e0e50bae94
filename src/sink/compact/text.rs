//! Styled text with a known width, in which nothing can drive the terminal.
//!
//! Names, paths and arguments come from whoever runs a program. Control characters would move the cursor or
//! retitle the window, and invisible or right-to-left ones would make a line read as something else. All of them
//! are shown escaped, in a style of their own.

use std::fmt::Write;

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Dim,
    Bold,
    Good,
    Calm,
    Quiet,
    Warn,
    Bad,
    Place,
}

impl Style {
    /// Parameters of the SGR sequence. The sixteen basic colours only, so that the terminal's theme decides.
    fn sgr(self) -> &'static str {
        match self {
            Style::Plain => "",
            Style::Dim => "2",
            Style::Bold => "1",
            Style::Good => "1;32",
            Style::Calm => "36",
            Style::Quiet => "34",
            Style::Warn => "33",
            Style::Bad => "1;31",
            Style::Place => "35",
        }
    }
}

/// A piece of a line.
#[derive(Debug, Default)]
pub(super) struct Text {
    chars: String,
    /// Style of what ends here.
    spans: Vec<(usize, Style)>,
    columns: usize,
    /// More columns than this are of no use, so they are not taken in.
    limit: Option<usize>,
}

impl Text {
    /// Text of which at most `limit` columns will be shown.
    pub(super) fn within(limit: Option<usize>) -> Self {
        Text { limit, ..Text::default() }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Adds foreign text, escaped.
    pub(super) fn push(&mut self, style: Style, text: &str) {
        for c in text.chars() {
            if self.limit.is_some_and(|limit| self.columns > limit) {
                return;
            }
            if is_harmful(c) {
                let mut escaped = String::with_capacity(10);
                // Writing to a String cannot fail.
                let _ = match c {
                    '\n' | '\t' | '\r' => write!(escaped, "{}", c.escape_default()),
                    c if c.is_ascii() => write!(escaped, "\\x{:02x}", u32::from(c)),
                    c => write!(escaped, "{}", c.escape_unicode()),
                };
                self.columns += escaped.len();
                self.chars.push_str(&escaped);
                self.style(if style == Style::Bad { Style::Warn } else { Style::Bad });
            } else {
                self.columns += columns(c);
                self.chars.push(c);
                self.style(style);
            }
        }
    }

    /// Adds spaces up to this width.
    pub(super) fn pad(&mut self, width: usize) {
        let missing = width.saturating_sub(self.columns);
        self.columns += missing;
        self.chars.extend(std::iter::repeat_n(' ', missing));
        self.style(Style::Plain);
    }

    /// Adds another text.
    pub(super) fn append(&mut self, other: &Text) {
        let base = self.chars.len();
        self.chars.push_str(&other.chars);
        self.columns += other.columns;
        self.spans.extend(other.spans.iter().map(|(end, style)| (base + end, *style)));
    }

    /// Cuts it to this width, the last column being an ellipsis if something had to go.
    pub(super) fn shorten(&mut self, width: usize) {
        if self.columns <= width {
            return;
        }
        let (mut used, mut keep) = (0, 0);
        for (at, c) in self.chars.char_indices() {
            if used + columns(c) > width.saturating_sub(1) {
                break;
            }
            used += columns(c);
            keep = at + c.len_utf8();
        }
        self.chars.truncate(keep);
        let spans = self.spans.iter().take_while(|(end, _)| *end < keep).count();
        let style = self.spans.get(spans).map_or(Style::Plain, |(_, style)| *style);
        self.spans.truncate(spans);
        self.spans.push((keep, style));
        self.columns = used;
        if width > 0 {
            self.chars.push('…');
            self.columns += 1;
            self.style(Style::Dim);
        }
    }

    /// Gives everything added since the last call this style.
    fn style(&mut self, style: Style) {
        let end = self.chars.len();
        match self.spans.last_mut() {
            Some(last) if last.1 == style => last.0 = end,
            _ => self.spans.push((end, style)),
        }
    }

    pub(super) fn write(&self, colours: bool, out: &mut Vec<u8>) {
        if !colours {
            out.extend_from_slice(self.chars.as_bytes());
            return;
        }
        let mut start = 0;
        for (end, style) in &self.spans {
            let text = self.chars.get(start..*end).unwrap_or_default();
            start = *end;
            if *style == Style::Plain || text.is_empty() {
                out.extend_from_slice(text.as_bytes());
                continue;
            }
            for piece in ["\x1b[", style.sgr(), "m", text, "\x1b[0m"] {
                out.extend_from_slice(piece.as_bytes());
            }
        }
    }
}

/// Drives the terminal, or hides or reorders text.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Columns on a terminal. A mark that is not known here counts as one column, which leaves a gap at worst.
fn columns(c: char) -> usize {
    match c {
        '\0'..='\u{2ff}' => 1,
        '\u{300}'..='\u{36f}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}'
        | '\u{e0100}'..='\u{e01ef}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &Text, colours: bool) -> String {
        let mut out = Vec::new();
        text.write(colours, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_drives_the_terminal() {
        let mut text = Text::default();
        text.push(Style::Plain, "a\x1b[2Jb\n\u{9b}31m\u{202e}gpj.exe\u{200b}\x07\x7f");
        let plain = shown(&text, false);
        assert_eq!(plain, "a\\x1b[2Jb\\n\\u{9b}31m\\u{202e}gpj.exe\\u{200b}\\x07\\x7f");
        assert_eq!(text.columns(), plain.len());
        assert!(
            shown(&text, true).split("\x1b[").skip(1).all(|s| s.starts_with("1;31m") || s.starts_with("0m"))
        );
    }

    #[test]
    fn shortening_counts_columns_and_keeps_styles() {
        let mut text = Text::default();
        text.push(Style::Dim, "/usr/");
        text.push(Style::Bold, "日本語e\u{301}");
        assert_eq!(text.columns(), 12);
        text.shorten(9);
        assert_eq!(shown(&text, false), "/usr/日…");
        assert_eq!(text.columns(), 8, "half a wide character is not shown");
        assert_eq!(shown(&text, true), "\x1b[2m/usr/\x1b[0m\x1b[1m日\x1b[0m\x1b[2m…\x1b[0m");
        text.shorten(0);
        assert_eq!((text.columns(), shown(&text, true).as_str()), (0, ""));
    }

    #[test]
    fn endless_text_is_not_taken_in() {
        let mut text = Text::within(Some(10));
        text.push(Style::Plain, &"x".repeat(100_000));
        assert!(text.columns() <= 11);
        text.shorten(10);
        assert_eq!(shown(&text, false), "xxxxxxxxx…");
    }
}
