//! An error with all that led to it, in one line.

use std::error::Error;
use std::fmt;

use crate::one_line::one_line;

/// Displays an error and its sources. Some tell of their source themselves: what was said is
/// not said again.
pub(crate) struct Story<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Story<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut story = one_line(self.0).to_string();
        let mut source = self.0.source();
        while let Some(cause) = source {
            let part = one_line(cause).to_string();
            if !story.contains(&part) {
                story = format!("{story}: {part}");
            }
            source = cause.source();
        }
        f.write_str(&story)
    }
}

#[cfg(test)]
mod tests {
    use super::Story;
    use crate::call_error::StartError;
    use crate::exit::ExitReason;

    #[test]
    fn a_story_says_nothing_twice_and_leaves_nothing_out() {
        let broken: Result<u32, _> = "x".parse::<u32>();
        let failed = StartError::Failed(ExitReason::from_library(broken.unwrap_err()));
        let inner = StartError::Child { id: "b".into(), error: Box::new(failed) };
        let outer = StartError::Child { id: "a".into(), error: Box::new(inner) };
        assert_eq!(
            Story(&outer).to_string(),
            "child \"a\" was not started: child \"b\" was not started: it ended before it was \
             ready: error: invalid digit found in string"
        );
    }
}
