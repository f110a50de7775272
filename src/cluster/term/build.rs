//! Builds a term from the inside out, without recursion.

use std::convert::Infallible;

use crate::cluster::term::compare::compare;
use crate::cluster::term::value::{ImproperList, Term, TermMap, Terms};
use crate::cluster::term::walk::{Visit, Walk};

/// The shape of a term with parts, which makes the term when all parts are there.
pub(crate) trait Shape {
    type Error;

    fn close(self, parts: Vec<Term>) -> Result<Term, Self::Error>;
}

/// The terms that have begun and lack parts.
#[derive(Debug)]
pub(crate) struct Builder<S> {
    open: Vec<Open<S>>,
}

#[derive(Debug)]
struct Open<S> {
    shape: S,
    parts: Vec<Term>,
    /// How many parts are missing; never 0 between two calls.
    missing: usize,
}

impl<S: Shape> Builder<S> {
    pub(crate) fn new() -> Self {
        Builder { open: Vec::new() }
    }

    /// Returns how many terms lack parts.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Begins a term with this many parts. Returns the whole term if that completes it.
    pub(crate) fn open(&mut self, shape: S, parts: usize) -> Result<Option<Term>, S::Error> {
        if parts == 0 {
            return shape.close(Vec::new()).and_then(|term| self.add(term));
        }
        self.open.push(Open { shape, parts: Vec::with_capacity(parts), missing: parts });
        Ok(None)
    }

    /// Adds the next part. Returns the whole term if that completes it.
    pub(crate) fn add(&mut self, mut term: Term) -> Result<Option<Term>, S::Error> {
        while let Some(mut top) = self.open.pop() {
            top.parts.push(term);
            top.missing -= 1;
            if top.missing > 0 {
                self.open.push(top);
                return Ok(None);
            }
            term = top.shape.close(top.parts)?;
        }
        Ok(Some(term))
    }

    /// Returns the shape of the term that lacks only its last part.
    pub(crate) fn lacks_last(&self) -> Option<&S> {
        self.open.last().filter(|top| top.missing == 1).map(|top| &top.shape)
    }

    /// Gives the term that was begun last more parts.
    pub(crate) fn extend(&mut self, parts: usize) {
        if let Some(top) = self.open.last_mut() {
            top.missing += parts;
            top.parts.reserve(parts);
        }
    }
}

/// The shape of a term that is a copy of another one, so that its parts have the right order.
enum Copied {
    Tuple,
    List,
    ImproperList,
    Map,
}

impl Shape for Copied {
    type Error = Infallible;

    fn close(self, parts: Vec<Term>) -> Result<Term, Infallible> {
        let parts = Terms(parts.into_boxed_slice());
        Ok(match self {
            Copied::Tuple => Term::Tuple(parts),
            Copied::List => Term::List(parts),
            Copied::ImproperList => Term::ImproperList(ImproperList { parts }),
            Copied::Map => Term::Map(TermMap { parts }),
        })
    }
}

impl Clone for Term {
    fn clone(&self) -> Self {
        let mut builder = Builder::new();
        let mut whole = None;
        for visit in Walk::new(self) {
            let Visit::Term { term, .. } = visit else { continue };
            let parts = term.parts().len();
            let Ok(built) = match term {
                Term::Tuple(_) => builder.open(Copied::Tuple, parts),
                Term::List(_) => builder.open(Copied::List, parts),
                Term::ImproperList(_) => builder.open(Copied::ImproperList, parts),
                Term::Map(_) => builder.open(Copied::Map, parts),
                Term::Integer(integer) => builder.add(Term::Integer(*integer)),
                Term::BigInteger(big) => builder.add(Term::BigInteger(big.clone())),
                Term::Float(float) => builder.add(Term::Float(*float)),
                Term::Atom(atom) => builder.add(Term::Atom(atom.clone())),
                Term::Binary(bytes) => builder.add(Term::Binary(bytes.clone())),
                Term::Bitstring(bits) => builder.add(Term::Bitstring(bits.clone())),
                Term::Pid(pid) => builder.add(Term::Pid(pid.clone())),
                Term::Port(port) => builder.add(Term::Port(port.clone())),
                Term::Reference(reference) => builder.add(Term::Reference(reference.clone())),
                Term::Export(export) => builder.add(Term::Export(export.clone())),
                Term::Fun(fun) => builder.add(Term::Fun(fun.clone())),
            };
            whole = built;
        }
        whole.expect("the last part of a term completes it")
    }
}

impl Clone for Terms {
    fn clone(&self) -> Self {
        Terms(self.0.clone())
    }
}

/// Returns the elements with the tail after them: a proper list if the tail is one.
pub(crate) fn with_tail(mut elements: Vec<Term>, tail: Term) -> Term {
    if elements.is_empty() {
        return tail;
    }
    match tail {
        Term::List(rest) => {
            elements.extend(rest.into_vec());
            Term::List(elements.into())
        }
        Term::ImproperList(rest) => {
            elements.extend(rest.parts.into_vec());
            Term::ImproperList(ImproperList { parts: elements.into() })
        }
        tail => {
            elements.push(tail);
            Term::ImproperList(ImproperList { parts: elements.into() })
        }
    }
}

/// Returns the map of these keys and values. The last value of a key counts. The flag says whether a
/// key was there twice.
pub(crate) fn sorted_map(mut entries: Vec<(Term, Term)>) -> (TermMap, bool) {
    let count = entries.len();
    // The sort is stable, so the entry that was given last comes first among equals.
    entries.reverse();
    entries.sort_by(|(a, _), (b, _)| compare(a, b));
    entries.dedup_by(|(a, _), (b, _)| a == b);
    let is_shorter = entries.len() < count;
    let parts: Vec<Term> = entries.into_iter().flat_map(|(key, value)| [key, value]).collect();
    (TermMap { parts: parts.into() }, is_shorter)
}
