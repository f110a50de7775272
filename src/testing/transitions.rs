//! Compares the transitions that a machine declares with those that it makes.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use crate::machine::{MachineRef, Seen, StateMachine, Transition};
use crate::runtime::CallError;

/// Collects the transitions that machines of one type make, and compares them with the
/// [`TRANSITIONS`](StateMachine::TRANSITIONS) that the type declares. So the diagram of a machine is
/// tested.
///
/// A transition is a change of state, a state that is [entered again](crate::Next::Repeat), the first
/// state, or an `Err` of the handler. Its event has the [name](StateMachine::event_name) that the
/// machine gives it.
///
/// # Examples
///
/// ```
/// use regrow::testing::TransitionCheck;
/// use regrow::{Event, MachineContext, Next, Result, Runtime, StateMachine, Transition};
///
/// struct Switch;
///
/// impl StateMachine for Switch {
/// #     type Args = ();
/// #     type State = bool;
/// #     type Call = ();
///     type Cast = bool;
/// #     type Payload = ();
/// #     async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(bool, Self)> {
/// #         Ok((false, Switch))
/// #     }
/// #     async fn handle_event(
/// #         &mut self, _: &bool, event: Event<Self>, _: &mut MachineContext<'_, Self>,
/// #     ) -> Result<Next<bool>> {
/// #         let Event::Cast(on) = event else { return Ok(Next::Keep) };
/// #         Ok(Next::State(on))
/// #     }
/// #     fn state_name(on: &bool) -> &'static str { if *on { "on" } else { "off" } }
///     // … its other methods: a cast turns it on or off.
///     const TRANSITIONS: &'static [Transition] = &[
///         Transition::initial("off"),
///         Transition::new("off", "cast", "on"),
///         Transition::new("off", "info", "on"),
///     ];
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let switch = Switch::start(&Runtime::new(), ()).await?;
/// let check = TransitionCheck::<Switch>::new();
/// check.watch(&switch).await?;
/// switch.cast(true);
/// switch.cast(false);
/// switch.get_status().await?; // answered after the casts
///
/// assert_eq!(check.undeclared(), [Transition::new("on", "cast", "off")]);
/// assert_eq!(check.unseen(), [Transition::new("off", "info", "on")]);
/// let report = "undeclared: on → off (cast)\nnever seen: off → on (info)";
/// assert_eq!(check.to_string(), report);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct TransitionCheck<M> {
    seen: Seen,
    machine: PhantomData<fn() -> M>,
}

impl<M: StateMachine> TransitionCheck<M> {
    /// Makes a check that has seen nothing.
    pub fn new() -> Self {
        TransitionCheck { seen: Seen::default(), machine: PhantomData }
    }

    /// Watches this machine from now on, until it ends. Any number of machines can be watched, for
    /// example a restarted one. A machine that is watched by another check leaves that check.
    ///
    /// # Errors
    ///
    /// As those of [`ServerRef::update`](crate::ServerRef::update).
    ///
    /// # Cancel safety
    ///
    /// A request that was queued is carried out, even if this future is dropped.
    pub async fn watch(&self, machine: &MachineRef<M>) -> Result<(), CallError> {
        let seen = self.seen.clone();
        machine.update(move |machine| machine.watch(seen)).await
    }

    /// Returns the transitions that were seen, in the order of their names.
    pub fn seen(&self) -> Vec<Transition> {
        self.seen.lock().iter().copied().collect()
    }

    /// Returns the transitions that were seen and are not declared.
    pub fn undeclared(&self) -> Vec<Transition> {
        let is_new = |transition: &Transition| !M::TRANSITIONS.contains(transition);
        self.seen().into_iter().filter(is_new).collect()
    }

    /// Returns the transitions that are declared and were never seen: those that the test does not
    /// cover, or that the machine cannot make.
    pub fn unseen(&self) -> Vec<Transition> {
        let seen: BTreeSet<Transition> = self.seen.lock().clone();
        M::TRANSITIONS.iter().filter(|declared| !seen.contains(declared)).copied().collect()
    }
}

impl<M: StateMachine> Default for TransitionCheck<M> {
    fn default() -> Self {
        TransitionCheck::new()
    }
}

/// Displays a line for each difference; `as declared` if there is none.
impl<M: StateMachine> fmt::Display for TransitionCheck<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let undeclared = self.undeclared().into_iter().map(|one| format!("undeclared: {one}"));
        let unseen = self.unseen().into_iter().map(|one| format!("never seen: {one}"));
        let lines: Vec<String> = undeclared.chain(unseen).collect();
        match lines.is_empty() {
            true => f.write_str("as declared"),
            false => f.write_str(&lines.join("\n")),
        }
    }
}

impl<M: StateMachine> fmt::Debug for TransitionCheck<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransitionCheck({} seen)", self.seen.lock().len())
    }
}
