//! The owner of a scope: a process, or a runtime for code outside of processes.

use crate::base::Pid;
use crate::runtime::{Inside, Runtime};

/// The owner of a [`scope`](crate::scope()): the context of a process ([`Inside`]), or a
/// [`Runtime`] for code outside of processes.
///
/// If the owner is a process, the end of that process ends all tasks of the scope, whatever the
/// reason. The trait is sealed.
pub trait ScopeOwner: sealed::Owner {}

impl<C: Inside> ScopeOwner for C {}

impl ScopeOwner for Runtime {}

pub(super) mod sealed {
    use super::{Inside, Pid, Runtime};

    pub trait Owner {
        fn runtime_of_owner(&self) -> Runtime;
        fn pid_of_owner(&self) -> Option<Pid>;
    }

    impl<C: Inside> Owner for C {
        fn runtime_of_owner(&self) -> Runtime {
            self.runtime()
        }

        fn pid_of_owner(&self) -> Option<Pid> {
            Some(self.pid())
        }
    }

    impl Owner for Runtime {
        fn runtime_of_owner(&self) -> Runtime {
            self.clone()
        }

        fn pid_of_owner(&self) -> Option<Pid> {
            None
        }
    }
}
