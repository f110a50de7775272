//! The text of errors, and an error with all its causes in one line.
//!
//! `Display` and `source` of an error are a user's code: they may panic, fail, give another text
//! each time, or have no end. The functions here return a text in each of these cases, and never
//! panic.

use std::error::Error;
use std::fmt::{self, Write};

use crate::base::catch::catch_panic;
use crate::base::one_line::one_line;

/// A text is cut off after this many bytes, since a `Display` may have no end.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// At most so many causes are named from the first on, and after those only the last.
const MAX_NAMED_CAUSES: usize = 32;

/// At most so many causes are looked at, since their chain may be a circle.
const MAX_FOLLOWED_CAUSES: usize = 10_000;

/// What a value displays as; where its `Display` panics, fails or goes on too long, the text says so.
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

/// A text that takes no more once it is too long.
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

/// The texts of the causes of an error, in order; of a long chain those in the middle are counted.
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
                texts.push("… (its causes have no end)".to_owned());
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

/// This text of an error, and all its causes. Some errors name their causes themselves: a cause
/// that the text already contains is not repeated.
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

/// Whether `part` stands in `text` as whole words: `15` does not contain `5` so.
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

/// Displays an error and its causes, on one line.
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

    /// A chain of so many errors, each with its number, and at its end itself if it is a circle.
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
    fn a_long_chain_tells_its_beginning_and_its_end() {
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
    fn a_chain_without_an_end_is_told_as_one() {
        let texts = ErrorChain(&chain(2, true)).to_string();
        assert_eq!(texts, "no 0: no 1: … (its causes have no end)");
        const { assert!(MAX_FOLLOWED_CAUSES > MAX_NAMED_CAUSES) };
    }

    #[test]
    fn only_what_stands_by_itself_was_said() {
        assert!(
            contains_alone("no cheese: 5", "5")
                && contains_alone("a (5)", "5")
                && contains_alone("x: y: z", "y: z")
        );
        assert!(!contains_alone("no cheese: 15", "5") && !contains_alone("50", "5"));
        assert!(contains_alone("anything", ""));
    }

    #[test]
    fn a_text_without_an_end_is_cut_off() {
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
