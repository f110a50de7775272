//! [`StateMachine`]: a server whose reaction to an event depends on its state. `adapter` is the server,
//! `event_order` decides which event is handled next, `event_queue` has the postponed events,
//! `timeouts` the time-outs.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `observe`, `process`, `mailbox`, `call`, `runtime`,
//! `child`, `server`.
//! **Knows nothing of** how an event is received, tracked and counted: `server` does that for each
//! event, whether it was queued in the mailbox or in the machine.

use std::future::{Future, ready};

use crate::child::{ChildSpec, OnceChild};
use crate::exit::{ExitReason, Result};
use crate::runtime::{Name, Runtime, StartError};
use crate::server::{GenServer, ServerRef, ServerSpec, short_name};

mod next;
mod declared_transition;
mod event;
mod timeouts;
mod requested;
mod event_queue;
mod changes;
mod event_order;
mod context;
mod postpone;
mod adapter;

pub(crate) use changes::Seen;
pub use context::{EnterContext, MachineContext};
pub use declared_transition::Transition;
pub use event::{Event, UnhandledEvent};
use event_order::Engine;
pub use next::Next;

/// The server of a [`StateMachine`]. The handles, names and specifications of a machine `M` have
/// the type parameter `Machine<M>`, as in `ServerRef<Machine<Door>>` and `Name<Machine<Door>>`.
///
/// [`peek`](crate::ServerRef::peek) and [`update`](crate::ServerRef::update) pass the `Machine` to
/// their closure.
pub struct Machine<M: StateMachine> {
    data: M,
    state: M::State,
    engine: Engine<M>,
}

/// A handle to a [`StateMachine`]: the handle of its server, whose calls and casts are the machine's.
pub type MachineRef<M> = ServerRef<Machine<M>>;

