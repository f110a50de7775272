//! Which children are known, by which pids; and those that were [given up](super::given_up).

use tokio::time::Instant;

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::call::reply::Reply;
use crate::exit::reason::{ExitReason, Result};
use crate::restart::window::Window;
use crate::runtime::errors::call_error::StartError;
use crate::server::ServerContext;
use crate::supervisor::dynamic::child::{Child, State, StopReply};
use crate::supervisor::dynamic::given_up::{GivenUp, KEPT};
use crate::supervisor::dynamic::server::DynamicServer;
use crate::supervisor::incarnation::{NotStarted, StartOutcome};
use crate::supervisor::info::ChildError;

impl DynamicServer {
    /// The child stays known, and is not started again.
    pub(super) fn give_up(&mut self, pid: Pid, until: Instant, last: ExitReason) {
        let number = self.next_number();
        let Some(child) = self.children.get_mut(&pid) else { return };
        child.state = State::GivenUp(Box::new(GivenUp { until, number, last }));
        if let Some(name) = child.name() {
            self.index.by_name.insert(name, pid);
        }
        self.index.by_age.insert(number, pid);
        if self.index.by_age.len() > KEPT
            && let Some((_, oldest)) = self.index.by_age.first_key_value()
        {
            self.forget(*oldest);
        }
    }

    /// How many were given up.
    pub(super) fn given_up_count(&self) -> usize {
        self.index.by_age.len()
    }

    /// Whether a child may be started under this name, as far as the one before it goes.
    pub(super) fn check_given_up(&self, name: &SharedStr) -> Result<(), StartError> {
        let Some(pid) = self.index.by_name.get(name) else { return Ok(()) };
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
        let Some(&pid) = self.index.by_name.get(&name) else { return };
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

    /// The last pid of the child that goes by this one: the same, or the one that its start
    /// returned.
    pub(super) fn last_pid(&self, pid: Pid) -> Pid {
        self.index.last_pids.get(&pid).copied().unwrap_or(pid)
    }

    /// A child that goes by this pid from now on.
    pub(super) fn insert(&mut self, pid: Pid, child: Child) {
        if child.first_pid != pid {
            self.index.last_pids.insert(child.first_pid, pid);
        }
        self.children.insert(pid, child);
    }

    /// Takes a child out of the table and all indexes.
    pub(super) fn take(&mut self, pid: Pid) -> Option<Child> {
        let child = self.children.remove(&pid)?;
        self.index.last_pids.remove(&child.first_pid);
        if let State::GivenUp(given_up) = &child.state {
            self.index.by_age.remove(&given_up.number);
            // Another of the same name may have been given up since.
            if let Some(name) = child.name()
                && self.index.by_name.get(&name) == Some(&pid)
            {
                self.index.by_name.remove(&name);
            }
        }
        Some(child)
    }

    pub(super) fn terminate_child(
        &mut self,
        requested: Pid,
        reply: Reply<Result<(), ChildError>>,
        ctx: &mut ServerContext<Self>,
    ) {
        let pid = self.last_pid(requested);
        let answer = StopReply { requested, reply };
        match self.children.get_mut(&pid).map(|child| &mut child.state) {
            None | Some(State::Starting) => {
                answer.reply.send(Err(ChildError::NotFound(requested.to_string())))
            }
            Some(State::Running(_)) => self.begin_stop(pid, vec![answer], ctx),
            Some(State::Stopping(stopping)) => stopping.replies.push(answer),
            Some(State::Cancelled(cancelled)) => cancelled.replies.push(answer),
            Some(State::Restarting { ticket, .. })
                if self.restart_cancellations.contains_key(ticket) =>
            {
                self.cancel_restart(pid, answer);
            }
            Some(State::Restarting { .. } | State::GivenUp(_)) => {
                self.forget(pid);
                answer.reply.send(Ok(()));
            }
        }
    }
}
