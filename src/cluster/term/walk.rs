//! A walk through a term and all its parts, without recursion.

use crate::cluster::term::value::Term;

/// A step of a walk.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Visit<'t> {
    /// A term. If it has parts, they are the next visits, up to its `End`.
    Term {
        term: &'t Term,
        /// The term that it is a part of, and which part it is.
        within: Option<(&'t Term, usize)>,
    },
    /// The end of a term that has parts.
    End(&'t Term),
}

/// Visits a term, then its parts in order, each with its own parts.
#[derive(Debug)]
pub(crate) struct Walk<'t> {
    root: Option<&'t Term>,
    /// The terms whose parts are visited, and the next part of each.
    open: Vec<(&'t Term, usize)>,
}

impl<'t> Walk<'t> {
    pub(crate) fn new(root: &'t Term) -> Self {
        Walk { root: Some(root), open: Vec::new() }
    }

    /// Leaves out the parts of the term that was visited last, and its `End`. The term must have
    /// parts.
    pub(crate) fn leave_out_parts(&mut self) {
        self.open.pop();
    }

    fn enter(&mut self, term: &'t Term) {
        if !term.parts().is_empty() {
            self.open.push((term, 0));
        }
    }
}

impl<'t> Iterator for Walk<'t> {
    type Item = Visit<'t>;

    fn next(&mut self) -> Option<Visit<'t>> {
        if let Some(root) = self.root.take() {
            self.enter(root);
            return Some(Visit::Term { term: root, within: None });
        }
        let (parent, next) = self.open.last_mut()?;
        let (parent, index): (&'t Term, usize) = (parent, *next);
        let Some(term) = parent.parts().get(index) else {
            self.open.pop();
            return Some(Visit::End(parent));
        };
        *next += 1;
        self.enter(term);
        Some(Visit::Term { term, within: Some((parent, index)) })
    }
}
