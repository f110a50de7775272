//! Links between siblings, and the children that killed supervisors leave behind, in the model.

use super::model::{Child, Model, State, Tree};
use super::plan::{End, Kind, Script, Shutdown, Spec, Stop};

impl Model {
    /// Records that a worker runs, and links it to this sibling if the sibling runs.
    pub(crate) fn link(&mut self, id: u32, sibling: Option<u32>) {
        if let Some(sibling) = sibling.filter(|sibling| self.alive.contains(sibling)) {
            self.undecided |= self.coming.ends(sibling);
            self.links.insert((id, sibling));
        }
        self.alive.insert(id);
    }

    /// Removes the links of an ended process. Its linked siblings receive an abnormal end.
    pub(crate) fn unlink(&mut self, id: u32, end: End) {
        self.alive.remove(&id);
        for (a, b) in std::mem::take(&mut self.links) {
            if a != id && b != id {
                self.links.insert((a, b));
            } else if end != End::Normal {
                self.bereft.push_back((if a == id { b } else { a }, end));
            }
        }
    }

    /// Ends the children that lost a linked sibling and do not trap exits, with the reason of the
    /// sibling. Returns them, before their supervisor has handled their ends. The supervisor runs
    /// concurrently with further ends in the cascade, and their relative order is not defined.
    pub(crate) fn bereave(&mut self, tree: &mut Tree) -> Vec<u32> {
        let mut fallen = Vec::new();
        let mut first = self.bereft.len();
        while let Some((id, end)) = self.bereft.pop_front() {
            let is_first = first > 0;
            first = first.saturating_sub(1);
            let Some(at) = tree.at(id) else { continue };
            // A child that ended by itself while its supervisor was busy ended before its sibling.
            self.strike(&mut tree.children[at]);
            let child = &mut tree.children[at];
            if matches!(child.state, State::Running(None)) && !child.spec.traps() {
                self.dies(child, end);
                self.undecided |= !is_first;
                fallen.push(id);
            }
        }
        fallen
    }

    /// Ends the children of a killed supervisor concurrently, each within its own shutdown time.
    /// Returns the time at which the last of them has ended. A child that waits for the end of a
    /// sibling may crash by itself meanwhile.
    pub(crate) fn fall(&mut self, tree: &mut Tree) -> u64 {
        let (now, mut last) = (self.now, self.now.max(tree.leaves));
        let crashes = self.crashes();
        for child in tree.children.drain(..) {
            last = last.max(self.falls(child));
            self.now = now;
            // A process that lost a linked sibling in this way ends anyway.
            self.bereft.clear();
        }
        self.falling = self.falling.max(last);
        self.falls = true;
        self.undecided |= crashes.iter().any(|(id, at)| *at <= last && !self.alive.contains(id));
        last
    }

    fn falls(&mut self, child: Child) -> u64 {
        let Child { spec, state, alone, .. } = child;
        match state {
            State::Running(Some(mut tree)) => {
                if spec.shutdown == Shutdown::Brutal {
                    self.ends(spec.id, End::Kill);
                    return self.fall(&mut tree);
                }
                self.stop_children(&mut tree);
                self.ends(spec.id, End::Kill);
                return self.now.max(tree.leaves);
            }
            State::Running(None) if spec.traps() => self.stop_worker(&spec, End::Kill),
            State::Running(None) => self.ends(spec.id, End::Kill),
            State::Dead(_) | State::Waiting(_) | State::Stopped => {}
        }
        self.now.max(alone)
    }
}

impl Spec {
    fn traps(&self) -> bool {
        !matches!(self.kind, Kind::Worker(Script { stop: Stop::Unasked, .. }))
    }
}
