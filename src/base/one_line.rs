//! Displays untrusted text on one line. Escapes the characters that a terminal acts on, and cuts
//! text that is too long to read.
//!
//! An id, a name, a label, a reason or the text of a panic may be any text. The text may be empty
//! or a megabyte long, have many lines, or contain escape sequences that clear a screen or set its
//! title, or marks that change the direction of writing. The crate's values keep the text
//! unchanged. All code that shows such a text, in a view, a log line, a report or a graph, uses the
//! functions of this module.
//!
//! A backslash is not escaped, so escaping an escaped text a second time changes nothing.

use std::fmt::{self, Display, Write};

/// The maximum number of characters that are shown of an id, a name or a label.
pub(crate) const NAME: usize = 64;

/// The maximum number of characters that are shown of a reason, or of another short text, in a view
/// of the tree or of a specification.
pub(crate) const SENTENCE: usize = 256;

/// The maximum number of characters that are shown of a long text: a reason in a log line, a path,
/// or an error that ends the program.
pub(crate) const PAGE: usize = 4096;

/// The mark for the part that was cut off.
const CUT: char = '…';

/// Shows a whole text on one line. Line breaks are shown as `\n`, other control characters by their
/// number, such as `\u{1b}`.
pub(crate) fn one_line<T: Display>(text: T) -> OneLine<T> {
    OneLine { text, limit: usize::MAX, quoted: false }
}

/// Shows a text on one line, cut after `limit` characters. `…` replaces the rest.
pub(crate) fn excerpt<T: Display>(text: T, limit: usize) -> OneLine<T> {
    OneLine { text, limit, quoted: false }
}

/// Shows an id, a name or a label, cut after [`NAME`] characters. A text that is empty, or begins
/// or ends with white space, is quoted, since it would be hard to see otherwise.
pub(crate) fn name(text: &str) -> OneLine<&str> {
    OneLine { text, limit: NAME, quoted: text.is_empty() || text.trim() != text }
}

/// Shows an id, a name or a label, cut after [`NAME`] characters, and always quoted.
pub(crate) fn quoted(text: &str) -> OneLine<&str> {
    OneLine { text, limit: NAME, quoted: true }
}

/// Shows a path of ids separated by `/`. Each id is cut after [`NAME`] characters, so that a long
/// id does not hide the ids after it. The path is cut after [`PAGE`] characters.
pub(crate) fn path_excerpt(path: &str) -> impl Display {
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

/// A text that is escaped and cut while it is displayed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OneLine<T> {
    text: T,
    /// The limit, counted in characters of the output. An escape is not cut in the middle.
    limit: usize,
    quoted: bool,
}

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (alternate, quote) = (f.alternate(), if self.quoted { "\"" } else { "" });
        f.write_str(quote)?;
        let mut line = Line { out: f, left: self.limit, is_cut: false };
        let text = &self.text;
        if alternate { write!(line, "{text:#}") } else { write!(line, "{text}") }?;
        f.write_str(quote)
    }
}

/// A writer that escapes text and cuts it at the limit.
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
                // No error is returned here, since a user's `Display` may not expect an error.
                return Ok(());
            }
            if needs_escape(c) {
                self.out.write_str(&text[passed..at])?;
                escape(self.out, c)?;
                passed = at + c.len_utf8();
            }
            self.left = self.left.saturating_sub(width(c));
        }
        self.out.write_str(&text[passed..])
    }
}

/// Whether a terminal, a browser or an editor acts on this character instead of showing it.
pub(crate) fn needs_escape(c: char) -> bool {
    match c {
        ' '..='~' => false,
        // C0, DEL and C1.
        c if c.is_control() => true,
        // Line and paragraph separators.
        '\u{2028}' | '\u{2029}' => true,
        // Bidirectional marks, embeddings, overrides and isolates.
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' => true,
        '\u{2066}'..='\u{2069}' => true,
        // Zero-width characters: a text with such characters looks like the text without them.
        '\u{200B}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' => true,
        // Interlinear annotations, and tags.
        '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}' => true,
        _ => false,
    }
}

/// The number of characters in the output for this character.
fn width(c: char) -> usize {
    match c {
        '\n' | '\r' | '\t' => 2,
        c if needs_escape(c) => c.escape_unicode().len(),
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
    use super::{excerpt, name, one_line, path_excerpt, quoted};

    #[test]
    fn only_characters_that_a_terminal_acts_on_are_escaped() {
        let text = "a\n\r\t\0\u{1b}[2J\u{7f}\u{9b}\u{85}\u{2028}\u{202e}\u{feff}";
        let shown = one_line(text).to_string();
        let expected = r"a\n\r\t\u{0}\u{1b}[2J\u{7f}\u{9b}\u{85}\u{2028}\u{202e}\u{feff}";
        assert_eq!(shown, expected);
        assert_eq!(one_line(&shown).to_string(), expected, "escaping twice changes nothing");
        let plain = "C:\\dir \"quoted\" <b> é 日本 👩‍👩‍👧 नमस्ते";
        assert_eq!(one_line(plain).to_string(), plain);
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_marked() {
        assert_eq!(excerpt("äöü", 3).to_string(), "äöü");
        assert_eq!(excerpt("äöüß", 3).to_string(), "äöü…");
        assert_eq!(excerpt(format_args!("{}{}{}", "ab", "cd", "ef"), 3).to_string(), "abc…");
        assert_eq!(excerpt("\n\n\n", 3).to_string(), r"\n\n…");
    }

    #[test]
    fn an_empty_name_or_one_with_outer_spaces_is_quoted() {
        let shown = ["", " ", "a", "a b", " a", "a\n"].map(|text| name(text).to_string());
        assert_eq!(shown, ["\"\"", "\" \"", "a", "a b", "\" a\"", "\"a\\n\""]);
        assert_eq!(quoted("a").to_string(), "\"a\"");
        assert_eq!(
            path_excerpt(&format!("{}/b\n", "a".repeat(65))).to_string(),
            "a".repeat(64) + "…/b\\n"
        );
    }
}
