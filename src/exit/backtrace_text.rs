//! The text of a backtrace: bounded, and with its controls escaped.

use std::fmt::Write;

use crate::base::one_line;

/// The length of the text of a backtrace, in bytes, after which it is cut at the end of a line.
const LONGEST: usize = 16 * 1024;

/// The last line of a text that was cut.
const CUT: &str = "… the rest was left out\n";

/// Returns the text of a backtrace: a line for each line, and at most [`LONGEST`] bytes. A function
/// or a file may have any name, so controls are escaped.
pub(super) fn backtrace_text(backtrace: &str) -> String {
    let mut text = String::new();
    for line in backtrace.lines() {
        let before = text.len();
        let written = writeln!(text, "{}", one_line(line));
        if written.is_err() || text.len() > LONGEST - CUT.len() {
            text.truncate(before);
            text.push_str(CUT);
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{CUT, LONGEST, backtrace_text};

    #[test]
    fn a_long_text_is_cut_at_the_end_of_a_line_and_says_so() {
        assert_eq!(backtrace_text("0: a\n   at b"), "0: a\n   at b\n");
        let line = "é".repeat(60);
        let long = backtrace_text(&format!("{line}\n").repeat(1000));
        assert!(long.len() <= LONGEST && long.len() > LONGEST - 200, "{}", long.len());
        assert!(long.ends_with(&format!("{line}\n{CUT}")));
        assert_eq!(backtrace_text(&"x".repeat(LONGEST)), CUT);
    }

    #[test]
    fn controls_are_escaped() {
        assert_eq!(backtrace_text("\u{1b}[2J\r\u{7}\n"), "\\u{1b}[2J\\r\\u{7}\n");
    }
}
