//! One side of a link: what the peer is to this process, and whether its exit signal is delivered.

/// One side of a link: the entry of the peer in the record of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    /// The number of the call that made the link. An `unlink` removes only older links.
    pub(crate) id: u64,
    pub(crate) role: LinkRole,
    pub(crate) state: LinkState,
}

impl Link {
    /// A link that carries the exit signal of the peer.
    pub(crate) fn active(id: u64, role: LinkRole) -> Self {
        Link { id, role, state: LinkState::Active }
    }

    /// A link to a child whose start is awaited.
    pub(crate) fn awaited(id: u64) -> Self {
        Link { id, role: LinkRole::Peer, state: LinkState::Awaited }
    }
}

/// What the peer is to this process. The role decides what the exit signal of the peer does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkRole {
    /// An equal: OTP's table applies.
    Peer,
    /// A helper of this process. A failure of the peer ends this process, even if it traps exits;
    /// a normal end has no effect.
    Helper,
    /// A task of this process. A normal end has no effect.
    Task,
    /// The owner of this process, which is a task or a helper. This process ends with the peer,
    /// whatever the reason.
    Owner,
    /// The caller of this process, which is a task. This process may go on after a normal end of
    /// the peer; any other end requests that it stops.
    Caller,
}

/// Whether a link delivers the exit signal of the peer. Only a link to a child can be muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// The signal arrives, and the role decides what it does.
    Active,
    /// Muted: the start or the stop of the child is awaited, and its result reports the end.
    Awaited,
    /// Muted for good: the start was given up, so nothing reports the end. The child can't
    /// acknowledge its start any more.
    GivenUp,
}
