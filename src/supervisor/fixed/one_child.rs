//! What a supervisor does with one of its children: begin it, halt it, let it rest.

use tokio::time::Instant;

use crate::exit::reason::Result;
use crate::process::{ChildSlot, ChildStop};
use crate::restart::restart_state::RestartState;
use crate::runtime::errors::call_error::StartError;
use crate::supervisor::end_record::{EndRecord, EndedBy};
use crate::supervisor::fixed::child_state::RunState;
use crate::supervisor::fixed::server::FixedServer;
use crate::supervisor::incarnation::{NotStarted, start};
use crate::supervisor::spec::strategy::Position;
use crate::supervisor::stop::{StopRequest, stop};

impl FixedServer {
    /// Starts an incarnation. A child that ignores its start doesn't run, and is forgotten if
    /// it is temporary.
    pub(crate) async fn start_incarnation(&mut self, position: Position) -> Result<(), StartError> {
        let Some((cause, child)) = self.children.begin_start(position) else { return Ok(()) };
        let (slot, spec) = (child.slot(), child.spec.clone());
        match start(&self.report, slot, &spec, cause).await {
            Ok(Some(process)) => {
                self.children.set(position, RunState::Running(process));
                self.report.free_names(ChildSlot { start: slot.start - 1, ..slot });
                Ok(())
            }
            Ok(None) => {
                self.mark_stopped(position);
                Ok(())
            }
            Err(NotStarted { error, .. }) => {
                let at = Instant::now();
                let reason = error.as_reason();
                self.record_end(position, EndRecord { pid: None, reason, at, by: EndedBy::Itself });
                Err(error)
            }
        }
    }

    /// Stops a child that runs, from now on; when it is over. Names that it held stay reserved
    /// where a successor follows.
    pub(crate) async fn stop_incarnation(
        &mut self,
        position: Position,
        how: ChildStop,
        now: Instant,
    ) -> Instant {
        let Some((child, process)) = self.children.begin_stop(position, now) else { return now };
        let pid = process.pid();
        self.report.note_stop(&**process, how);
        let (reason, at) = stop(&self.report, StopRequest::of(&child.spec, process), now).await;
        self.record_end(
            position,
            EndRecord { pid: Some(pid), reason, at, by: EndedBy::Supervisor },
        );
        at
    }

    /// An incarnation is over.
    pub(crate) fn record_end(&mut self, position: Position, end: EndRecord) {
        self.children.record_end(position, end, self.backoff);
    }

    /// A child that doesn't run is started again with its group. If it waited for a retry of its
    /// own, it does no more; if it had ended for good, its name is reserved from here on.
    pub(crate) fn await_group(&mut self, position: Position, now: Instant) {
        let Some(child) = self.children.get_mut(position) else { return };
        self.report.reserve_name(child.slot(), &child.spec);
        if let RunState::Restarting { .. } = child.state() {
            child.restarts.hold(now);
            self.children.set(position, RunState::Stopped);
        }
    }

    /// A child that doesn't run, and won't by itself: names that it held are free, and a
    /// temporary one is forgotten. If it is started again it begins afresh: what it failed by
    /// before that is not counted.
    pub(crate) fn mark_stopped(&mut self, position: Position) {
        let Some(child) = self.children.get_mut(position) else { return };
        child.restarts = RestartState::default();
        let (slot, temporary) = (child.slot(), child.is_temporary());
        self.report.free_names(slot);
        match temporary {
            true => self.children.remove(position),
            false => self.children.set(position, RunState::Stopped),
        }
    }
}
