//! Equality, order and hash of terms, without recursion.
//!
//! The order follows that of Erlang in the kinds of terms, and is a total order of its own in the
//! rest: shorter lists come first, and integers before floats. It only sorts the keys of maps, so it
//! is not public.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::cluster::term::value::{Term, Terms};
use crate::cluster::term::walk::{Visit, Walk};

/// Returns the place of the kind of a term in the order of kinds.
fn rank(term: &Term) -> u8 {
    match term {
        Term::Integer(_) | Term::BigInteger(_) => 0,
        Term::Float(_) => 1,
        Term::Atom(_) => 2,
        Term::Reference(_) => 3,
        Term::Fun(_) => 4,
        Term::Export(_) => 5,
        Term::Port(_) => 6,
        Term::Pid(_) => 7,
        Term::Tuple(_) => 8,
        Term::Map(_) => 9,
        Term::List(_) => 10,
        Term::ImproperList(_) => 11,
        Term::Binary(_) => 12,
        Term::Bitstring(_) => 13,
    }
}

/// Compares two terms without their parts. If this returns `Equal`, they have equally many parts.
fn compare_heads(a: &Term, b: &Term) -> Ordering {
    match (a, b) {
        (Term::Integer(a), Term::Integer(b)) => a.cmp(b),
        (Term::BigInteger(a), Term::BigInteger(b)) => a.cmp(b),
        // A big integer lies beyond all others, on the side that its sign says.
        (Term::BigInteger(a), Term::Integer(_)) if a.is_negative() => Ordering::Less,
        (Term::BigInteger(_), Term::Integer(_)) => Ordering::Greater,
        (Term::Integer(_), Term::BigInteger(b)) if b.is_negative() => Ordering::Greater,
        (Term::Integer(_), Term::BigInteger(_)) => Ordering::Less,
        // −0.0 comes before 0.0, and a NaN equals itself.
        (Term::Float(a), Term::Float(b)) => a.total_cmp(b),
        (Term::Atom(a), Term::Atom(b)) => a.cmp(b),
        (Term::Reference(a), Term::Reference(b)) => a.cmp(b),
        (Term::Fun(a), Term::Fun(b)) => a.cmp(b),
        (Term::Export(a), Term::Export(b)) => a.cmp(b),
        (Term::Port(a), Term::Port(b)) => a.cmp(b),
        (Term::Pid(a), Term::Pid(b)) => a.cmp(b),
        (Term::Binary(a), Term::Binary(b)) => a.cmp(b),
        (Term::Bitstring(a), Term::Bitstring(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)).then_with(|| a.parts().len().cmp(&b.parts().len())),
    }
}

/// Compares two terms with their parts.
pub(crate) fn compare(a: &Term, b: &Term) -> Ordering {
    let (mut a, mut b) = (heads_of(a), heads_of(b));
    loop {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) => match compare_heads(a, b) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
            (a, b) => return a.is_some().cmp(&b.is_some()),
        }
    }
}

/// Returns the term and all its parts in order. Together with the numbers of parts, they are the
/// whole term.
fn heads_of(term: &Term) -> impl Iterator<Item = &Term> {
    Walk::new(term).filter_map(|visit| match visit {
        Visit::Term { term, .. } => Some(term),
        Visit::End(_) => None,
    })
}

impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        compare(self, other) == Ordering::Equal
    }
}

impl Eq for Term {}

impl Hash for Term {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for term in heads_of(self) {
            state.write_u8(rank(term));
            match term {
                Term::Integer(integer) => integer.hash(state),
                Term::BigInteger(big) => big.hash(state),
                Term::Float(float) => float.to_bits().hash(state),
                Term::Atom(atom) => atom.hash(state),
                Term::Reference(reference) => reference.hash(state),
                Term::Fun(fun) => fun.hash(state),
                Term::Export(export) => export.hash(state),
                Term::Port(port) => port.hash(state),
                Term::Pid(pid) => pid.hash(state),
                Term::Binary(bytes) => bytes.hash(state),
                Term::Bitstring(bits) => bits.hash(state),
                Term::Tuple(_) | Term::List(_) | Term::ImproperList(_) | Term::Map(_) => {
                    state.write_usize(term.parts().len());
                }
            }
        }
    }
}

impl PartialEq for Terms {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Terms {}

impl Hash for Terms {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}
