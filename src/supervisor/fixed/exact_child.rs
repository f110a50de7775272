//! Requests about exactly one incarnation of a child: to stop it, or to stop it and start it again.
//!
//! **What happens if** …
//!
//! | | |
//! |---|---|
//! | the child ends before the request is handled | its exit was queued before or after the request. Before: it was restarted, and the request is refused, because the pid is another. After: the stop finds the ended process, its exit is removed from the mailbox, and the child is started again, or stays stopped |
//! | the start fails | the child is stopped, as after [`restart_child`](crate::SupervisorRef::restart_child): no budget is spent, and the supervisor does not give up |
//! | the supervisor is asked to stop meanwhile | it first finishes this request, in its handler, and then stops |
//! | the supervisor is killed meanwhile | the child ends by its link, and the requester gets no answer |
//! | the requester withdraws the request before it is begun | the request is dropped |

use tokio::time::Instant;

use crate::base::Pid;
use crate::call::Reply;
use crate::exit::{Result, Scope};
use crate::process::ChildStop;
use crate::supervisor::fixed::FixedServer;
use crate::supervisor::{ChildError, ExactChild, Position};

impl FixedServer {
    /// Stops the child, if its process is still the process of the request.
    pub(crate) async fn terminate_exactly(
        &mut self,
        child: ExactChild,
        reply: Reply<Result<(), ChildError>>,
    ) {
        let answer = match self.exact_position(&child) {
            Ok(_) if !child.claim.begin() => return,
            Ok(_) => self.terminate_child(&child.id).await,
            Err(error) => Err(error),
        };
        reply.send(answer);
    }

    /// Stops the child and starts it again, if its process is still the process of the request. The
    /// name of the child stays reserved meanwhile. The error is the reason of a supervisor that
    /// ends because the child ends the tree.
    pub(crate) async fn restart_exactly(
        &mut self,
        child: ExactChild,
        reply: Reply<Result<Pid, ChildError>>,
    ) -> Result {
        let position = match self.exact_position(&child) {
            Ok(position) => position,
            Err(error) => {
                reply.send(Err(error));
                return Ok(());
            }
        };
        let refusal = self.children.get(position).and_then(|known| {
            let id = || known.spec.id.to_string();
            match known {
                _ if known.is_temporary() => Some(ChildError::Temporary(id())),
                _ if known.is_restarting() => Some(ChildError::Restarting(id())),
                _ => None,
            }
        });
        if let Some(refusal) = refusal {
            reply.send(Err(refusal));
            return Ok(());
        }
        if !child.claim.begin() {
            return Ok(());
        }
        if child.pid.is_some() {
            let began = Instant::now();
            let how = ChildStop::ForRestart;
            let (at, decided) = self.stop_incarnation(position, how, began).await;
            if decided == Some(Scope::Tree) {
                return Err(self.end_tree(position, child.pid));
            }
            self.leave_to_group_restart(position, at);
        }
        self.restart_child(&child.id, reply).await
    }

    /// Returns the position of this child, if its process is the expected one.
    fn exact_position(&self, child: &ExactChild) -> Result<Position, ChildError> {
        let known = self.children.by_id(&child.id)?;
        match known.pid() {
            pid if pid == child.pid => Ok(known.position),
            pid => Err(ChildError::Changed { id: child.id.to_string(), pid }),
        }
    }
}
