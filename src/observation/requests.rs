//! The requests of a picture to dynamic supervisors.
//!
//! A picture asks the dynamic supervisor that it visits, and those among the next nodes, at the same
//! time. [`asked`](super::asked) limits the wait. Each is asked once, and then for its children in
//! parts if there are very many: [`fold`](crate::supervisor::dynamic::fold) says what a picture with
//! answers of different moments includes.

use std::pin::pin;
use std::sync::Arc;

use futures_util::stream::{StreamExt, iter};

use crate::base::{Pid, SharedStr};
use crate::observation::answers::Fold;
use crate::observation::asked::{AT_ONCE, PartCount};
use crate::observation::collect::{Collector, Pending, running, serves_dynamic};
use crate::server::ServerRef;
use crate::supervisor::PublishedCell;
use crate::supervisor::dynamic::fold::{FoldAnswer, FoldRequest, PART};
use crate::supervisor::dynamic::server::{Call, DynamicServer};

/// How many of the nodes that are visited next are looked at for dynamic supervisors to ask at once.
const LOOKED_AT: usize = 4 * AT_ONCE;

/// How many requests for parts wait in the mailbox of a supervisor at most. With two, the supervisor reads
/// the next part while the picture takes the last one. It serves other requests between two parts.
const AHEAD: usize = 2;

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
        let only = self.view.child_below(path);
        // A child that leads to what is shown is listed in any case.
        let most = self.view.listed.max(usize::from(only.is_some()));
        let asks = Asks { server, cell: cell.clone(), most, only };
        self.asked.ask(pid, |parts| asks.for_all(parts));
    }
}

/// The questions to one dynamic supervisor.
#[derive(Clone)]
struct Asks {
    server: ServerRef<DynamicServer>,
    cell: Arc<PublishedCell>,
    most: usize,
    only: Option<SharedStr>,
}

impl Asks {
    /// Asks for all children. Returns `None` if the supervisor has ended, or the picture no longer
    /// waits.
    async fn for_all(self, parts: PartCount) -> Option<Fold> {
        let mut first = self.clone().once(None).await?;
        let mut pids = std::mem::take(&mut first.in_parts);
        let mut fold = Fold::new(first, self.most);
        if pids.is_empty() {
            return Some(fold);
        }
        // Records of about the same age lie near each other in memory.
        pids.sort_unstable();
        let pids = Arc::new(pids);
        fold.in_parts(pids.clone());
        let all = 0..pids.len().div_ceil(PART);
        let answers = iter(all).map(|part| self.clone().once(Some((pids.clone(), part))));
        let mut answers = pin!(answers.buffered(AHEAD));
        while parts.add()
            && let Some(answer) = answers.next().await
        {
            fold.add(answer?);
        }
        fold.is_complete().then_some(fold)
    }

    /// Asks for the pids of all children, or for a part of the children.
    async fn once(self, part: Option<(Arc<Vec<Pid>>, usize)>) -> Option<FoldAnswer> {
        let Asks { server, cell, most, only } = self;
        let turn = cell.permit().await?;
        let request = Box::new(FoldRequest { most, only, part });
        server.call_unlimited(|reply| Call::Fold(reply, request, turn)).await.ok()
    }
}