/// A server whose reaction to an event depends on its state: a connection, a device, an order. OTP:
/// `gen_statem`, with the callback mode `[handle_event_function, state_enter]`.
///
/// The value that implements the trait is the *data*, which all states share. The *state* is a type of
/// its own, usually an enum. [`handle_event`](Self::handle_event) gets both, and returns the next
/// state. In return for the split, the machine has what a server would have to do by hand in each
/// handler:
///
/// * events that come too early are [postponed](MachineContext::postpone), replies and all, until the
///   state changes;
/// * time-outs that belong to a state [end with it](EnterContext::state_timeout);
/// * what each entry of a state has to do is [in one place](Self::state_enter).
///
/// # Examples
///
/// A door with a code lock. A call that must wait until the door is open is postponed:
///
/// ```
/// use std::time::Duration;
/// use regrow::{Event, MachineContext, Next, Reply, Result, Runtime, StateMachine};
///
/// struct Door {
///     code: Vec<u8>,
///     entered: Vec<u8>,
/// }
///
/// #[derive(PartialEq)]
/// enum State {
///     Locked,
///     Open,
/// }
///
/// enum Cast {
///     Button(u8),
/// }
///
/// /// Answered when the door is open.
/// type Enter = Reply<&'static str>;
///
/// impl StateMachine for Door {
///     type Args = Vec<u8>;
///     type State = State;
///     type Call = Enter;
///     type Cast = Cast;
///     type Payload = ();
///
///     async fn init(code: Vec<u8>, _: &mut MachineContext<'_, Self>) -> Result<(State, Self)> {
///         Ok((State::Locked, Door { code, entered: Vec::new() }))
///     }
///
///     async fn handle_event(
///         &mut self,
///         state: &State,
///         event: Event<Self>,
///         ctx: &mut MachineContext<'_, Self>,
///     ) -> Result<Next<State>> {
///         match (state, event) {
///             (State::Locked, Event::Cast(Cast::Button(digit))) => {
///                 self.entered.push(digit);
///                 if !self.entered.ends_with(&self.code) {
///                     return Ok(Next::Keep);
///                 }
///                 self.entered.clear();
///                 ctx.state_timeout(Duration::from_secs(10), ());
///                 Ok(Next::State(State::Open))
///             }
///             (State::Open, Event::StateTimeout(())) => Ok(Next::State(State::Locked)),
///             (State::Open, Event::Call(reply)) => {
///                 reply.send("come in");
///                 Ok(Next::Keep)
///             }
///             (State::Locked, event @ Event::Call(_)) => Ok(ctx.postpone(event)),
///             _ => Ok(Next::Keep), // a button of an open door, a stray message
///         }
///     }
///
///     fn state_name(state: &State) -> &'static str {
///         match state {
///             State::Locked => "locked",
///             State::Open => "open",
///         }
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let door = Door::start(&rt, vec![1, 2]).await?;
/// let enter = door.call(|reply| reply);
/// let press = async {
///     door.cast(Cast::Button(1));
///     door.cast(Cast::Button(2));
/// };
/// assert_eq!(tokio::join!(enter, press).0?, "come in");
///
/// assert_eq!(door.get_status().await?.line.as_deref(), Some("open"));
/// tokio::time::sleep(Duration::from_secs(11)).await;
/// assert_eq!(door.get_status().await?.line.as_deref(), Some("locked"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
///
/// # The order of events
///
/// After each event the machine does, in this order:
///
/// 1. It runs [`state_enter`](Self::state_enter), if the state has changed or is
///    [repeated](Next::Repeat).
/// 2. It keeps the event, if the event was [postponed](MachineContext::postpone).
/// 3. If the state has changed, it queues the postponed events before all others, oldest first, and
///    cancels the state time-out.
/// 4. It queues the [inserted events](MachineContext::next_event) before all others.
/// 5. It sets, updates and cancels time-outs. A [time-out of zero](EnterContext) follows all queued
///    events.
/// 6. It handles the first queued event. If there is none, it reads the mailbox.
///
/// A [change of state](Next::State) is a state that differs from the old one by `PartialEq`, so the
/// data of a variant counts. Put data that must not cause a change of state into the value that
/// implements the trait, or leave it out of `PartialEq`.
///
/// # A machine is a server
///
/// Its process is a [`GenServer`], with the type [`Machine`]. Handles, names, calls and their
/// deadlines, supervision, suspending, tracking and tracing are those of a server. Each event that
/// is handled again is tracked as an event of its own. A request to
/// [suspend](crate::ServerRef::suspend) or to inspect the machine does not wait for all of the
/// machine's own events: if the request is the first item of the mailbox, it is answered after at
/// most 32 of them. A request to stop is handled in its turn, as for a server: after the events
/// that were queued before it. It does not wait for postponed events that no change of state has
/// queued again.
///
/// How a machine ends, and what happens to its callers, is
/// [said for servers](GenServer#how-a-server-ends). The callers of postponed calls get
/// [`Exited`](crate::CallError::Exited).
///
/// A machine whose child [resumes](crate::FailurePolicy::Resume) after a failed callback goes on
/// with its queued and postponed events. What the callbacks of the failed event have requested is
/// dropped: time-outs, inserted events, and a postponed call, whose caller gets
/// [`NoReply`](crate::CallError::NoReply). If `state_enter` has failed after a change, the machine
/// stays in the new state, and finishes the change with steps 3 and 6. If the entry of the first
/// state has failed, what `init` has requested is kept.
///
/// # Tests
///
/// Most tests start the machine, with tokio's paused clock. A
/// [`TestContext<Machine<M>>`](crate::testing::TestContext) runs one event after the other instead:
/// [`handle_next`](crate::testing::TestContext::handle_next) first runs the entry of the first state, and
/// then each event in the order above. If the test calls `handle_call` or `handle_cast` directly, an event
/// that is the machine's next one stays the next one.
///
/// # Cancel safety
///
/// As [for a server](GenServer#cancel-safety): no callback is dropped, unless the machine is killed or
/// ended by an exit signal that it does not trap.
///
/// # When not to use it
///
/// If every state handles every event in the same way, or there are two states and no time-out, a
/// [`GenServer`] with a field is shorter. If each state awaits one thing after another, a
/// [task](crate::ChildSpec::task) with a plain `async fn` is a state machine already: the compiler
/// makes it. To only wait until a server is ready, keep the [`Reply`](crate::Reply).
pub trait StateMachine: Sized + Send + 'static {
    /// The arguments of `init`. For [`child`](Self::child) the arguments must be `Clone`.
    type Args: Send + 'static;

    /// The state: usually an enum, whose variants may have data. `PartialEq` decides what is a
    /// [change](Next::State).
    type State: PartialEq + Send + Sync + 'static;

    /// The calls: as those of a [server](GenServer::Call).
    type Call: Send + 'static;

    /// The casts: as those of a [server](GenServer::Cast).
    type Cast: Send + 'static;

    /// What the events carry that the machine gives to itself: its time-outs, and its internal events.
    /// `()` if they carry nothing.
    type Payload: Send + 'static;

    /// How many events may be postponed at once. By default (`None`) as many as the mailbox holds:
    /// its [capacity](crate::ServerSpec::mailbox_capacity), or any number if the mailbox has no bound.
    /// [`postpone`](MachineContext::postpone) says what happens to further events. OTP has no limit.
    ///
    /// Postponed events do not count towards the bound of the mailbox. So the event that ends the
    /// wait is accepted, however many events are postponed.
    const MAX_POSTPONED: Option<usize> = None;

    /// The transitions of this machine, for its [diagram](Transition::diagram) and for a
    /// [test](crate::testing::TransitionCheck) that compares them with what the machine does. The
    /// machine itself does not need them. By default there are none.
    const TRANSITIONS: &'static [Transition] = &[];

    /// Creates the first state and the data. What is requested of the context is done after the entry
    /// of the first state. The caller of the start waits for `init`. OTP: `init/1`. [`StateMachine`]
    /// has an example.
    ///
    /// # Errors
    ///
    /// As those of a [server's `init`](GenServer::init).
    ///
    /// # Cancel safety
    ///
    /// As for [a server's](GenServer::init).
    fn init(
        args: Self::Args,
        ctx: &mut MachineContext<'_, Self>,
    ) -> impl Future<Output = Result<(Self::State, Self)>> + Send;

    /// Handles an event in this state, and returns the next state. OTP: `handle_event/4`.
    /// [`StateMachine`] has an example.
    ///
    /// To answer callers and then end, send the replies and return
    /// [`ctx.stop(reason)`](crate::ServerContext::stop); OTP: `stop_and_reply`.
    ///
    /// # Errors
    ///
    /// `Err(reason)`, `?` on any error, and a panic end the machine, unless its child
    /// [resumes](Self#a-machine-is-a-server). The state is then that in which
    /// the event was handled.
    ///
    /// # Cancel safety
    ///
    /// As for [every callback](Self#cancel-safety).
    fn handle_event(
        &mut self,
        state: &Self::State,
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> impl Future<Output = Result<Next<Self::State>>> + Send;

    /// Runs when the machine enters a state: the first state, after `init` and before any event;
    /// the new state, after each change; and the same state again, after [`Next::Repeat`]. `old` is
    /// `None` at the start, and equal to `state` if the state is repeated. This callback can set
    /// time-outs, answer calls, and give a cast to
    /// [`continue_with`](crate::ServerContext::continue_with); the machine handles this cast next.
    /// The callback cannot change the state, insert other events, or postpone an event. By default
    /// it does nothing. OTP: `state_enter`, whose first old state is the state itself.
    /// [`EnterContext`] has an example.
    ///
    /// # Errors
    ///
    /// As those of [`handle_event`](Self::handle_event). The state is the new one. The entry of the first
    /// state runs after the start has returned, so an error there is a crash, and no failed start.
    ///
    /// # Cancel safety
    ///
    /// As for [every callback](Self#cancel-safety).
    fn state_enter(
        &mut self,
        old: Option<&Self::State>,
        state: &Self::State,
        ctx: &mut EnterContext<'_, Self>,
    ) -> impl Future<Output = Result> + Send {
        let _ = (old, state, ctx);
        ready(Ok(()))
    }

    /// Cleans up before the machine ends, as [a server's `terminate`](GenServer::terminate). After a
    /// panic the data is as the handler left it. OTP: `terminate/3`.
    ///
    /// # Cancel safety
    ///
    /// As for [every callback](Self#cancel-safety).
    fn terminate(
        &mut self,
        state: &Self::State,
        reason: &ExitReason,
    ) -> impl Future<Output = ()> + Send {
        let _ = (state, reason);
        ready(())
    }

    /// Returns the name of a state, for the log, [trees](crate::TreeNode::machine), crash reports and
    /// diagrams: the variant, without its data. This is all that is shown of a state.
    fn state_name(state: &Self::State) -> &'static str;

    /// Returns the name of an event, for the same purposes. By default it is its
    /// [kind](Event::kind). It runs before each event is handled, so it should only `match`.
    #[inline]
    fn event_name(event: &Event<Self>) -> &'static str {
        event.kind()
    }

    /// Returns a line that [`get_status`](crate::ServerRef::get_status) shows after the name of the
    /// state. It must contain nothing secret. By default `None`. As
    /// [`GenServer::format_status`].
    fn format_status(&self, state: &Self::State) -> Option<String> {
        let _ = state;
        None
    }

    /// Starts a machine, linked to no process: as [`GenServer::start`], with the same errors, panics and
    /// cancel safety. [`StateMachine`] has an example.
    fn start(
        runtime: &Runtime,
        args: Self::Args,
    ) -> impl Future<Output = Result<MachineRef<Self>, StartError>> + Send {
        Machine::<Self>::start(runtime, args)
    }

    /// Starts a machine under a name: as [`GenServer::start_named`], with the same errors, panics and
    /// cancel safety.
    fn start_named(
        runtime: &Runtime,
        name: Name<Machine<Self>>,
        args: Self::Args,
    ) -> impl Future<Output = Result<MachineRef<Self>, StartError>> + Send {
        Machine::<Self>::start_named(runtime, name, args)
    }

    /// Returns a description of this machine, to which a name or a time limit can be added: as
    /// [`GenServer::spec`].
    fn spec(args: Self::Args) -> ServerSpec<Machine<Self>> {
        Machine::<Self>::spec(args)
    }

    /// Returns the specification of this machine as a child of a supervisor: as [`GenServer::child`].
    /// The child's id is the name of the type that implements this trait.
    ///
    /// ```
    /// # use regrow::{Event, MachineContext, Next, Reply, Result, Runtime, StateMachine};
    /// use regrow::{Machine, Name, Supervisor};
    ///
    /// # struct Valve;
    /// # impl StateMachine for Valve {
    /// #     type Args = bool;
    /// #     type State = bool;
    /// #     type Call = Reply<bool>;
    /// #     type Cast = bool;
    /// #     type Payload = ();
    /// #     async fn init(open: bool, _: &mut MachineContext<'_, Self>) -> Result<(bool, Self)> {
    /// #         Ok((open, Valve))
    /// #     }
    /// #     async fn handle_event(
    /// #         &mut self, open: &bool, event: Event<Self>, _: &mut MachineContext<'_, Self>,
    /// #     ) -> Result<Next<bool>> {
    /// #         match event {
    /// #             Event::Call(reply) => reply.send(*open),
    /// #             Event::Cast(open) => return Ok(Next::State(open)),
    /// #             _ => {}
    /// #         }
    /// #         Ok(Next::Keep)
    /// #     }
    /// #     fn state_name(open: &bool) -> &'static str { if *open { "open" } else { "closed" } }
    /// # }
    /// const VALVE: Name<Machine<Valve>> = Name::new("valve");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let child = Valve::child(false);
    /// assert_eq!(child.id(), "Valve");
    /// let tree = Supervisor::one_for_one().named("plant").child(child.named(VALVE)).start(&rt).await?;
    /// let valve = rt.server(VALVE);
    /// valve.cast(true);
    /// assert!(valve.call(|reply| reply).await?);
    ///
    /// let tree = tree.tree().await?; // it shows the state
    /// assert!(tree.to_string().contains("up 0s  in open"), "{tree}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    fn child(args: Self::Args) -> ChildSpec
    where
        Self::Args: Clone + Sync,
    {
        Machine::<Self>::child(args).with_id(short_name::<Self>().to_string())
    }

    /// Returns the specification of this machine as a child, with fresh arguments for each start: as
    /// [`GenServer::child_with`].
    fn child_with(args: impl Fn() -> Self::Args + Send + Sync + 'static) -> ChildSpec {
        Machine::<Self>::child_with(args).with_id(short_name::<Self>().to_string())
    }

    /// Returns this machine as a child that is started once, with these arguments: as
    /// [`GenServer::child_once`].
    fn child_once(args: Self::Args) -> OnceChild<Self::Args> {
        Machine::<Self>::child_once(args).with_id(short_name::<Self>().to_string())
    }
}
