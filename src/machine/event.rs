//! What a machine handles.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use crate::base::SharedStr;
use crate::exit::{ExitReason, Result};
use crate::machine::StateMachine;
use crate::mailbox::CallerWaits;
use crate::message::{MessageKind, Metadata, Received};
use crate::process::CallLimit;

/// An event of a [`StateMachine`], which has examples. `handle_event` owns the event: it answers a
/// call, drops an event that it ignores, and gives an event that it postpones to
/// [`postpone`](crate::MachineContext::postpone). OTP: the event types of `gen_statem`.
#[non_exhaustive]
pub enum Event<M: StateMachine> {
    /// A call of a client, with its [`Reply`](crate::Reply). OTP: `{call, From}`.
    Call(M::Call),
    /// A cast, of a client, a task or a timer of the server context. OTP: `cast`.
    Cast(M::Cast),
    /// A message, a signal or a byte stream. OTP: `info`.
    Info(Received),
    /// An event that the machine gave to itself with
    /// [`next_event`](crate::MachineContext::next_event). OTP: `internal`.
    Internal(M::Payload),
    /// The [state time-out](crate::EnterContext::state_timeout). OTP: `state_timeout`.
    StateTimeout(M::Payload),
    /// The [event time-out](crate::EnterContext::event_timeout). OTP: `timeout`.
    EventTimeout(M::Payload),
    /// The [time-out](crate::EnterContext::timeout) with this name. OTP: `{timeout, Name}`.
    Timeout(SharedStr, M::Payload),
    /// The [idle time-out](crate::ServerContext::idle_after) of the server context. Unlike an event
    /// time-out, it runs on over events that the machine gives to itself: inserted events, postponed
    /// events that are handled again, and time-outs.
    Idle,
}

impl<M: StateMachine> Event<M> {
    /// Returns what kind of event this is: `call`, `cast`, `info`, `internal`, `state_timeout`,
    /// `event_timeout`, `timeout` or `idle`.
    ///
    /// ```
    /// # use regrow::{Event, MachineContext, Next, Result, StateMachine};
    /// # struct Lamp;
    /// # impl StateMachine for Lamp {
    /// #     type Args = ();
    /// #     type State = ();
    /// #     type Call = ();
    /// #     type Cast = u8;
    /// #     type Payload = ();
    /// #     async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<((), Self)> {
    /// #         Ok(((), Lamp))
    /// #     }
    /// #     async fn handle_event(
    /// #         &mut self, (): &(), _: Event<Self>, _: &mut MachineContext<'_, Self>,
    /// #     ) -> Result<Next<()>> {
    /// #         Ok(Next::Keep)
    /// #     }
    /// #     fn state_name((): &()) -> &'static str { "on" }
    /// # }
    /// assert_eq!(Event::<Lamp>::Cast(7).kind(), "cast");
    /// ```
    pub fn kind(&self) -> &'static str {
        match self {
            Event::Call(_) => "call",
            Event::Cast(_) => "cast",
            Event::Info(_) => "info",
            Event::Internal(_) => "internal",
            Event::StateTimeout(_) => "state_timeout",
            Event::EventTimeout(_) => "event_timeout",
            Event::Timeout(..) => "timeout",
            Event::Idle => "idle",
        }
    }

    /// Ends the machine, because this state does not handle this event. The caller of a call gets
    /// [`Exited`](crate::CallError::Exited). OTP: the `function_clause` error of a state function
    /// without a clause for the event.
    ///
    /// # Errors
    ///
    /// Always: the reason is a crash with an [`UnhandledEvent`].
    ///
    /// ```
    /// # use regrow::{Event, MachineContext, Next, Result, Runtime, StateMachine};
    /// # struct Lamp;
    /// # impl StateMachine for Lamp {
    /// #     type Args = ();
    /// #     type State = ();
    /// #     type Call = ();
    /// #     type Cast = u8;
    /// #     type Payload = ();
    /// #     async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<((), Self)> {
    /// #         Ok(((), Lamp))
    /// #     }
    /// #     fn state_name((): &()) -> &'static str { "on" }
    /// async fn handle_event(
    ///     &mut self,
    ///     state: &(),
    ///     event: Event<Self>,
    ///     _: &mut MachineContext<'_, Self>,
    /// ) -> Result<Next<()>> {
    ///     match event {
    ///         Event::Cast(0..=100) => Ok(Next::Keep),
    ///         event => event.unhandled(state),
    ///     }
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let lamp = Lamp::start(&rt, ()).await?;
    /// let ended = lamp.ended();
    /// lamp.cast(101);
    /// assert_eq!(ended.await.to_string(), "error: the state `on` does not handle this event: cast");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    #[track_caller]
    pub fn unhandled<T>(self, state: &M::State) -> Result<T> {
        let (state, event) = (M::state_name(state), M::event_name(&self));
        Err(ExitReason::from(UnhandledEvent { state, event }))
    }

    /// The kind and the type of an event that was a message.
    pub(super) fn description(&self) -> Option<(MessageKind, &'static str)> {
        match self {
            Event::Call(_) => Some((MessageKind::Call, type_name::<M::Call>())),
            Event::Cast(_) => Some((MessageKind::Cast, type_name::<M::Cast>())),
            Event::Info(info) => info.description(),
            _ => None,
        }
    }
}

/// Shows the kind, without the user's values.
impl<M: StateMachine> fmt::Debug for Event<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// A state has received an event that it does not handle: [`Event::unhandled`], which has an example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state `{state}` does not handle this event: {event}")]
#[non_exhaustive]
pub struct UnhandledEvent {
    /// The name of the state.
    pub state: &'static str,
    /// The name of the event.
    pub event: &'static str,
}

/// An event that waits in the machine, with its metadata and, for a call, the limit of its caller.
pub(super) struct Queued<M: StateMachine> {
    pub(super) event: Event<M>,
    pub(super) metadata: Metadata,
    /// How long the caller of a call waits, while deadlines are propagated.
    pub(super) limit: Option<Arc<CallLimit>>,
    /// The caller of a call that [`postpone_awaited`](crate::MachineContext::postpone_awaited) has
    /// postponed.
    pub(super) caller: Option<CallerWaits>,
}

impl<M: StateMachine> Queued<M> {
    /// An event that is no postponed call.
    pub(super) fn new(event: Event<M>, metadata: Metadata) -> Self {
        Queued { event, metadata, limit: None, caller: None }
    }

    /// Whether the event is a call whose caller is known, and waits no longer.
    pub(super) fn is_given_up(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.strong_count() < 2)
    }
}
