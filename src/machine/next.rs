//! The result of a handled event.

/// What state a [`StateMachine`](crate::StateMachine) is in after an event. OTP: the results of a
/// `gen_statem` callback, without their actions.
///
/// The variants differ in what they begin:
///
/// | | state time-out | postponed events | [`state_enter`](crate::StateMachine::state_enter) |
/// |---|---|---|---|
/// | `Keep` | runs on | wait on | – |
/// | `State` with an equal state | runs on | wait on | – |
/// | `State` with another state | is cancelled | are handled again | runs |
/// | `Repeat` | runs on | wait on | runs |
///
/// To end the machine, return [`ctx.stop(reason)`](crate::ServerContext::stop).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<S> {
    /// The machine stays in its state. OTP: `keep_state`.
    Keep,
    /// The machine enters this state. It is a change of state if the new state differs from the old
    /// one, by `PartialEq`. An equal state replaces the old one, and nothing else happens. OTP:
    /// `next_state`.
    State(S),
    /// The machine stays in its state, and its entry runs again. OTP: `repeat_state`.
    Repeat,
}
