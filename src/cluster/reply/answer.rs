//! The answer of a call from another node: the caller's side of the slot, polled by the code that
//! resolves the call.
//!
//! ```text
//!   Unarmed ── arm ──▶ Idle ── a wake, or arm ──▶ Polled ── ready ──▶ Done
//!                       ▲                            │
//!                       └───────── pending ──────────┘  (again, if a wake came meanwhile)
//! ```
//!
//! Each state becomes `Done` when the caller has gone: its monitor is removed, it was notified of the
//! end of the server, or the connection is lost. From then on the reply is awaited no longer.
//!
//! The slot owns the waker, which owns this value, which owns the slot: the answer, or the drop of the
//! reply, takes the waker out of the slot.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use serde::ser::Serialize;

use crate::base::{Pid, PlainMutex, ignore_panic};
use crate::call::{Answer, AwaitedReply, Lost, Reply, ReplySlot, TakenOver};
use crate::cluster::remote::relations::AwaitedCall;
use crate::cluster::reply::address::ReturnAddress;
use crate::cluster::reply::refusal::Refusal;
use crate::process::AnyProcess;

/// The answer of a call, of whatever type.
pub(crate) trait Claimed: Send + Sync {
    /// Whether the reply still exists, or was answered already.
    fn is_held(&self) -> bool;

    /// Returns the slot, for a successor of the server that takes the call over.
    fn for_successor(&self) -> Option<Weak<dyn TakenOver>>;

    /// Sets where the answer goes. The call has been sent to this server.
    fn arm(self: Arc<Self>, server: Arc<dyn AnyProcess>, caller: ReturnAddress);
}

/// The answer of type `T` of one call.
pub(super) struct PendingAnswer<T> {
    state: PlainMutex<State<T>>,
}

enum State<T> {
    Unarmed(AwaitedReply<T>),
    Idle(AwaitedReply<T>, Armed),
    Polled { was_woken: bool },
    Done,
}

/// The server that the call was sent to, and the caller.
struct Armed {
    server: Arc<dyn AnyProcess>,
    caller: ReturnAddress,
}

impl<T: Serialize + Send + 'static> PendingAnswer<T> {
    /// Makes the reply and the answer of a call to the server whose record has this address.
    pub(super) fn new(server: usize, caller: Pid) -> (Reply<T>, Arc<Self>) {
        let answer = Arc::new(PendingAnswer { state: PlainMutex::new(State::Done) });
        let (slot, awaited) = ReplySlot::new(caller, Waker::from(answer.clone()));
        *answer.state.lock() = State::Unarmed(awaited.later());
        (Reply::of_slot(slot, server), answer)
    }

    /// Looks for the answer, unless another thread does.
    fn poll(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let (mut awaited, armed) = match std::mem::replace(&mut *state, State::Done) {
            State::Idle(awaited, armed) => (awaited, armed),
            State::Polled { .. } => {
                *state = State::Polled { was_woken: true };
                return;
            }
            other => {
                *state = other;
                return;
            }
        };
        *state = State::Polled { was_woken: false };
        drop(state);
        let waker = Waker::from(self.clone());
        loop {
            let answer = awaited.poll(&mut Context::from_waker(&waker), &*armed.server);
            let mut state = self.state.lock();
            let State::Polled { was_woken } = *state else {
                // The caller has gone meanwhile. The answer is dropped after unlock.
                drop(state);
                return ignore_panic(|| drop((answer, awaited)));
            };
            match answer {
                Poll::Ready(answer) => {
                    *state = State::Done;
                    drop(state);
                    return send(answer, &armed.caller);
                }
                Poll::Pending if was_woken => *state = State::Polled { was_woken: false },
                Poll::Pending => {
                    *state = State::Idle(awaited, armed);
                    return;
                }
            }
        }
    }
}

/// Sends an answer to the caller, or the reason why there is none.
fn send<T: Serialize>(answer: Answer<T>, caller: &ReturnAddress) {
    match answer {
        Ok(value) => caller.answer(&value),
        Err(Lost::Overloaded) => caller.refuse(&Refusal::Overloaded),
        // The monitor of the caller has the reason.
        Err(Lost::Exited(_)) => {}
        Err(Lost::NoReply | Lost::Pending(_) | Lost::HandedOn(_)) => {
            caller.refuse(&Refusal::NoReply);
        }
    }
}

impl<T: Serialize + Send + 'static> Wake for PendingAnswer<T> {
    fn wake(self: Arc<Self>) {
        self.poll();
    }
}

impl<T: Serialize + Send + 'static> AwaitedCall for PendingAnswer<T> {
    fn caller_left(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Done);
        // An answer is dropped after unlock: it may run a destructor of the user.
        ignore_panic(|| drop(before));
    }
}

impl<T: Serialize + Send + 'static> Claimed for PendingAnswer<T> {
    fn is_held(&self) -> bool {
        match &*self.state.lock() {
            State::Unarmed(awaited) => awaited.is_due()(),
            _ => true,
        }
    }

    fn for_successor(&self) -> Option<Weak<dyn TakenOver>> {
        match &*self.state.lock() {
            State::Unarmed(awaited) => awaited.for_successor(),
            _ => None,
        }
    }

    fn arm(self: Arc<Self>, server: Arc<dyn AnyProcess>, caller: ReturnAddress) {
        // If the caller goes from here on, the state becomes `Done`, and is not armed.
        let own = Arc::downgrade(&self);
        if !caller.note_call(own) {
            return self.caller_left();
        }
        let mut state = self.state.lock();
        if let State::Unarmed(awaited) = std::mem::replace(&mut *state, State::Done) {
            *state = State::Idle(awaited, Armed { server, caller });
        }
        drop(state);
        self.poll();
    }
}
