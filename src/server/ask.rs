//! Asking: a question is queued, or waits for room where the mailbox lets it.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::acting;
use crate::call::{Deadline, Within};
use crate::call_error::CallError;
use crate::pid::Pid;
use crate::place::Place;
use crate::process::{AnyProcess, IfFull};
use crate::record::{Process, Sent};
use crate::reply::{Answer, Reply};
use crate::server::GenServer;
use crate::server::item::Work;
use crate::waits::WaitEdge;

/// A question that was asked.
pub(crate) struct Asked<S: GenServer, T> {
    answer: oneshot::Receiver<Answer<T>>,
    caller: Pid,
    /// It waits for room.
    place: Option<Place<Work<S>>>,
}

/// Asks the question. It is queued, or waits for room where the mailbox lets it.
pub(crate) fn ask<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<Work<S>>>,
    make: impl FnOnce(Reply<T>) -> S::Call,
) -> Result<Asked<S, T>, CallError> {
    let caller = refuse_self(process)?;
    let (reply, answer) = Reply::new(process.clone());
    match process.send_or(Work::Call(make(reply)), IfFull::WaitOrLose) {
        Ok(Sent::Taken) => Ok(Asked { answer, caller, place: None }),
        Ok(Sent::InLine(number)) => {
            let place = Some(Place::new(process.clone(), number));
            Ok(Asked { answer, caller, place })
        }
        Err((refused, why)) => {
            // Nobody listens when the refused question's reply is dropped.
            drop(answer);
            drop(refused);
            Err(why.into())
        }
    }
}

impl<S: GenServer, T> Asked<S, T> {
    /// Where the answer will be, and who asked: as soon as the question is queued. One that
    /// still waits for room when the time is up is taken back, and so is one whose server
    /// ends: it was not handled.
    pub(crate) async fn queued(
        self,
        due: Option<Instant>,
    ) -> Result<(oneshot::Receiver<Answer<T>>, Pid), CallError> {
        let Asked { answer, caller, place } = self;
        if let Some(place) = place
            && let Err((question, error)) = Box::pin(wait_for_room(place, caller, due)).await
        {
            drop(answer);
            drop(question);
            return Err(error);
        }
        Ok((answer, caller))
    }
}

async fn wait_for_room<S: GenServer>(
    mut place: Place<Work<S>>,
    caller: Pid,
    due: Option<Instant>,
) -> Result<(), (Work<S>, CallError)> {
    let process = place.process().clone();
    let spread = caller.raw() ^ process.pid().raw();
    let deadline = due.map(|due| Deadline::new(due, &process.kernel, spread));
    match (Within { future: &mut place, deadline }).await {
        Some(let_in) => let_in.map_err(|question| (question, CallError::NoProc)),
        None => match place.give_up() {
            Some(question) => Err((question, CallError::Overloaded)),
            // It was let in at the last moment.
            None => Ok(()),
        },
    }
}

/// Who asks; no server may ask itself.
pub(crate) fn refuse_self<S: GenServer>(process: &Process<Work<S>>) -> Result<Pid, CallError> {
    let caller = acting::acting(process.kernel.number());
    if caller == process.pid() { Err(CallError::CallingSelf) } else { Ok(caller) }
}

/// Notes who waits for whom, where the runtime detects deadlocks.
pub(crate) fn wait_edge<S: GenServer>(
    process: &Process<Work<S>>,
) -> Result<Option<WaitEdge<'_>>, CallError> {
    let caller = refuse_self(process)?;
    let edge = process.kernel.waits.enter(caller, process.pid());
    edge.map_err(|cycle| CallError::Deadlock { cycle })
}
