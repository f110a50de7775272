//! First starts of servers whose `init` is running. Such a start takes no task, because the server
//! acknowledges its `init` to the supervisor.
//!
//! 1. [`begin_start`](DynamicServer::begin_start) begins the start, and lists it.
//! 2. The process of the server calls `Completions::acknowledged` in the poll in which its `init`
//!    has ended, or in which its body is dropped.
//! 3. The supervisor handles the notice as the completion of the start. If the `init` has not
//!    succeeded, a background task first waits for the end of the process.
//!
//! What happens if one side ends in between:
//!
//! | | |
//! |---|---|
//! | the server ends before step 1 has listed it | its notice is handled after the handler that lists it |
//! | the server ends before its acknowledgement | its body is dropped, which is step 2 |
//! | the server ends between its acknowledgement and step 3 | its exit is queued behind the acknowledgement |
//! | the supervisor begins to stop before step 2 | the guard of the start kills the server |
//! | the supervisor begins to stop between steps 2 and 3 | the server is one of the children that are stopped |
//! | the supervisor is killed | the link and the guard kill the server |

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::base::{Pid, ignore_panic};
use crate::child::Spec;
use crate::exit::Result;
use crate::runtime::Ack;
use crate::server::{ServerContext, ServerItem, ServerProcess};
use crate::supervisor::dynamic::start_child::start_panicked;
use crate::supervisor::dynamic::{Cast, Completion, DynamicServer, HalfStarted};
use crate::supervisor::{Begun, NewIncarnation, begin_server, outcome_of};

/// The largest buffer for notices that is kept for later use.
const KEPT_NOTICES: usize = 64;

impl DynamicServer {
    /// Returns a function that queues the request to handle notices. A full mailbox does not delay
    /// this request. The request is refused if the supervisor has ended, or was asked to stop. In
    /// the second case `stop_all` finds the notice.
    pub(super) fn notifier(supervisor: ServerProcess<Self>) -> impl Fn() + Send + Sync + 'static {
        move || {
            let cast = Cast::HandleCompletions;
            let item = match supervisor.is_counted() {
                true => ServerItem::Exempt(Box::new(cast)),
                false => ServerItem::Cast(cast),
            };
            drop(supervisor.send_own(item));
        }
    }

    /// Begins the start of a server, if the child is one.
    pub(super) fn begin_server(
        &self,
        incarnation: &NewIncarnation,
        spec: &Arc<Spec>,
    ) -> Option<Begun> {
        let receiver = || self.completions.clone() as Arc<_>;
        let begin = AssertUnwindSafe(|| begin_server(&self.report, incarnation, spec, receiver));
        catch_unwind(begin).unwrap_or_else(|payload| Some(Begun::Refused(start_panicked(payload))))
    }

    /// Handles the notices of half-started servers.
    pub(super) fn handle_notices(&mut self, ctx: &mut ServerContext<Self>) -> Result {
        let mut notices = std::mem::take(&mut self.notices);
        std::mem::swap(&mut notices, &mut self.completions.lock().notices);
        let mut all = notices.drain(..);
        while let Some((server, ack)) = all.next() {
            if let Err(reason) = self.acknowledged(server, ack, ctx) {
                // The supervisor gives up. `stop_all` finds the other notices. Invariant 2.
                self.completions.lock().notices.extend(all);
                return Err(reason);
            }
        }
        drop(all);
        if notices.capacity() <= KEPT_NOTICES {
            self.notices = notices;
        }
        Ok(())
    }

    /// Step 3.
    fn acknowledged(
        &mut self,
        server: Pid,
        ack: Option<Ack>,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let Some(half_started) = self.half_started.remove(&server) else { return Ok(()) };
        let HalfStarted { child, requester, spec, guard } = half_started;
        let refused = match ack {
            Some(Ack::Started) => {
                self.first_starts -= 1;
                let outcome = outcome_of(&self.report, &spec, Ok(guard.keep()), (false, None));
                // As in `begin_start`.
                ignore_panic(|| drop(spec));
                return self.start_done(child, requester, outcome, ctx);
            }
            Some(Ack::Refused(error)) => Some(*error),
            None => None,
        };
        let report = self.report.clone();
        self.run_in_background(async move {
            let error = guard.failed(refused).await;
            let outcome = outcome_of(&report, &spec, Err(error), (false, Some(server)));
            ignore_panic(|| drop(spec));
            Completion::Started { child, requester, outcome }
        });
        Ok(())
    }
}
