//! The names of groups: texts here, terms elsewhere.
//!
//! | here | in Erlang | in Elixir |
//! |---|---|---|
//! | `"room 42"` | `<<"room 42">>` | `"room 42"` |
//! | `":workers"` | `workers` | `:workers` |
//!
//! Each text stands for one term. A binary that begins with a colon stands for no text, so no two
//! terms stand for one.

use crate::base::SharedStr;
use crate::cluster::term::{Encoder, Token};

/// The maximum length of a name, in bytes.
const LONGEST: usize = 255;
/// The names of groups that belong to this crate begin so. They are not shared.
const RESERVED: &str = "regrow.";
/// The first character of the name of an atom.
const ATOM: char = ':';

/// Whether other nodes see the group of this name.
pub(crate) fn is_shared(name: &str) -> bool {
    name.len() <= LONGEST && !name.starts_with(RESERVED)
}

/// Returns the name that a term stands for, if there is one.
pub(crate) fn read(term: &Token<'_>) -> Option<SharedStr> {
    let name = match term {
        Token::Atom(atom) => format!("{ATOM}{atom}").into(),
        Token::Binary(bytes) => {
            let text = std::str::from_utf8(bytes).ok()?;
            (!text.starts_with(ATOM) && text.len() <= LONGEST).then(|| SharedStr::from(text))?
        }
        _ => return None,
    };
    is_shared(&name).then_some(name)
}

/// Writes the term of a shared name.
pub(crate) fn write(name: &str, encoder: &mut Encoder<'_>) {
    // A shared name is short enough for both.
    let _ = match name.strip_prefix(ATOM) {
        Some(atom) => encoder.atom(atom),
        None => encoder.binary(name.as_bytes()),
    };
}

#[cfg(test)]
mod tests {
    use super::{is_shared, read, write};
    use crate::cluster::term::{DecodeLimits, Decoder, Encoder, Token};

    #[test]
    fn a_text_is_a_binary_and_a_text_with_a_colon_an_atom() {
        let cases: [(&str, &[u8]); 5] = [
            ("room", b"\x6d\0\0\0\x04room"),
            (":room", b"\x77\x04room"),
            ("", b"\x6d\0\0\0\0"),
            (":", b"\x77\0"),
            ("::a", b"\x77\x02:a"),
        ];
        for (name, term) in cases {
            let mut bytes = Vec::new();
            write(name, &mut Encoder::new(&mut bytes));
            assert_eq!(bytes, term, "{name}");
            let token = Decoder::new(term, &DecodeLimits::new()).unwrap().next().unwrap();
            assert_eq!(read(&token).unwrap(), name);
        }
    }

    #[test]
    fn other_terms_long_names_and_reserved_names_are_not_shared() {
        let long = "x".repeat(256);
        for token in [
            Token::Binary(b":room"),
            Token::Binary(b"\xff"),
            Token::Binary(long.as_bytes()),
            Token::Binary(b"regrow.cluster.nodes"),
            Token::Atom(long[1..].into()),
            Token::Integer(1),
            Token::Tuple(2),
        ] {
            assert_eq!(read(&token), None, "{token:?}");
        }
        assert!(!is_shared("regrow.cluster.nodes") && !is_shared(&long));
        assert!(read(&Token::Atom(long[2..].into())).is_some());
        // The atom is not the text of the reserved name.
        assert_eq!(read(&Token::Atom("regrow.x".into())).unwrap(), ":regrow.x");
    }
}
