//! The contexts of a machine's callbacks. What a callback requests is recorded, and done when the
//! callback has returned.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::SharedStr;
use crate::machine::event::Queued;
use crate::machine::event_order::Engine;
use crate::machine::timeouts::{Action, Kind, When};
use crate::machine::{Event, Machine, StateMachine};
use crate::server::ServerContext;

/// The context of [`state_enter`](StateMachine::state_enter). It sets and cancels the time-outs of
/// a [`StateMachine`]. It derefs to [`ServerContext`], and so has all methods of a server's
/// context. OTP: the actions of a state enter call.
///
/// The machine carries out the requests for time-outs after the callback has returned, in the order
/// of the requests. So a state time-out that a callback sets while it changes the state belongs to
/// the new state. Setting a time-out again replaces it, so a time-out has at most one pending
/// event. OTP carries out only the last action for a time-out: there a time-out that is set and
/// then updated by one callback is not set, and the update fires at once.
///
/// | | is cancelled by |
/// |---|---|
/// | [state time-out](Self::state_timeout) | a change of state |
/// | [event time-out](Self::event_timeout) | any event |
/// | [named time-out](Self::timeout) | nothing but a request |
///
/// A time-out of zero comes after all events that are queued in the machine, such as postponed ones
/// that are handled again, and before everything in the mailbox. Any other time-out is queued in
/// the mailbox when it expires. Setting a time-out to [`Duration::MAX`] cancels it. Time-outs use
/// tokio's clock, with a resolution of one millisecond, and keep running while the machine is
/// [suspended](crate::ServerRef::suspend).
///
/// ```
/// use std::time::Duration;
/// use regrow::{EnterContext, Event, MachineContext, Next, Reply, Result, Runtime, StateMachine};
///
/// #[derive(Debug, Clone, Copy, PartialEq)]
/// enum State {
///     Idle,
///     Busy,
/// }
///
/// struct Job;
///
/// impl StateMachine for Job {
///     type Args = ();
///     type State = State;
///     type Call = Reply<State>;
///     type Cast = ();
///     type Payload = &'static str;
///
///     async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(State, Self)> {
///         Ok((State::Idle, Job))
///     }
///     async fn state_enter(
///         &mut self,
///         _: Option<&State>,
///         state: &State,
///         ctx: &mut EnterContext<'_, Self>,
///     ) -> Result {
///         if *state == State::Busy {
///             ctx.state_timeout(Duration::from_secs(30), "too slow");
///         }
///         Ok(())
///     }
///     async fn handle_event(
///         &mut self,
///         state: &State,
///         event: Event<Self>,
///         _: &mut MachineContext<'_, Self>,
///     ) -> Result<Next<State>> {
///         match event {
///             Event::Call(reply) => {
///                 reply.send(*state);
///                 Ok(Next::Keep)
///             }
///             Event::Cast(()) => Ok(Next::State(State::Busy)),
///             Event::StateTimeout("too slow") => Ok(Next::State(State::Idle)),
///             event => event.unhandled(state),
///         }
///     }
///     fn state_name(state: &State) -> &'static str {
///         match state {
///             State::Idle => "idle",
///             State::Busy => "busy",
///         }
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let job = Job::start(&Runtime::new(), ()).await?;
/// job.cast(());
/// assert_eq!(job.call(|reply| reply).await?, State::Busy);
/// tokio::time::sleep(Duration::from_secs(31)).await;
/// assert_eq!(job.call(|reply| reply).await?, State::Idle);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct EnterContext<'a, M: StateMachine> {
    pub(super) engine: &'a mut Engine<M>,
    pub(super) server: &'a mut ServerContext<Machine<M>>,
}

/// The context of [`handle_event`](StateMachine::handle_event) and [`init`](StateMachine::init): it can
/// queue and postpone events, and derefs to [`EnterContext`], which has the time-outs, and so to
/// [`ServerContext`]. OTP: the actions of a `gen_statem`.
pub struct MachineContext<'a, M: StateMachine>(pub(super) EnterContext<'a, M>);

impl<'a, M: StateMachine> EnterContext<'a, M> {
    pub(super) fn new(
        engine: &'a mut Engine<M>,
        server: &'a mut ServerContext<Machine<M>>,
    ) -> Self {
        EnterContext { engine, server }
    }

    /// Sets the state time-out: if the machine is in this state for `after`, it gets
    /// [`Event::StateTimeout`] with this payload. If the callback changes the state, "this state" is the
    /// new one. A change of state cancels the time-out. [`EnterContext`] has an example. OTP:
    /// `{state_timeout, Time, Content}`.
    pub fn state_timeout(&mut self, after: Duration, payload: M::Payload) {
        self.set(Kind::State, When::After(after), payload);
    }

    /// Sets the state time-out to fire at the moment `at`. If `at` is in the past, the time-out
    /// fires as soon as the machine reads its mailbox. OTP: `{state_timeout, Time, Content, [{abs,
    /// true}]}`.
    pub fn state_timeout_at(&mut self, at: Instant, payload: M::Payload) {
        self.set(Kind::State, When::At(at), payload);
    }

    /// Cancels the state time-out. Does nothing if none is set. OTP: `{state_timeout, cancel}`.
    pub fn cancel_state_timeout(&mut self) {
        self.request(Kind::State, Action::Cancel);
    }

