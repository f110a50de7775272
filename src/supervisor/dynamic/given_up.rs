//! Children that have used up the restarts of their own, and the pids that children go by.
//!
//! 1. A child that was given up is known, does not run, and counts for nothing: it takes no room
//!    and holds no name. A process of another origin may register that name.
//! 2. While a restart would still exceed its budget, this supervisor starts nothing under its
//!    name: `get_or_start` and `start_child` say that it was given up. Afterwards the next start
//!    under the name replaces it.
//! 3. At most [`KEPT`] are kept, the latest; so keys that fail one after the other don't fill the
//!    memory.

use tokio::time::Instant;

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::exit::reason::{ExitReason, Result};
use crate::restart::window::Window;
use crate::runtime::errors::call_error::StartError;
use crate::supervisor::dynamic::child::{Child, GivenUp, State};
use crate::supervisor::dynamic::server::DynamicServer;
use crate::supervisor::incarnation::{NotStarted, StartOutcome};

/// How many children that were given up are kept.
const KEPT: usize = 1_000;

impl DynamicServer {
    /// The child stays known, and is not started again.
    pub(super) fn give_up(&mut self, pid: Pid, until: Instant, last: ExitReason) {
        let number = self.next_number();
        let Some(child) = self.children.get_mut(&pid) else { return };
        child.state = State::GivenUp(Box::new(GivenUp { until, number, last }));
        if let Some(name) = child.name() {
            self.index.given_up_by_name.insert(name, pid);
        }
        self.index.given_up_by_age.insert(number, pid);
        if self.index.given_up_by_age.len() > KEPT
            && let Some((_, oldest)) = self.index.given_up_by_age.first_key_value()
        {
            self.forget(*oldest);
        }
    }

    /// How many were given up.
    pub(super) fn given_up_count(&self) -> usize {
        self.index.given_up_by_age.len()
    }

    /// Whether a child may be started under this name, as far as the one before it goes.
    pub(super) fn check_given_up(&self, name: &SharedStr) -> Result<(), StartError> {
        let Some(pid) = self.index.given_up_by_name.get(name) else { return Ok(()) };
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

    /// A start under the name of a child that was given up has come to something: the new child
    /// takes its place, or the old one stays given up for as long again.
    pub(super) fn update_given_up(&mut self, child: &Child, outcome: &StartOutcome) {
        let Some(name) = child.name() else { return };
        let Some(&pid) = self.index.given_up_by_name.get(&name) else { return };
        match outcome {
            Ok(Some(_)) => self.forget(pid),
            Ok(None) => {}
            Err(NotStarted { error, .. }) => {
                let (_, intensity) = self.budget_of(pid);
                let until = Window::default().next(intensity, Instant::now());
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
