//! The text of a term, as Erlang shows it: `io:format("~tp")` without line breaks.

use std::fmt::{self, Write};

use crate::cluster::term::atom::write_char;
use crate::cluster::term::value::{ImproperList, Term, TermMap, Terms};
use crate::cluster::term::walk::{Visit, Walk};

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut walk = Walk::new(self);
        while let Some(visit) = walk.next() {
            match visit {
                Visit::Term { term, within } => {
                    write_separator(f, within)?;
                    if let Some(text) = printable_list(term) {
                        write_quoted(f, text)?;
                        walk.leave_out_parts();
                    } else {
                        write_head(f, term)?;
                    }
                }
                Visit::End(Term::Tuple(_) | Term::Map(_)) => f.write_char('}')?,
                Visit::End(_) => f.write_char(']')?,
            }
        }
        Ok(())
    }
}

/// Writes what stands before a part of a term.
fn write_separator(f: &mut fmt::Formatter<'_>, within: Option<(&Term, usize)>) -> fmt::Result {
    match within {
        None | Some((_, 0)) => Ok(()),
        Some((Term::Map(_), index)) if index % 2 == 1 => f.write_str(" => "),
        Some((list @ Term::ImproperList(_), index)) if index + 1 == list.parts().len() => {
            f.write_char('|')
        }
        Some(_) => f.write_char(','),
    }
}

/// Writes a term without parts, or the start of one that has parts.
fn write_head(f: &mut fmt::Formatter<'_>, term: &Term) -> fmt::Result {
    match term {
        Term::Integer(integer) => write!(f, "{integer}"),
        Term::BigInteger(big) => write!(f, "{big}"),
        Term::Float(float) => write_float(f, *float),
        Term::Atom(atom) => write!(f, "{atom}"),
        Term::Tuple(elements) => f.write_str(if elements.is_empty() { "{}" } else { "{" }),
        Term::List(elements) => f.write_str(if elements.is_empty() { "[]" } else { "[" }),
        Term::ImproperList(_) => f.write_char('['),
        Term::Map(map) => f.write_str(if map.is_empty() { "#{}" } else { "#{" }),
        Term::Binary(bytes) => write_binary(f, bytes),
        Term::Bitstring(bits) => {
            let (last, whole) = bits.bytes().split_last().unwrap_or((&0, &[]));
            f.write_str("<<")?;
            whole.iter().try_for_each(|byte| write!(f, "{byte},"))?;
            write!(f, "{}:{}>>", last >> (8 - bits.last_bits()), bits.last_bits())
        }
        Term::Pid(pid) => write!(f, "{pid}"),
        Term::Port(port) => write!(f, "{port}"),
        Term::Reference(reference) => write!(f, "{reference}"),
        Term::Export(export) => write!(f, "{export}"),
        Term::Fun(fun) => write!(f, "{fun}"),
    }
}

/// Writes the shortest text that is this float. A float of Erlang has a point.
fn write_float(f: &mut fmt::Formatter<'_>, float: f64) -> fmt::Result {
    let text = format!("{float:?}");
    match text.split_once('e') {
        Some((digits, power)) if !digits.contains('.') => write!(f, "{digits}.0e{power}"),
        _ => f.write_str(&text),
    }
}

fn is_printable(c: char) -> bool {
    !c.is_control() || matches!(c, '\n' | '\r' | '\t')
}

/// Returns the characters of a list that Erlang shows as a string.
fn printable_list(term: &Term) -> Option<impl Iterator<Item = char>> {
    let elements = term.as_list().filter(|elements| !elements.is_empty())?;
    let character = |element: &Term| {
        let code = u32::try_from(element.as_integer()?).ok()?;
        char::from_u32(code).filter(|&c| is_printable(c))
    };
    let all = elements.iter().all(|element| character(element).is_some());
    all.then(|| elements.iter().filter_map(character))
}

fn write_quoted(f: &mut fmt::Formatter<'_>, mut text: impl Iterator<Item = char>) -> fmt::Result {
    f.write_char('"')?;
    text.try_for_each(|c| write_char(f, c, '"'))?;
    f.write_char('"')
}

fn write_binary(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("<<")?;
    match str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_printable)) {
        Some("") => {}
        Some(text) => {
            write_quoted(f, text.chars())?;
            f.write_str(if text.is_ascii() { "" } else { "/utf8" })?;
        }
        None => {
            for (index, byte) in bytes.iter().enumerate() {
                write!(f, "{}{byte}", if index > 0 { "," } else { "" })?;
            }
        }
    }
    f.write_str(">>")
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for ImproperList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with the tail {}", self.elements(), self.tail())
    }
}

impl fmt::Debug for TermMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
