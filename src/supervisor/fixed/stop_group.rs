//! The stop of the group of a child that is to be restarted.

use tokio::time::Instant;

use crate::exit::{Result, Scope};
use crate::process::ChildStop;
use crate::supervisor::Position;
use crate::supervisor::fixed::stop_sequence::Stops;
use crate::supervisor::fixed::{Child, FixedServer};

impl FixedServer {
    /// Stops the other members of this child's group in reverse order, and forgets those that are
    /// temporary. The restart of this child will start the remaining members. So their own retries
    /// become stale (invariant 1), and the names of members that had ended for good are reserved.
    ///
    /// A member may have ended by its own decision before its stop, while its exit was still queued.
    /// Then it is given up, or the supervisor ends.
    pub(super) async fn stop_group(
        &mut self,
        group: &[Position],
        of: Position,
        mut now: Instant,
    ) -> Result {
        let how = |child: &Child| match child.is_temporary() {
            true => Some(ChildStop::ForGood),
            false => Some(ChildStop::ForRestart),
        };
        let (mut given_up, mut stops) = (false, Stops::default());
        let members = || group.iter().rev().copied().filter(move |member| *member != of);
        for (index, member) in members().enumerate() {
            let Some(child) = self.children.get(member) else { continue };
            let (is_temporary, pid) = (child.is_temporary(), child.pid());
            let end = self.next_stop(&mut stops, members().skip(index), how, now).await.zip(pid);
            let decided = end.and_then(|(end, pid)| {
                now = end.1;
                self.record_stop(member, pid, end)
            });
            match decided {
                Some(Scope::Tree) => {
                    let pid = self.children.get(member).and_then(|child| child.last_pid);
                    return Err(self.end_tree(member, pid));
                }
                Some(Scope::Child) => {
                    given_up |= self.is_significant(member);
                    self.mark_given_up(member);
                }
                None if is_temporary => self.mark_stopped(member),
                None => self.leave_to_group_restart(member, now),
            }
        }
        if given_up {
            // The restart starts all members that are stopped now.
            self.note_still_to_start(group);
            self.after_end_for_good(true)?;
            self.still_to_start = 0;
        }
        Ok(())
    }
}
