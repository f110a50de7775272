//! One side of a link: the role of the peer for this process, and whether the exit signal of the
//! peer is delivered.

/// One side of a link: the entry of the peer in the record of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    /// The number of the last call that made the link. An `unlink` removes only links with smaller
    /// numbers than its own.
    pub(crate) id: u64,
    pub(crate) role: LinkRole,
    pub(crate) state: LinkState,
}

impl Link {
    /// A link that delivers the exit signal of the peer.
    pub(crate) fn active(id: u64, role: LinkRole) -> Self {
        Link { id, role, state: LinkState::Active }
    }

    /// A link to a task that ends with this process, and whose own end has no effect on this
    /// process, because other code reports it.
    pub(crate) fn owned(id: u64) -> Self {
        Link { id, role: LinkRole::Task, state: LinkState::GivenUp }
    }

    /// A link to a process whose start is awaited.
    pub(crate) fn awaited(id: u64, role: LinkRole) -> Self {
        Link { id, role, state: LinkState::Awaited }
    }
}

/// The role of the peer for this process. The role decides which effect the exit signal of the peer
/// has on this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkRole {
    /// An equal: OTP's table applies.
    Peer,
    /// A child of this process, which is its supervisor. OTP's table applies, and only the end of the
    /// child removes the link: an unlink has no effect.
    Child,
    /// The supervisor of this process. The same holds as for `Child`.
    Supervisor,
    /// A helper of this process. An abnormal end of the peer ends this process, even if this
    /// process traps exits; a normal end has no effect.
    Helper,
    /// A task of this process. A normal end of the peer has no effect; for any other end, OTP's
    /// table applies.
    Task,
    /// The owner of this process, which is a task or a helper. This process ends with the peer,
    /// whatever the reason.
    Owner,
    /// The caller of this process, which is a task. A normal end of the peer does not end this
    /// process. Any other end ends this process or, if it traps exits, asks it to stop.
    Caller,
}

impl LinkRole {
    /// Whether an unlink removes the link.
    pub(crate) fn is_removable(self) -> bool {
        !matches!(self, LinkRole::Child | LinkRole::Supervisor)
    }

    /// The role that a process has for a peer that has this role for the process.
    pub(crate) fn of_starter(self) -> Self {
        match self {
            LinkRole::Task | LinkRole::Helper => LinkRole::Owner,
            LinkRole::Child => LinkRole::Supervisor,
            LinkRole::Peer | LinkRole::Owner | LinkRole::Caller | LinkRole::Supervisor => {
                LinkRole::Peer
            }
        }
    }
}

/// Whether a link delivers the exit signal of the peer. Only a link to a child or to a task can be
/// muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// The signal arrives, and the role decides its effect.
    Active,
    /// Muted: the start or the stop of the child is awaited, and the result of the start or stop
    /// reports the end of the child.
    Awaited,
    /// Muted for ever: the start was given up, so the end of the child is not reported, and the
    /// child can't acknowledge its start any more; or the peer is a task whose end is reported in
    /// another way.
    GivenUp,
}
