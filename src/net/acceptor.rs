//! The acceptor of a listener: accepts connections, and has a process started for each.
//!
//! The acceptor never waits for a start: a server whose `init` is slow delays no other connection.
//! So the acceptor waits for several events at once:
//!
//! | event | what follows |
//! |---|---|
//! | a connection | its start is requested or, beyond the limit, the connection is refused |
//! | a start has finished | its process counts until its end |
//! | a connection has ended | another one may be accepted |
//! | the pause after an error is over | connections are accepted again |
//!
//! **If the acceptor ends** with an accepted connection, its request for a start is in the mailbox
//! of the supervisor of the connections, or it is dropped together with the connection. A request
//! in the mailbox is carried out, or dropped by a supervisor that ends.
//!
//! **If the supervisor of the connections ends**, the starts fail. The acceptor then accepts
//! nothing more, and waits for its own stop, because its supervisor restarts both.
//!
//! **If the mailbox of that supervisor is full**, which only a runtime with bounded mailboxes has,
//! the connection is closed, and the acceptor pauses as after a lack of files.

use std::future::poll_fn;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Sleep, sleep};

use crate::base::Pid;
use crate::child::ChildSpec;
use crate::exit::{ExitReason, Result};
use crate::net::accept_errors::{Failure, FailureLog};
use crate::net::error::AcceptError;
use crate::net::port::{Incoming, PortLease};
use crate::runtime::{CallError, Ended, Runtime, StartError};
use crate::supervisor::DynamicSupervisorRef;

/// The shortest pause after an error: an acceptor must not use a whole processor to try again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The settings of a listener.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) most: Option<NonZeroUsize>,
    /// What a connection beyond the limit is answered; `None` if it waits in the backlog instead.
    pub(crate) refusal: Option<Arc<[u8]>>,
    pub(crate) pause: Duration,
    pub(crate) drain: Option<Duration>,
    pub(crate) nodelay: Option<bool>,
}

/// Makes the child that gets a connection.
pub(crate) type Make<I> = Arc<dyn Fn(I, &Settings) -> ChildSpec + Send + Sync>;

/// The state of an acceptor.
pub(crate) struct Acceptor<I: 'static> {
    pub(crate) lease: PortLease<I>,
    pub(crate) make: Make<I>,
    pub(crate) settings: Settings,
    pub(crate) runtime: Runtime,
    pub(crate) connections: DynamicSupervisorRef,
    pub(crate) failures: FailureLog,
    /// The starts that were requested and have not finished.
    pub(crate) starts: FuturesUnordered<BoxFuture<'static, Result<Pid, StartError>>>,
    /// The ends of the connections, if their number is limited.
    pub(crate) live: FuturesUnordered<Ended>,
    pub(crate) pause: Option<Pin<Box<Sleep>>>,
    /// Whether the supervisor of the connections has ended.
    pub(crate) is_orphaned: bool,
}

enum Event<I> {
    Accepted(io::Result<I>),
    Started(Result<Pid, StartError>),
    Ended,
}

impl<I: Incoming> Acceptor<I> {
    /// Accepts connections until the process is stopped, or the listener is broken.
    pub(crate) async fn run(mut self) -> Result {
        if self.settings.most.is_some() {
            self.find_connections().await;
        }
        loop {
            match poll_fn(|cx| self.poll_event(cx)).await {
                Event::Accepted(Ok(client)) => self.accepted(client),
                Event::Accepted(Err(error)) => self.failed(error)?,
                Event::Started(started) => self.started(started)?,
                Event::Ended => {}
            }
        }
    }

    /// Finds the connections that an earlier incarnation has accepted. The requests of that
    /// incarnation were queued before this one, so their starts have begun when this one is
    /// answered. A full mailbox is tried again. Any other failure means that the supervisor has
    /// ended, and so have its children.
    async fn find_connections(&mut self) {
        while let Err(CallError::Overloaded) = self.connections.count_children().await {
            sleep(SHORTEST_PAUSE).await;
        }
        let Some(supervisor) = self.connections.pid() else { return };
        for process in self.runtime.kernel.children_of(supervisor) {
            self.live.push(self.runtime.ended(process.pid()));
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event<I>> {
        if let Poll::Ready(Some(started)) = self.starts.poll_next_unpin(cx) {
            return Poll::Ready(Event::Started(started));
        }
        if let Poll::Ready(Some(_)) = self.live.poll_next_unpin(cx) {
            return Poll::Ready(Event::Ended);
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        if self.is_orphaned || (self.is_full() && self.settings.refusal.is_none()) {
            return Poll::Pending;
        }
        self.lease.poll_accept(cx).map(Event::Accepted)
    }

    fn is_full(&self) -> bool {
        let most = self.settings.most.map(NonZeroUsize::get);
        most.is_some_and(|most| self.starts.len() + self.live.len() >= most)
    }

    fn accepted(&mut self, client: I) {
        self.failures.accepted();
        if self.is_full() {
            client.refuse(self.settings.refusal.as_deref().unwrap_or_default());
            return;
        }
        // An error means that the client has closed the connection, which its process will notice.
        let set = self.settings.nodelay.map(|nodelay| client.set_nodelay(nodelay));
        drop(set);
        let child = (self.make)(client, &self.settings);
        let connections = self.connections.clone();
        self.starts.push(Box::pin(async move { connections.start_child(child).await }));
    }

    /// Notes the end of a start. The supervisor of the connections has logged a failed start, whose
    /// connection is closed, and no other connection is affected.
    fn started(&mut self, started: Result<Pid, StartError>) -> Result {
        match started {
            Ok(pid) if self.settings.most.is_some() => self.live.push(self.runtime.ended(pid)),
            Err(StartError::Unreachable(CallError::Overloaded)) => {
                self.failed(io::Error::other("the supervisor of the connections is busy"))?;
            }
            Err(StartError::Unreachable(_)) => self.is_orphaned = true,
            // The settings of the child are wrong, and so are those of each further one.
            Err(error @ StartError::Invalid(_)) => return Err(ExitReason::from_library(error)),
            _ => {}
        }
        Ok(())
    }

    fn failed(&mut self, error: io::Error) -> Result {
        match Failure::of(&error) {
            Failure::Connection => self.failures.lost_one(&error),
            Failure::Exhausted => {
                self.failures.failed(&error);
                self.pause = Some(Box::pin(sleep(self.settings.pause.max(SHORTEST_PAUSE))));
            }
            Failure::Listener => {
                self.lease.close();
                let address = self.failures.address().to_owned();
                return Err(ExitReason::from_library(AcceptError { address, source: error }));
            }
        }
        Ok(())
    }
}
