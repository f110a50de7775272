//! Makes terms from Rust values, and takes them apart.

use std::ops::Deref;

use crate::cluster::term::atom::Atom;
use crate::cluster::term::bitstring::Bitstring;
use crate::cluster::term::build::{sorted_map, with_tail};
use crate::cluster::term::compare::compare;
use crate::cluster::term::functions::{Export, Fun};
use crate::cluster::term::ids::{ExternalPid, ExternalPort, ExternalReference};
use crate::cluster::term::integer::{BigInteger, Digits};
use crate::cluster::term::value::{ImproperList, Term, TermMap, Terms};

/// [`Term`] has examples of these functions.
impl Term {
    /// Returns an atom.
    ///
    /// # Panics
    ///
    /// If the name has more than 255 characters. [`Atom::new`] returns an error instead.
    #[track_caller]
    pub fn atom(name: &str) -> Term {
        Term::Atom(Atom::new(name).expect("the name of an atom has at most 255 characters"))
    }

    /// Returns a tuple of these elements.
    pub fn tuple(elements: impl IntoIterator<Item = Term>) -> Term {
        Term::Tuple(elements.into_iter().collect())
    }

    /// Returns a proper list of these elements.
    pub fn list(elements: impl IntoIterator<Item = Term>) -> Term {
        Term::List(elements.into_iter().collect())
    }

    /// Returns a list of these elements whose rest is the tail, as `[1, 2 | Tail]` in Erlang: a
    /// proper list if the tail is one, and the tail itself if there are no elements.
    /// [`ImproperList`] has an example.
    pub fn improper_list(elements: impl IntoIterator<Item = Term>, tail: Term) -> Term {
        with_tail(elements.into_iter().collect(), tail)
    }

    /// Returns a binary of these bytes, such as those of a text.
    pub fn binary(bytes: impl AsRef<[u8]>) -> Term {
        Term::Binary(bytes.as_ref().to_vec())
    }

    /// Returns a map of these entries. The last value of a key counts. [`TermMap`] has an example.
    pub fn map(entries: impl IntoIterator<Item = (Term, Term)>) -> Term {
        Term::Map(sorted_map(entries.into_iter().collect()).0)
    }

    /// Returns an integer that fits into an `i64`.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Term::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// Returns a float. An integer is none.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Term::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// Returns the name of an atom.
    pub fn as_atom(&self) -> Option<&str> {
        match self {
            Term::Atom(atom) => Some(atom),
            _ => None,
        }
    }

    /// Returns the boolean that the atoms `true` and `false` stand for.
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_atom()? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Returns the elements of a tuple.
    pub fn as_tuple(&self) -> Option<&[Term]> {
        match self {
            Term::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    /// Returns the elements of a proper list.
    pub fn as_list(&self) -> Option<&[Term]> {
        match self {
            Term::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// Returns the bytes of a binary.
    pub fn as_binary(&self) -> Option<&[u8]> {
        match self {
            Term::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the text of a binary, if it is UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        str::from_utf8(self.as_binary()?).ok()
    }

    /// Returns the entries of a map.
    pub fn as_map(&self) -> Option<&TermMap> {
        match self {
            Term::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Returns an integer of any size.
    pub(crate) fn of_digits(digits: Digits<'_>) -> Term {
        match digits.to_i64() {
            Some(integer) => Term::Integer(integer),
            None => Term::BigInteger(BigInteger::new(digits)),
        }
    }
}

impl Terms {
    /// Returns the elements, to move them out. [`Terms`] has an example.
    pub fn into_vec(mut self) -> Vec<Term> {
        std::mem::take(&mut self.0).into_vec()
    }
}

impl Deref for Terms {
    type Target = [Term];

    fn deref(&self) -> &[Term] {
        &self.0
    }
}

impl From<Vec<Term>> for Terms {
    fn from(elements: Vec<Term>) -> Self {
        Terms(elements.into_boxed_slice())
    }
}

impl FromIterator<Term> for Terms {
    fn from_iter<I: IntoIterator<Item = Term>>(elements: I) -> Self {
        Terms(elements.into_iter().collect())
    }
}

impl ImproperList {
    /// Returns the elements before the tail; at least one. [`ImproperList`] has an example.
    pub fn elements(&self) -> &[Term] {
        &self.parts[..self.parts.len() - 1]
    }

    /// Returns the tail, which is not a list. [`ImproperList`] has an example.
    pub fn tail(&self) -> &Term {
        &self.parts[self.parts.len() - 1]
    }
}

impl TermMap {
    /// Returns the number of entries. [`TermMap`] has an example.
    pub fn len(&self) -> usize {
        self.parts.len() / 2
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns the entries, in an order that depends on the keys only. [`TermMap`] has an example.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Term, &Term)> {
        self.parts.chunks_exact(2).map(|entry| (&entry[0], &entry[1]))
    }

    /// Returns the value of a key. [`TermMap`] has an example.
    pub fn get(&self, key: &Term) -> Option<&Term> {
        let entries: &[[Term; 2]] = self.parts.as_chunks().0;
        let at = entries.binary_search_by(|[own, _]| compare(own, key)).ok()?;
        Some(&entries[at][1])
    }

    /// Returns the value of a key that is an atom. [`TermMap`] has an example.
    pub fn get_atom(&self, name: &str) -> Option<&Term> {
        let mut entries = self.iter();
        entries.find(|(key, _)| key.as_atom() == Some(name)).map(|(_, value)| value)
    }
}

/// Implements `From` for [`Term`] by an expression.
macro_rules! terms_from {
    ($($type:ty: |$value:ident| $term:expr;)*) => {
        $(impl From<$type> for Term {
            fn from($value: $type) -> Term {
                $term
            }
        })*
    };
}

terms_from! {
    i8: |value| Term::Integer(value.into());
    i16: |value| Term::Integer(value.into());
    i32: |value| Term::Integer(value.into());
    i64: |value| Term::Integer(value);
    u8: |value| Term::Integer(value.into());
    u16: |value| Term::Integer(value.into());
    u32: |value| Term::Integer(value.into());
    u64: |value| Term::from(u128::from(value));
    i128: |value| Term::of_digits(Digits::new(value < 0, &value.unsigned_abs().to_le_bytes()));
    u128: |value| Term::of_digits(Digits::new(false, &value.to_le_bytes()));
    f32: |value| Term::Float(value.into());
    f64: |value| Term::Float(value);
    bool: |value| Term::Atom(Atom::of(if value { "true" } else { "false" }));
    &str: |value| Term::binary(value);
    String: |value| Term::Binary(value.into_bytes());
    &[u8]: |value| Term::binary(value);
    Vec<u8>: |value| Term::Binary(value);
    Vec<Term>: |value| Term::List(value.into());
    Atom: |value| Term::Atom(value);
    Bitstring: |value| Term::Bitstring(Box::new(value));
    ExternalPid: |value| Term::Pid(Box::new(value));
    ExternalPort: |value| Term::Port(Box::new(value));
    ExternalReference: |value| Term::Reference(Box::new(value));
    Export: |value| Term::Export(Box::new(value));
    Fun: |value| Term::Fun(Box::new(value));
}
