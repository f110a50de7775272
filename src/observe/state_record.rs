//! What can be seen of a state machine: the name of its state, and its last changes of state.
//!
//! The record belongs to the process of the machine, and the machine writes it. Only names are kept,
//! never the content of a state or of an event.
//!
//! **Bounds.** [`KEPT`] changes of a machine.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::PlainMutex;

/// The number of changes that are kept of a machine.
const KEPT: usize = 8;

/// One change of the state of a [state machine](crate::StateMachine), or its state entered again. The
/// names are those that the machine gives to its states and events. [`MachineStatus`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateChange {
    /// The state that was left.
    pub from: &'static str,
    /// The state that was entered. Equal to `from` if the state was entered again.
    pub to: &'static str,
    /// The event that was handled.
    pub event: &'static str,
    /// When the handler of the event had returned. The clock is read once for at most 32 changes in a row,
    /// if the machine waits for nothing between them.
    pub at: Instant,
}

/// Displays one line: `locked → open (button)`.
impl fmt::Display for StateChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} ({})", self.from, self.to, self.event)
    }
}

/// What can be seen of a running [state machine](crate::StateMachine):
/// [`Runtime::machine_status`](crate::Runtime::machine_status),
/// [`TreeNode::machine`](crate::TreeNode::machine) and
/// [`CrashReport::machine`](crate::CrashReport::machine) return it. It has names only, never the content
/// of a state or of an event. OTP: a part of `sys:get_status/1`, and the log of `sys`.
///
/// ```
/// # use regrow::{Event, MachineContext, Next, Result, Runtime, StateMachine};
/// # #[derive(PartialEq)]
/// # enum State { Off, On }
/// # struct Switch;
/// # impl StateMachine for Switch {
/// #     type Args = ();
/// #     type State = State;
/// #     type Call = ();
/// #     type Cast = ();
/// #     type Payload = ();
/// #     async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(State, Self)> {
/// #         Ok((State::Off, Switch))
/// #     }
/// #     async fn handle_event(
/// #         &mut self, state: &State, _: Event<Self>, _: &mut MachineContext<'_, Self>,
/// #     ) -> Result<Next<State>> {
/// #         Ok(Next::State(if *state == State::Off { State::On } else { State::Off }))
/// #     }
/// #     fn state_name(state: &State) -> &'static str {
/// #         if *state == State::Off { "off" } else { "on" }
/// #     }
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let switch = Switch::start(&rt, ()).await?; // a machine whose casts toggle it
/// switch.cast(());
/// switch.get_status().await?; // answered after the cast
/// let status = rt.machine_status(switch.pid().unwrap()).unwrap();
/// assert_eq!((status.state, status.changes), ("on", 1));
/// assert_eq!(status.recent[0].to_string(), "off → on (cast)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MachineStatus {
    /// The name of the state.
    pub state: &'static str,
    /// When the state was entered.
    pub since: Instant,
    /// The number of postponed events.
    pub postponed: usize,
    /// The number of all changes since the start.
    pub changes: u64,
    /// The last eight changes, oldest first.
    pub recent: Vec<StateChange>,
}

impl MachineStatus {
    /// The recent changes, each with the time since then.
    pub(crate) fn past(&self, now: Instant) -> impl Iterator<Item = (Duration, &StateChange)> {
        self.recent.iter().map(move |change| (now.saturating_duration_since(change.at), change))
    }
}

/// Displays the state, and the number of postponed events: `open, 2 postponed`.
impl fmt::Display for MachineStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        match self.postponed {
            0 => Ok(()),
            count => write!(f, ", {count} postponed"),
        }
    }
}

/// The record of one machine.
#[derive(Debug)]
pub(crate) struct StateRecord(PlainMutex<Shown>);

#[derive(Debug)]
struct Shown {
    state: &'static str,
    since: Instant,
    postponed: usize,
    changes: u64,
    /// The last changes. The next one replaces the entry at `changes` modulo [`KEPT`].
    recent: Vec<StateChange>,
}

impl StateRecord {
    /// Makes the record of a machine that begins in this state.
    pub(crate) fn new(state: &'static str) -> Self {
        let since = Instant::now();
        StateRecord(PlainMutex::new(Shown {
            state,
            since,
            postponed: 0,
            changes: 0,
            recent: Vec::new(),
        }))
    }

    /// Notes that the machine has entered a state.
    pub(crate) fn change(&self, change: StateChange) {
        let shown = &mut *self.0.lock();
        let place = usize::try_from(shown.changes % KEPT as u64).unwrap_or(0);
        let StateChange { to, at, .. } = change;
        match shown.recent.get_mut(place) {
            Some(oldest) => *oldest = change,
            None => shown.recent.push(change),
        }
        (shown.state, shown.since) = (to, at);
        shown.changes += 1;
    }

    pub(crate) fn set_postponed(&self, count: usize) {
        self.0.lock().postponed = count;
    }

    pub(crate) fn status(&self) -> MachineStatus {
        let shown = self.0.lock();
        let mut recent = shown.recent.clone();
        if recent.len() == KEPT {
            recent.rotate_left(usize::try_from(shown.changes % KEPT as u64).unwrap_or(0));
        }
        let Shown { state, since, postponed, changes, .. } = *shown;
        MachineStatus { state, since, postponed, changes, recent }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{StateChange, StateRecord};

    #[test]
    fn the_last_eight_changes_are_kept_oldest_first() {
        let record = StateRecord::new("0");
        let names = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
        assert_eq!(record.status().recent, []);
        for (number, pair) in names.windows(2).enumerate() {
            let change =
                StateChange { from: pair[0], to: pair[1], event: "cast", at: Instant::now() };
            record.change(change);
            let status = record.status();
            assert_eq!((status.state, status.changes), (pair[1], number as u64 + 1));
            let kept: Vec<_> = status.recent.iter().map(|change| change.to).collect();
            assert_eq!(kept, names[(number + 1).saturating_sub(7).max(1)..=number + 1]);
        }
    }
}
