//! Texts that are safe to write to a terminal.
//!
//! Ids, labels, names and the texts of panics come from the observed program. They may contain any
//! character sequence, such as one that moves the cursor or sets the title of the window.
//!
//! 1. A [`Shown`] contains no control, bidirectional or invisible character. Each one is written as
//!    `\u{…}`.
//! 2. At most [`MARKS`] combining marks follow each other, so no text covers the lines above and
//!    below.
//! 3. Rows consist of [`Shown`] texts only, and only this file makes a [`Shown`]. So no screen can
//!    show a text of the program unchanged.

use std::fmt::{self, Display, Write as _};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many combining marks may follow each other.
const MARKS: usize = 2;

/// The maximum number of columns of a text. No terminal is wider.
const LONGEST: usize = 4000;

/// A text without characters that act on a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown(String);

impl Shown {
    /// Returns a text of the observed program with each such character written as `\u{…}`.
    pub(crate) fn new(text: &str) -> Self {
        let (mut shown, mut marks, mut columns) = (String::new(), 0, 0);
        for c in text.chars() {
            let width = c.width().unwrap_or(0);
            marks = if width == 0 { marks + 1 } else { 0 };
            if is_invisible(c) || marks > MARKS {
                // Writing to a `String` does not fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
                columns += 8;
            } else {
                shown.push(c);
                columns += width;
            }
            if columns > LONGEST {
                shown.push('…');
                break;
            }
        }
        Shown(shown)
    }

    /// Returns an id as [`new`](Self::new) does. An empty id is shown as `""`.
    pub(crate) fn id(id: &str) -> Self {
        if id.is_empty() { Shown("\"\"".to_owned()) } else { Shown::new(id) }
    }

    /// Returns a number with commas.
    pub(crate) fn number(number: u64) -> Self {
        let digits = number.to_string();
        let mut text = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        Shown(text)
    }

    /// Returns the pid as `#12`.
    pub(crate) fn pid(pid: u64) -> Self {
        Shown(format!("#{pid}"))
    }

    /// Returns a duration in its two largest units.
    pub(crate) fn span(ms: u64) -> Self {
        let s = ms / 1000;
        Shown(match s {
            0 => format!("{ms} ms"),
            1..10 => format!("{}.{} s", s, ms % 1000 / 100),
            10..60 => format!("{s} s"),
            60..3600 => format!("{}m {:02}s", s / 60, s % 60),
            3600..86400 => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
            _ => format!("{}d {}h", s / 86400, s % 86400 / 3600),
        })
    }

    /// Returns the time of day, in UTC, of milliseconds since 1970.
    pub(crate) fn clock(ms: u64) -> Self {
        let s = ms / 1000 % 86400;
        Shown(format!("{:02}:{:02}:{:02}", s / 3600, s % 3600 / 60, s % 60))
    }

    /// Adds another text.
    pub(crate) fn and(mut self, more: impl Into<Shown>) -> Self {
        self.0.push_str(&more.into().0);
        self
    }

