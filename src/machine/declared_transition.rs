//! The transitions that a machine declares, and their diagram.

use std::fmt::{self, Write};

/// A transition that a [`StateMachine`](crate::StateMachine) declares in its
/// [`TRANSITIONS`](crate::StateMachine::TRANSITIONS): for diagrams, and for
/// [a test](crate::testing::TransitionCheck) that compares them with what the machine does. OTP has no
/// counterpart.
///
/// ```
/// use regrow::Transition;
///
/// const DOOR: [Transition; 3] = [
///     Transition::initial("locked"),
///     Transition::new("locked", "code", "open"),
///     Transition::new("open", "state_timeout", "locked"),
/// ];
/// let diagram = "\
/// stateDiagram-v2
///   state \"locked\" as s0
///   state \"open\" as s1
///   [*] --> s0
///   s0 --> s1 : code
///   s1 --> s0 : state_timeout
/// ";
/// assert_eq!(Transition::diagram(&DOOR), diagram);
/// assert_eq!(DOOR[1].to_string(), "locked → open (code)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Transition {
    /// `None` is the start of the machine.
    from: Option<&'static str>,
    /// `None` is the end of the machine.
    to: Option<&'static str>,
    event: &'static str,
}

impl Transition {
    /// A change from a state to another by an event, all by their names. With the same state twice, the
    /// state is [entered again](crate::Next::Repeat).
    pub const fn new(from: &'static str, event: &'static str, to: &'static str) -> Self {
        Transition { from: Some(from), to: Some(to), event }
    }

    /// The state in which the machine begins.
    pub const fn initial(to: &'static str) -> Self {
        Transition { from: None, to: Some(to), event: "" }
    }

    /// An end of the machine by its own handler: the handler of this event returns an `Err`.
    pub const fn end(from: &'static str, event: &'static str) -> Self {
        Transition { from: Some(from), to: None, event }
    }

    /// Returns a diagram of transitions for mermaid, a `stateDiagram-v2`, with a final line break.
    /// States are in the order in which they first occur. [`Transition`] has an example.
    pub fn diagram(transitions: &[Transition]) -> String {
        let mut states: Vec<&str> = Vec::new();
        for state in transitions.iter().flat_map(|transition| [transition.from, transition.to]) {
            if let Some(state) = state.filter(|state| !states.contains(state)) {
                states.push(state);
            }
        }
        let mut out = String::from("stateDiagram-v2\n");
        // Writing to a string does not fail.
        for (number, state) in states.iter().enumerate() {
            let _ = writeln!(out, "  state \"{}\" as s{number}", escaped(state));
        }
        let id = |state: Option<&'static str>| {
            let number = state.and_then(|state| states.iter().position(|seen| *seen == state));
            number.map_or_else(|| "[*]".to_owned(), |number| format!("s{number}"))
        };
        for Transition { from, to, event } in transitions {
            let _ = write!(out, "  {} --> {}", id(*from), id(*to));
            let _ = match *event {
                "" => writeln!(out),
                event => writeln!(out, " : {}", escaped(event)),
            };
        }
        out
    }
}

/// Escapes what mermaid would interpret in a name.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            c if c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/') => text.push(c),
            c if c.is_control() => text.push(' '),
            c => {
                let _ = write!(text, "#{};", u32::from(c));
            }
        }
    }
    text
}

/// Displays one line: `locked → open (code)`, `start → locked`, `open → end (stop)`.
impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transition { from, to, event } = self;
        write!(f, "{} → {}", from.unwrap_or("start"), to.unwrap_or("end"))?;
        match *event {
            "" => Ok(()),
            event => write!(f, " ({event})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Transition;

    #[test]
    fn names_are_escaped_in_a_diagram() {
        let diagram = Transition::diagram(&[Transition::new("a\"b", "x:y\n%%", "<c>")]);
        let expected = "\
stateDiagram-v2
  state \"a#34;b\" as s0
  state \"#60;c#62;\" as s1
  s0 --> s1 : x#58;y #37;#37;
";
        assert_eq!(diagram, expected);
    }

    #[test]
    fn an_end_and_a_loop_are_drawn() {
        let all = [Transition::new("a", "again", "a"), Transition::end("a", "stop")];
        let expected =
            "stateDiagram-v2\n  state \"a\" as s0\n  s0 --> s0 : again\n  s0 --> [*] : stop\n";
        assert_eq!(Transition::diagram(&all), expected);
        assert_eq!(all[1].to_string(), "a → end (stop)");
        assert_eq!(Transition::initial("a").to_string(), "start → a");
    }
}
