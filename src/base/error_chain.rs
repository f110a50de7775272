//! The text of an error, without or with its causes.
//!
//! `Display` and `source` of an error are user code: a `Display` may panic, fail, write another
//! text each time or write without end, a `source` may panic, and a chain of sources may be a
//! cycle. In each of these cases the functions here return a text, and do not panic.

use std::error::Error;
use std::fmt::{self, Write};

use crate::base::one_line::one_line;
use crate::base::user_panics::catch_panic;

/// The maximum length of a text in bytes. A longer text is cut, since a `Display` may write without
/// end.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// The number of causes that are named, from the first on. Of the causes after these, only the last
/// is named.
const MAX_NAMED_CAUSES: usize = 32;

/// The maximum number of causes that are visited. It bounds the time that a line of the log takes:
/// the chain of causes may be a cycle, and if nested supervisors give up, the error of each has one
/// cause more than the error of the supervisor below it.
const MAX_FOLLOWED_CAUSES: usize = 1_000;

/// Returns the text that a value displays as. If its `Display` panics, fails or writes too much, a
/// note at the end of the text says so.
pub(crate) fn text_of(value: &dyn fmt::Display) -> String {
    let mut written = Bounded { text: String::new(), full: false };
    let outcome = catch_panic(|| write!(written, "{value}"));
    let Bounded { mut text, full } = written;
    let trouble = match outcome {
        Ok(Ok(())) if !full => return text,
        Ok(_) if full => "it goes on".to_owned(),
        Ok(_) => "its `Display` failed".to_owned(),
        Err(panic) => format!("its `Display` panicked: {panic}"),
    };
    let space = if text.is_empty() { "" } else { " " };
    text.push_str(&format!("{space}({trouble})"));
    text
}

/// A writer that cuts its text at the maximum length, and then fails.
struct Bounded {
    text: String,
    full: bool,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = MAX_TEXT_BYTES - self.text.len();
        let cut = (0..=part.len().min(room)).rev().find(|&at| part.is_char_boundary(at));
        let taken = part.split_at(cut.unwrap_or(0)).0;
        self.full |= taken.len() < part.len();
        self.text.push_str(if self.full && taken.len() == part.len() { "" } else { taken });
        if self.full { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Returns the texts of the causes of an error, in order. In a long chain, the causes in the middle
/// are only counted.
pub(crate) fn causes(error: &dyn Error) -> Vec<String> {
    let (mut texts, mut count, mut last) = (Vec::new(), 0, None);
    let mut at = error;
    loop {
        at = match catch_panic(|| at.source()) {
            Ok(Some(cause)) => cause,
            Ok(None) => break,
            Err(panic) => {
                texts.push(format!("(its `source` panicked: {panic})"));
                break;
            }
        };
        count += 1;
        match count {
            0..=MAX_NAMED_CAUSES => texts.push(text_of(&at)),
            count if count <= MAX_FOLLOWED_CAUSES => last = Some(at),
            _ => {
                texts.push(format!("… (more than {MAX_FOLLOWED_CAUSES} causes)"));
                return texts;
            }
        }
    }
    if count > MAX_NAMED_CAUSES + 1 {
        texts.push(format!("… ({} more)", count - MAX_NAMED_CAUSES - 1));
    }
    texts.extend(last.map(|last| text_of(&last)));
    texts
}

/// Returns the text of an error, followed by all its causes. A cause that the text already contains
/// is not repeated, since some errors name their causes in their own text.
pub(crate) fn with_causes(text: String, error: &dyn Error) -> String {
    causes(error).iter().fold(text, |mut line, cause| {
        if !contains_alone(&line, cause) {
            let colon = if line.is_empty() { "" } else { ": " };
            line.push_str(colon);
            line.push_str(cause);
        }
        line
    })
}

/// Whether `text` contains `part` as whole words. For example, `15` does not contain `5` as a word.
fn contains_alone(text: &str, part: &str) -> bool {
    let joined = |left: Option<char>, right: Option<char>| {
        [left, right].into_iter().all(|c| c.is_some_and(char::is_alphanumeric))
    };
    let alone = |at: usize| {
        let (before, after) = (&text[..at], &text[at + part.len()..]);
        !joined(before.chars().next_back(), part.chars().next())
            && !joined(part.chars().next_back(), after.chars().next())
    };
    part.is_empty() || text.match_indices(part).any(|(at, _)| alone(at))
}

/// Displays an error and its causes on one line.
pub(crate) struct ErrorChain<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", one_line(with_causes(text_of(&self.0), self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ErrorChain, MAX_FOLLOWED_CAUSES, MAX_NAMED_CAUSES, MAX_TEXT_BYTES, contains_alone, text_of,
    };
    use std::error::Error;
    use std::fmt;

    /// A chain of numbered errors; if it is a cycle, the last one is its own source.
    #[derive(Debug)]
    struct Link(usize, Option<Box<Link>>, bool);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "no {}", self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            match &self.1 {
                Some(next) => Some(&**next),
                None => self.2.then_some(self),
            }
        }
    }

    fn chain(length: usize, circle: bool) -> Link {
        let last = Link(length - 1, None, circle);
        (0..length - 1).rev().fold(last, |next, at| Link(at, Some(Box::new(next)), false))
    }

    #[test]
    fn of_a_long_chain_the_first_causes_and_the_last_are_shown() {
        let numbers = |n: usize| (0..n).map(|at| format!("no {at}")).collect::<Vec<_>>().join(": ");
        assert_eq!(
            ErrorChain(&chain(MAX_NAMED_CAUSES + 2, false)).to_string(),
            numbers(MAX_NAMED_CAUSES + 2)
        );
        let long = ErrorChain(&chain(1_000, false)).to_string();
        let left = 1_000 - MAX_NAMED_CAUSES - 2;
        assert_eq!(long, format!("{}: … ({left} more): no 999", numbers(MAX_NAMED_CAUSES + 1)));
    }

    #[test]
    fn a_cycle_of_causes_ends_with_a_note() {
        let texts = ErrorChain(&chain(2, true)).to_string();
        assert_eq!(texts, "no 0: no 1: … (more than 1000 causes)");
        const { assert!(MAX_FOLLOWED_CAUSES > MAX_NAMED_CAUSES) };
    }

    #[test]
    fn only_whole_words_count_as_contained() {
        assert!(
            contains_alone("no cheese: 5", "5")
                && contains_alone("a (5)", "5")
                && contains_alone("x: y: z", "y: z")
        );
        assert!(!contains_alone("no cheese: 15", "5") && !contains_alone("50", "5"));
        assert!(contains_alone("anything", ""));
    }

    #[test]
    fn a_display_without_end_is_cut_off() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("äöü")?;
                }
            }
        }
        let text = text_of(&Endless);
        assert!(text.len() <= MAX_TEXT_BYTES + 20 && text.ends_with(" (it goes on)"));
        let long = "x".repeat(MAX_TEXT_BYTES);
        assert!(text_of(&long) == long);
    }
}