    /// Returns the number of columns that the text takes.
    pub(crate) fn width(&self) -> usize {
        self.0.width()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text in at most this number of columns. What is cut off is replaced by `…`.
    pub(crate) fn cut(&self, columns: usize) -> Self {
        if self.width() <= columns {
            return self.clone();
        }
        if columns == 0 {
            return Shown::default();
        }
        let (mut text, mut width) = (String::new(), 0);
        for c in self.0.chars() {
            width += c.width().unwrap_or(0);
            if width >= columns {
                break;
            }
            text.push(c);
        }
        text.push('…');
        Shown(text)
    }

    /// Returns the end of the text in at most this number of columns: of a path, the last ids.
    pub(crate) fn cut_begin(&self, columns: usize) -> Self {
        if self.width() <= columns {
            return self.clone();
        }
        let (mut kept, mut width) = (Vec::new(), 1);
        for c in self.0.chars().rev() {
            width += c.width().unwrap_or(0);
            if width > columns {
                break;
            }
            kept.push(c);
        }
        if columns == 0 {
            return Shown::default();
        }
        Shown(std::iter::once('…').chain(kept.into_iter().rev()).collect())
    }

    /// Returns the text in exactly this number of columns, filled with spaces.
    pub(crate) fn fit(&self, columns: usize) -> Self {
        let mut cut = self.cut(columns);
        let width = cut.width();
        cut.0.extend(std::iter::repeat_n(' ', columns.saturating_sub(width)));
        cut
    }

    /// Returns the text at the right end of this number of columns.
    pub(crate) fn right(&self, columns: usize) -> Self {
        let cut = self.cut(columns);
        let space = columns.saturating_sub(cut.width());
        Shown(" ".repeat(space)).and(cut)
    }

    /// Splits the text into lines of at most this number of columns.
    pub(crate) fn wrap(&self, columns: usize) -> Vec<Self> {
        let columns = columns.max(2);
        let (mut lines, mut line, mut width) = (Vec::new(), String::new(), 0);
        for c in self.0.chars() {
            let more = c.width().unwrap_or(0);
            if width + more > columns {
                lines.push(Shown(std::mem::take(&mut line)));
                width = 0;
            }
            line.push(c);
            width += more;
        }
        lines.push(Shown(line));
        lines
    }
}

/// A literal of this program.
impl From<&'static str> for Shown {
    fn from(literal: &'static str) -> Self {
        Shown(literal.to_owned())
    }
}

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns whether a character controls the terminal, changes the direction of the text, or has no
/// visible form.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_act_on_a_terminal_are_written_as_numbers() {
        let hostile =
            "a\x1b[2J\x1b]0;title\x07\r\n\u{9b}31m\u{202e}b\u{200b}c\u{2066}\u{feff}\u{e0041}";
        let shown = Shown::new(hostile);
        assert_eq!(
            shown.as_str(),
            "a\\u{1b}[2J\\u{1b}]0;title\\u{7}\\u{d}\\u{a}\\u{9b}31m\\u{202e}b\\u{200b}c\\u{2066}\\u{feff}\\u{e0041}"
        );
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let shown = Shown::new(&c.to_string());
            assert!(!shown.as_str().chars().any(|c| c.is_control() || is_invisible(c)), "{c:?}");
        }
    }

    #[test]
    fn a_tower_of_combining_marks_is_cut() {
        let shown = Shown::new(&format!("e{}", "\u{301}".repeat(50)));
        assert_eq!(shown.as_str().matches('\u{301}').count(), MARKS);
    }

    #[test]
    fn texts_are_cut_by_their_columns() {
        let wide = Shown::new("日本語テキスト");
        assert_eq!((wide.width(), wide.cut(5).as_str()), (14, "日本…"));
        assert_eq!(wide.cut(6).as_str(), "日本…");
        assert_eq!((wide.cut_begin(5).as_str(), wide.cut_begin(4).as_str()), ("…スト", "…ト"));
        assert_eq!(wide.fit(6).width(), 6);
        assert_eq!(wide.right(20).width(), 20);
        assert_eq!(wide.wrap(4).len(), 4);
        assert_eq!(Shown::new("plain").cut(5).as_str(), "plain");
        assert_eq!(Shown::new("plain").cut(0).as_str(), "");
        assert!(Shown::new(&"x".repeat(1 << 20)).width() <= LONGEST + 2);
    }

    #[test]
    fn numbers_and_durations_have_their_units() {
        assert_eq!(Shown::number(1_234_567).as_str(), "1,234,567");
        let spans = [999, 1500, 42_000, 61_000, 7_260_000, 90_000_000].map(|ms| Shown::span(ms).0);
        assert_eq!(spans, ["999 ms", "1.5 s", "42 s", "1m 01s", "2h 01m", "1d 1h"]);
        assert_eq!(Shown::clock(1_764_475_200_123).as_str(), "04:00:00");
    }
}
