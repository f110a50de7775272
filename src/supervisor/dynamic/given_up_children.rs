//! Children that have used up their own restart budget ([`Exhausted::GiveUp`]). Invariants:
//!
//! 1. A child that was given up is known, does not run, does not count for `max_children` and
//!    reserves no name: any other process may register its name.
//! 2. While a restart would exceed the child's budget, this supervisor starts no child under the
//!    child's name: `get_or_start` and `start_child` return [`StartError::GivenUp`]. After that
//!    time the next start under the name replaces the child.
//! 3. At most [`KEPT`] such children are kept, the latest ones, so that many failing keys do not
//!    use memory without a bound.
//!
//! [`Exhausted::GiveUp`]: crate::Exhausted::GiveUp

use tokio::time::Instant;

use crate::base::{Pid, SharedStr, ignore_panic};
use crate::exit::{ExitReason, Result};
use crate::observe::ChangeKind;
use crate::restart::Window;
use crate::runtime::StartError;
use crate::supervisor::dynamic::{Child, DynamicServer, GivenUp, State};
use crate::supervisor::{NotStarted, StartOutcome};

/// The maximum number of given-up children that are kept.
const KEPT: usize = 1_000;

impl DynamicServer {
    /// Gives up a child. The child stays known, and is not restarted.
    pub(super) fn give_up_child(&mut self, pid: Pid, until: Instant, last: ExitReason) {
        let number = self.next_number();
        let Some(child) = self.children.get_mut(&pid) else { return };
        child.state = State::GivenUp(Box::new(GivenUp { until, number, last }));
        if let Some(name) = child.name() {
            self.given_up_by_name.insert(name, pid);
        }
        self.given_up_by_age.insert(number, pid);
        self.tell(pid, || ChangeKind::GivenUp);
        // Invariant 3.
        if self.given_up_by_age.len() > KEPT
            && let Some((_, oldest)) = self.given_up_by_age.first_key_value()
        {
            self.forget(*oldest);
        }
    }

    /// Returns the number of children that were given up.
    pub(super) fn given_up_count(&self) -> usize {
        self.given_up_by_age.len()
    }

    /// Refuses a start under the name of a child that was given up, until its budget allows a
    /// restart. Invariant 2.
    pub(super) fn check_given_up(&self, name: &SharedStr) -> Result<(), StartError> {
        let Some(pid) = self.given_up_by_name.get(name) else { return Ok(()) };
        let now = Instant::now();
        match self.children.get(pid).map(|child| &child.state) {
            Some(State::GivenUp(given_up)) if given_up.until > now => Err(StartError::GivenUp {
                name: name.to_string(),
                retry_in: given_up.until.duration_since(now),
                reason: given_up.last.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Applies the outcome of a start under the name of a given-up child. A started child replaces
    /// the given-up child. After a failed start, the given-up child counts as given up just now.
    pub(super) fn update_given_up(&mut self, child: &Child, outcome: &StartOutcome) {
        let Some(name) = child.name() else { return };
        let Some(&pid) = self.given_up_by_name.get(&name) else { return };
        match outcome {
            Ok(Some(_)) => self.forget(pid),
            Ok(None) => {}
            Err(NotStarted { error, .. }) => {
                let (_, intensity) = self.budget_of(pid);
                let until = Window::default().next_allowed_at(intensity, Instant::now());
                if let Some(State::GivenUp(given_up)) =
                    self.children.get_mut(&pid).map(|child| &mut child.state)
                {
                    let last = std::mem::replace(&mut given_up.last, error.as_reason());
                    given_up.until = until;
                    ignore_panic(|| drop(last));
                }
            }
        }
    }
}
