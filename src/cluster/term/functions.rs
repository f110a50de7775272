//! Functions of Erlang: exported ones by their names, and closures.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::cluster::term::atom::Atom;

/// An exported function by its names, as `fun lists:map/2` in Erlang.
///
/// ```
/// use regrow::cluster::{Atom, Export, Term};
///
/// let map = Export::new(Atom::new("lists")?, Atom::new("map")?, 2);
/// assert_eq!(map.module(), "lists");
/// assert_eq!((map.function().as_str(), map.arity()), ("map", 2));
/// assert_eq!(Term::from(map).to_string(), "fun lists:map/2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Export {
    module: Atom,
    function: Atom,
    arity: u8,
}

impl Export {
    /// Returns the function with these names and this number of parameters. [`Export`] has an
    /// example.
    pub fn new(module: Atom, function: Atom, arity: u8) -> Self {
        Export { module, function, arity }
    }

    /// Returns the name of the module. [`Export`] has an example.
    pub fn module(&self) -> &Atom {
        &self.module
    }

    /// Returns the name of the function. [`Export`] has an example.
    pub fn function(&self) -> &Atom {
        &self.function
    }

    /// Returns the number of parameters. [`Export`] has an example.
    pub fn arity(&self) -> u8 {
        self.arity
    }
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fun {}:{}/{}", self.module, self.function, self.arity)
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A closure of an Erlang node. It can't be called here, but it can be sent back: its bytes are kept
/// as they are, with the values that it has captured.
///
/// Two closures are equal if their bytes are. Each closure comes from a decoded term:
///
/// ```
/// use regrow::cluster::Term;
///
/// let mut bytes = vec![131, 112, 0, 0, 0, 63, 2]; // a closure with two parameters
/// bytes.extend([0; 20]); // the version of its module, and its index there
/// bytes.extend([0, 0, 0, 0]); // it has captured nothing
/// bytes.extend([119, 4, b's', b'h', b'o', b'p', 97, 0, 97, 0]);
/// bytes.extend([88, 119, 3, b'a', b'@', b'b', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
///
/// let term = Term::from_bytes(&bytes)?;
/// let Term::Fun(fun) = &term else { panic!() };
/// assert_eq!((fun.module().as_str(), fun.arity()), ("shop", 2));
/// assert_eq!(term.to_string(), "#Fun<shop.0>");
/// assert_eq!(term.to_bytes()?, bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Fun {
    module: Atom,
    index: u32,
    arity: u8,
    bytes: Box<[u8]>,
}

impl Fun {
    pub(crate) fn new(module: Atom, index: u32, arity: u8, bytes: &[u8]) -> Self {
        Fun { module, index, arity, bytes: bytes.into() }
    }

    /// Returns the bytes of the term, from its tag on.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the name of the module that the closure was written in. [`Fun`] has an example.
    pub fn module(&self) -> &Atom {
        &self.module
    }

    /// Returns the number of parameters. [`Fun`] has an example.
    pub fn arity(&self) -> u8 {
        self.arity
    }
}

impl PartialEq for Fun {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Fun {}

impl PartialOrd for Fun {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fun {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl Hash for Fun {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Display for Fun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#Fun<{}.{}>", self.module, self.index)
    }
}

impl fmt::Debug for Fun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
