//! The requests of a picture to dynamic supervisors.
//!
//! A picture asks the dynamic supervisor that it visits, and those among the next nodes, at the same
//! time. [`asked`](super::asked) limits the wait. Each is asked once.

use std::sync::Arc;

use crate::base::Pid;
use crate::observation::asked::AT_ONCE;
use crate::observation::collect::{Collector, Pending, running, serves_dynamic};
use crate::supervisor::PublishedCell;
use crate::supervisor::dynamic::fold::Fold;
use crate::supervisor::dynamic::server::{Call, DynamicServer};

/// How many of the nodes that are visited next are looked at for dynamic supervisors to ask at once.
const LOOKED_AT: usize = 4 * AT_ONCE;

impl Collector<'_> {
    /// Asks the dynamic supervisor with this path for its children, and those that are visited next.
    pub(super) async fn ask(
        &mut self,
        pid: Pid,
        cell: &Arc<PublishedCell>,
        path: &str,
    ) -> Option<Fold> {
        if !self.asked.is_asked(pid) {
            self.send_request(pid, cell, path);
            for at in (0..self.pending.len()).rev().take(LOOKED_AT) {
                if !self.asked.has_room() {
                    break;
                }
                self.ask_in_advance(at);
            }
        }
        self.asked.answer(&self.runtime.kernel, pid).await
    }

    /// Asks a pending node, if it is a dynamic supervisor that serves.
    fn ask_in_advance(&mut self, pending: usize) {
        let Pending { node, process } = &self.pending[pending];
        let asks = |pid: &Pid| node.supervision.is_some() && !self.asked.is_asked(*pid);
        let Some(pid) = running(node).filter(asks) else { return };
        let cell = process.as_deref().and_then(PublishedCell::of);
        if let Some(cell) = cell.filter(serves_dynamic) {
            let path = node.path.text().clone();
            self.send_request(pid, &cell, &path);
        }
    }

    fn send_request(&mut self, pid: Pid, cell: &Arc<PublishedCell>, path: &str) {
        let Ok(server) = self.runtime.server_at::<DynamicServer>(pid) else { return };
        let (most, only) = (self.view.listed, self.view.child_below(path));
        let cell = cell.clone();
        self.asked.ask(pid, async move {
            let turn = cell.permit().await?;
            server.call_unlimited(|reply| Call::Fold { reply, most, only, turn }).await.ok()
        });
    }
}
