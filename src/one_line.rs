//! Text of others as people are shown it: on one line, without what a terminal obeys, and
//! no longer than what a reader takes in.
//!
//! An id, a name, a label, a reason, the text of a panic may be anything: empty, a megabyte,
//! many lines, escape sequences that clear a screen or set its title, marks that turn the
//! direction of writing. Values keep all of it as it is. Whatever puts it on a screen, into a
//! log line or into a picture takes it from here.
//!
//! A backslash stays one, so that a text which has been through here already is not changed by
//! going through again.

use std::fmt::{self, Display, Write};

/// How many characters of an id, a name or a label are shown.
pub(crate) const NAME: usize = 64;

/// How many characters of a reason are shown, or of whatever else is a sentence in a view.
pub(crate) const SENTENCE: usize = 256;

/// How many characters of a text are shown that is a log line's own, or an error that ends a
/// program.
pub(crate) const PAGE: usize = 4096;

/// Stands for what was cut off.
const CUT: char = '…';

/// A text on one line, with all that it says. Line breaks are `\n`, other controls `\u{1b}`.
pub(crate) fn one_line<T: Display>(text: T) -> OneLine<T> {
    OneLine { text, limit: usize::MAX, quoted: false }
}

/// The same, of so many characters at most; `…` stands for the rest.
pub(crate) fn excerpt<T: Display>(text: T, limit: usize) -> OneLine<T> {
    OneLine { text, limit, quoted: false }
}

/// An id, a name or a label. One that could be overlooked, since it is empty or has space at an
/// end, is quoted.
pub(crate) fn name(text: &str) -> OneLine<&str> {
    OneLine { text, limit: NAME, quoted: text.is_empty() || text.trim() != text }
}

/// The same, always in quotes.
pub(crate) fn quoted(text: &str) -> OneLine<&str> {
    OneLine { text, limit: NAME, quoted: true }
}

/// Ids separated by `/`, each cut by itself: the last one is what the path is told for.
pub(crate) fn way(path: &str) -> impl Display {
    excerpt(Ids(path), PAGE)
}

struct Ids<'a>(&'a str);

impl Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, id) in self.0.split('/').enumerate() {
            let slash = if at == 0 { "" } else { "/" };
            write!(f, "{slash}{}", excerpt(id, NAME))?;
        }
        Ok(())
    }
}

/// What the functions above give. It is shown as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OneLine<T> {
    text: T,
    /// In characters that are shown; an escape is not cut.
    limit: usize,
    quoted: bool,
}

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alternate = f.alternate();
        if self.quoted {
            f.write_char('"')?;
        }
        let mut line = Line { out: f, left: self.limit, is_cut: false };
        match alternate {
            true => write!(line, "{:#}", self.text)?,
            false => write!(line, "{}", self.text)?,
        }
        if self.quoted {
            f.write_char('"')?;
        }
        Ok(())
    }
}

/// Passes on what may be shown.
struct Line<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    left: usize,
    is_cut: bool,
}

impl Write for Line<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut passed = 0;
        for (at, c) in text.char_indices() {
            if self.left == 0 {
                self.out.write_str(&text[passed..at])?;
                if !self.is_cut {
                    self.is_cut = true;
                    self.out.write_char(CUT)?;
                }
                // No error: the text that is being written is not to be surprised by it.
                return Ok(());
            }
            if is_obeyed(c) {
                self.out.write_str(&text[passed..at])?;
                escape(self.out, c)?;
                passed = at + c.len_utf8();
            }
            self.left = self.left.saturating_sub(width(c));
        }
        self.out.write_str(&text[passed..])
    }
}

/// Whether a terminal, a browser or an editor does something at it, other than to show it.
pub(crate) fn is_obeyed(c: char) -> bool {
    match c {
        ' '..='~' => false,
        // C0, DEL and C1.
        c if c.is_control() => true,
        // Line and paragraph separators.
        '\u{2028}' | '\u{2029}' => true,
        // Marks, embeddings, overrides and isolates of the direction of writing.
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' => true,
        '\u{2066}'..='\u{2069}' => true,
        // Of no width: what is shown with them looks like what has none.
        '\u{200B}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' => true,
        // Interlinear annotations, and tags.
        '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}' => true,
        _ => false,
    }
}

/// How many characters it is shown as.
fn width(c: char) -> usize {
    match c {
        '\n' | '\r' | '\t' => 2,
        c if is_obeyed(c) => c.escape_unicode().len(),
        _ => 1,
    }
}

fn escape(out: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        c => write!(out, "{}", c.escape_unicode()),
    }
}

#[cfg(test)]
mod tests {
    use super::{excerpt, name, one_line, quoted, way};

    #[test]
    fn what_is_obeyed_is_escaped_and_all_else_is_left() {
        let text = "a\n\r\t\0\u{1b}[2J\u{7f}\u{9b}\u{85}\u{2028}\u{202e}\u{feff}";
        let shown = one_line(text).to_string();
        let expected = r"a\n\r\t\u{0}\u{1b}[2J\u{7f}\u{9b}\u{85}\u{2028}\u{202e}\u{feff}";
        assert_eq!(shown, expected);
        assert_eq!(one_line(&shown).to_string(), expected, "once is enough");
        let plain = "C:\\dir \"quoted\" <b> é 日本 👩‍👩‍👧 नमस्ते";
        assert_eq!(one_line(plain).to_string(), plain);
    }

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(excerpt("äöü", 3).to_string(), "äöü");
        assert_eq!(excerpt("äöüß", 3).to_string(), "äöü…");
        assert_eq!(excerpt(format_args!("{}{}{}", "ab", "cd", "ef"), 3).to_string(), "abc…");
        assert_eq!(excerpt("\n\n\n", 3).to_string(), r"\n\n…");
    }

    #[test]
    fn a_name_that_could_be_overlooked_is_quoted() {
        let shown = ["", " ", "a", "a b", " a", "a\n"].map(|text| name(text).to_string());
        assert_eq!(shown, ["\"\"", "\" \"", "a", "a b", "\" a\"", "\"a\\n\""]);
        assert_eq!(quoted("a").to_string(), "\"a\"");
        assert_eq!(way(&format!("{}/b\n", "a".repeat(65))).to_string(), "a".repeat(64) + "…/b\\n");
    }
}
