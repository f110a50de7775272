//! [`Term`]: any value of Erlang.

use crate::cluster::term::atom::Atom;
use crate::cluster::term::bitstring::Bitstring;
use crate::cluster::term::functions::{Export, Fun};
use crate::cluster::term::ids::{ExternalPid, ExternalPort, ExternalReference};
use crate::cluster::term::integer::BigInteger;

/// Any value of Erlang: what a process on another node sends, without a Rust type for it.
///
/// For messages of a known shape use [`to_bytes`](crate::cluster::to_bytes) and
/// [`from_bytes`](crate::cluster::from_bytes). A `Term` can also be a part of such a message: it
/// implements `Serialize` and `Deserialize`, for this format only.
///
/// Terms are equal if `=:=` says so in OTP 27 and later: `1` and `1.0` differ, `0.0` and `-0.0`
/// differ, and the order of the entries of a map doesn't matter. The [`Display`](std::fmt::Display)
/// and `Debug` texts are those of Erlang.
///
/// Nothing recurses on a term, so no depth of a term overflows the stack.
///
/// ```
/// use regrow::cluster::Term;
///
/// let term = Term::tuple([
///     Term::atom("ok"),
///     Term::binary("milk"),
///     Term::list([Term::from(1), Term::from(2.5)]),
///     Term::map([(Term::atom("a"), Term::from(true))]),
/// ]);
/// assert_eq!(term.to_string(), r#"{ok,<<"milk">>,[1,2.5],#{a => true}}"#);
///
/// let bytes = term.to_bytes()?; // as `term_to_binary` of Erlang
/// assert_eq!(Term::from_bytes(&bytes)?, term);
///
/// // Taken apart:
/// let Some([tag, name, ..]) = term.as_tuple() else { panic!() };
/// assert_eq!(tag.as_atom(), Some("ok"));
/// assert_eq!(name.as_text(), Some("milk"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub enum Term {
    /// An integer of 64 bits.
    Integer(i64),
    /// An integer that does not fit into 64 bits.
    BigInteger(BigInteger),
    /// A float. One that is not finite can't be encoded.
    Float(f64),
    /// An atom, also `true` and `false`.
    Atom(Atom),
    /// A tuple.
    Tuple(Terms),
    /// A proper list. A string of Erlang is a list of its characters.
    List(Terms),
    /// A list with a tail that is not a list, such as `[1|2]`.
    ImproperList(ImproperList),
    /// A binary. A string of Elixir is a binary of UTF-8.
    Binary(Vec<u8>),
    /// A binary whose last byte is not complete.
    Bitstring(Box<Bitstring>),
    /// A map.
    Map(TermMap),
    /// The pid of a process of a node.
    Pid(Box<ExternalPid>),
    /// A port of a node.
    Port(Box<ExternalPort>),
    /// A reference.
    Reference(Box<ExternalReference>),
    /// An exported function, by its names.
    Export(Box<Export>),
    /// A closure.
    Fun(Box<Fun>),
}

/// The elements of a tuple or of a list. It derefs to a slice.
///
/// ```
/// use regrow::cluster::{Term, Terms};
///
/// let elements = Terms::from(vec![Term::from(1), Term::from(2)]);
/// assert_eq!(elements.len(), 2);
/// assert_eq!(elements[1], Term::from(2));
/// let vec: Vec<Term> = elements.into_vec();
/// # assert_eq!(vec.len(), 2);
/// ```
#[derive(Default)]
pub struct Terms(pub(super) Box<[Term]>);

/// A list with a tail that is not a list. [`Term::improper_list`] makes one.
///
/// ```
/// use regrow::cluster::Term;
///
/// let term = Term::improper_list([Term::from(1)], Term::from(2));
/// assert_eq!(term.to_string(), "[1|2]");
/// let Term::ImproperList(list) = term else { panic!() };
/// assert_eq!(list.elements(), [Term::from(1)]);
/// assert_eq!(list.tail(), &Term::from(2));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ImproperList {
    /// At least one element, and then the tail, which is no list.
    pub(super) parts: Terms,
}

/// The entries of a map, in an order that depends on the keys only. [`Term::map`] makes one.
///
/// ```
/// use regrow::cluster::Term;
///
/// let term = Term::map([(Term::atom("b"), Term::from(2)), (Term::atom("a"), Term::from(1))]);
/// let Term::Map(map) = &term else { panic!() };
/// assert_eq!(map.len(), 2);
/// assert_eq!(map.get(&Term::atom("b")), Some(&Term::from(2)));
/// assert_eq!(map.get_atom("c"), None);
/// let keys: Vec<_> = map.iter().map(|(key, _)| key.to_string()).collect();
/// assert_eq!(keys, ["a", "b"]);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TermMap {
    /// Each key and then its value. The keys ascend, and each is there once.
    pub(super) parts: Terms,
}

impl Term {
    /// Returns the elements of a tuple or list, with the tail of an improper list, or the keys and
    /// values of a map. All other terms have none.
    pub(super) fn parts(&self) -> &[Term] {
        match self {
            Term::Tuple(terms) | Term::List(terms) => terms,
            Term::ImproperList(list) => &list.parts,
            Term::Map(map) => &map.parts,
            _ => &[],
        }
    }

    /// Takes the parts out, so that the term is left without any.
    fn take_parts(&mut self) -> Box<[Term]> {
        let parts = match self {
            Term::Tuple(terms) | Term::List(terms) => terms,
            Term::ImproperList(list) => &mut list.parts,
            Term::Map(map) => &mut map.parts,
            _ => return Box::default(),
        };
        std::mem::take(&mut parts.0)
    }
}

/// The depth to which terms are dropped by recursion, which allocates nothing.
const DROPPED_BY_RECURSION: usize = 32;

impl Drop for Terms {
    fn drop(&mut self) {
        let mut deep = Vec::new();
        drop_parts(std::mem::take(&mut self.0), DROPPED_BY_RECURSION, &mut deep);
        while let Some(parts) = deep.pop() {
            drop_parts(parts, DROPPED_BY_RECURSION, &mut deep);
        }
    }
}

/// Drops terms down to a depth. Adds the parts of those that are deeper to `deep`.
fn drop_parts(mut terms: Box<[Term]>, depth: usize, deep: &mut Vec<Box<[Term]>>) {
    for term in &mut terms {
        let parts = term.take_parts();
        if parts.is_empty() {
            continue;
        }
        match depth.checked_sub(1) {
            Some(depth) => drop_parts(parts, depth, deep),
            None => deep.push(parts),
        }
    }
    // No term has parts, so this drop is flat.
    drop(terms);
}
