//! What a supervisor does with one of its children: begin it, halt it, let it rest.

use tokio::time::Instant;

use crate::exit::reason::Result;
use crate::process::{ChildStop, Seat};
use crate::restart::restart_state::RestartState;
use crate::runtime::errors::call_error::StartError;
use crate::supervisor::fixed::child_state::{EndedBy, Over, Running};
use crate::supervisor::fixed::server::Tree;
use crate::supervisor::incarnation::{NotStarted, start};
use crate::supervisor::spec::strategy::Place;
use crate::supervisor::stop::{Leaving, stop};

impl Tree {
    /// Starts an incarnation. A child that ignores its start doesn't run, and is forgotten if
    /// it is temporary.
    pub(crate) async fn begin(&mut self, place: Place) -> Result<(), StartError> {
        let Some((cause, child)) = self.children.begin(place) else { return Ok(()) };
        let (seat, spec) = (child.seat(), child.spec.clone());
        match start(&self.report, seat, &spec, cause).await {
            Ok(Some(process)) => {
                self.children.set(place, Running::Yes(process));
                self.report.free_names(Seat { start: seat.start - 1, ..seat });
                Ok(())
            }
            Ok(None) => {
                self.rest(place);
                Ok(())
            }
            Err(NotStarted { error, .. }) => {
                let at = Instant::now();
                let reason = error.as_reason();
                self.over(place, Over { pid: None, reason, at, by: EndedBy::Itself });
                Err(error)
            }
        }
    }

    /// Stops a child that runs, from now on; when it is over. Names that it held stay reserved
    /// where a successor follows.
    pub(crate) async fn halt(&mut self, place: Place, how: ChildStop, now: Instant) -> Instant {
        let Some((child, process)) = self.children.begin_stop(place, now) else { return now };
        let pid = process.pid();
        self.report.stops(&**process, how);
        let (reason, at) = stop(&self.report, Leaving::of(&child.spec, process), now).await;
        self.over(place, Over { pid: Some(pid), reason, at, by: EndedBy::Supervisor });
        at
    }

    /// An incarnation is over.
    pub(crate) fn over(&mut self, place: Place, over: Over) {
        self.children.over(place, over, self.backoff);
    }

    /// A child that doesn't run is started again with its group. If it waited for a retry of its
    /// own, it does no more; if it had ended for good, its name is reserved from here on.
    pub(crate) fn await_group(&mut self, place: Place, now: Instant) {
        let Some(child) = self.children.get_mut(place) else { return };
        self.report.reserve_name(child.seat(), &child.spec);
        if let Running::Restarting { .. } = child.state() {
            child.restarts.hold(now);
            self.children.set(place, Running::No);
        }
    }

    /// A child that doesn't run, and won't by itself: names that it held are free, and a
    /// temporary one is forgotten. If it is started again it begins afresh: what it failed by
    /// before that is not counted.
    pub(crate) fn rest(&mut self, place: Place) {
        let Some(child) = self.children.get_mut(place) else { return };
        child.restarts = RestartState::default();
        let (seat, temporary) = (child.seat(), child.is_temporary());
        self.report.free_names(seat);
        match temporary {
            true => self.children.remove(place),
            false => self.children.set(place, Running::No),
        }
    }
}