    /// Gives the state time-out another payload, and does not change when it fires. If no state
    /// time-out is set, sets one of zero with this payload. OTP: `{state_timeout, update,
    /// Content}`.
    pub fn update_state_timeout(&mut self, payload: M::Payload) {
        self.update(Kind::State, payload);
    }

    /// Sets the event time-out: if no event comes for `after`, the machine gets
    /// [`Event::EventTimeout`] with this payload. Every event cancels the time-out, including an
    /// inserted event, a postponed event that is handled again, and the event of another time-out.
    /// A time-out of zero fires only if no event is queued in the machine. To get an event when no
    /// message has arrived for some time, use [`idle_after`](ServerContext::idle_after). OTP:
    /// `{timeout, Time, Content}`.
    pub fn event_timeout(&mut self, after: Duration, payload: M::Payload) {
        self.set(Kind::Event, When::After(after), payload);
    }

    /// Sets the event time-out at a moment. OTP: `{timeout, Time, Content, [{abs, true}]}`.
    pub fn event_timeout_at(&mut self, at: Instant, payload: M::Payload) {
        self.set(Kind::Event, When::At(at), payload);
    }

    /// Sets the time-out with this name: after this time the machine gets [`Event::Timeout`] with the
    /// name and this payload, in whatever state it then is. Any number of names can run at once. Setting
    /// a name again replaces its time-out. OTP: `{{timeout, Name}, Time, Content}`.
    pub fn timeout(&mut self, name: impl Into<SharedStr>, after: Duration, payload: M::Payload) {
        self.set(Kind::Named(name.into()), When::After(after), payload);
    }

    /// Sets the time-out with this name at a moment. OTP: `{{timeout, Name}, Time, Content, [{abs,
    /// true}]}`.
    pub fn timeout_at(&mut self, name: impl Into<SharedStr>, at: Instant, payload: M::Payload) {
        self.set(Kind::Named(name.into()), When::At(at), payload);
    }

    /// Cancels the time-out with this name. Does nothing if none is set. OTP: `{{timeout, Name},
    /// cancel}`.
    pub fn cancel_timeout(&mut self, name: impl Into<SharedStr>) {
        self.request(Kind::Named(name.into()), Action::Cancel);
    }

    /// Gives the time-out with this name another payload, and does not change when it fires. If no
    /// time-out with this name is set, sets one of zero with this payload. OTP: `{{timeout, Name},
    /// update, Content}`.
    pub fn update_timeout(&mut self, name: impl Into<SharedStr>, payload: M::Payload) {
        self.update(Kind::Named(name.into()), payload);
    }

    /// Returns the number of postponed events.
    pub fn postponed(&self) -> usize {
        self.engine.postponed()
    }

    fn set(&mut self, kind: Kind, when: When, payload: M::Payload) {
        let action = match when {
            When::After(Duration::MAX) => Action::Cancel,
            when => Action::Set(when, payload, self.server.process.kernel.captured_for_later()),
        };
        self.request(kind, action);
    }

    fn update(&mut self, kind: Kind, payload: M::Payload) {
        let metadata = self.server.process.kernel.captured_for_later();
        self.request(kind, Action::Update(payload, metadata));
    }

    fn request(&mut self, kind: Kind, action: Action<M::Payload>) {
        self.engine.requested.timeouts.push((kind, action));
    }
}

impl<'a, M: StateMachine> MachineContext<'a, M> {
    pub(super) fn new(
        engine: &'a mut Engine<M>,
        server: &'a mut ServerContext<Machine<M>>,
    ) -> Self {
        MachineContext(EnterContext::new(engine, server))
    }

    /// Inserts this event as the next one: the machine handles it before postponed events that are
    /// handled again, and before the mailbox. If a callback inserts several events, they are
    /// handled in the order of the requests, each in the state in which the machine then is. Any
    /// kind of event can be inserted; most are [`Event::Internal`]. Casts that the same callback
    /// gives to [`continue_with`](ServerContext::continue_with) are handled after the inserted
    /// events. OTP: `{next_event, Type, Content}`.
    pub fn next_event(&mut self, event: Event<M>) {
        let metadata = self.0.server.process.kernel.captured_for_later();
        self.0.engine.requested.events.push(Queued::new(event, metadata));
    }
}

impl<M: StateMachine> Deref for EnterContext<'_, M> {
    type Target = ServerContext<Machine<M>>;

    fn deref(&self) -> &ServerContext<Machine<M>> {
        self.server
    }
}

impl<M: StateMachine> DerefMut for EnterContext<'_, M> {
    fn deref_mut(&mut self) -> &mut ServerContext<Machine<M>> {
        self.server
    }
}

impl<'a, M: StateMachine> Deref for MachineContext<'a, M> {
    type Target = EnterContext<'a, M>;

    fn deref(&self) -> &EnterContext<'a, M> {
        &self.0
    }
}

impl<'a, M: StateMachine> DerefMut for MachineContext<'a, M> {
    fn deref_mut(&mut self) -> &mut EnterContext<'a, M> {
        &mut self.0
    }
}

impl<M: StateMachine> fmt::Debug for EnterContext<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnterContext({})", self.server.pid())
    }
}

impl<M: StateMachine> fmt::Debug for MachineContext<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MachineContext({})", self.0.server.pid())
    }
}
