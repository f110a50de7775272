//! Registered names.

use thiserror::Error;

use crate::base::{Pid, SharedStr};
use crate::kernel::NameEntry;
use crate::kernel::name_table::NotAdmitted;
use crate::runtime::Runtime;

/// Why a process did not get a name. [`Runtime::try_register`] returns this error, and has an
/// example.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// A process holds the name. This may be the process that was to be registered.
    #[error("the name {name:?} is held by {pid}")]
    Held {
        /// The name.
        name: String,
        /// The process that holds it.
        pid: Pid,
    },
    /// The name is reserved for the successor of a child. The specification of the child has this
    /// name, its last incarnation has ended, and its supervisor is restarting it.
    #[error("{}", reserved(.name, .child, *.supervisor))]
    Reserved {
        /// The name.
        name: String,
        /// The child's id.
        child: String,
        /// The supervisor of that child.
        supervisor: Pid,
    },
    /// There is no such process: it has ended or is being torn down.
    #[error("there is no process {0} to register")]
    NoProc(Pid),
}

/// Returns the text of the errors for a reserved name.
pub(crate) fn reserved(name: &str, child: &str, supervisor: Pid) -> String {
    format!(
        "the name {name:?} is reserved for child {child:?}, which supervisor {supervisor} starts \
         again: wait for that, terminate or delete the child, or take another name"
    )
}

impl Runtime {
    /// Registers a process under a name. Returns false if a process holds the name, this process
    /// included; if the name is reserved for a child that is being restarted; or if the process is
    /// dead. [`try_register`](Self::try_register) reports the reason. OTP: `register/2`, which
    /// allows one name for each process, and raises `badarg` where this returns false.
    ///
    /// A process can hold several names. When the process ends, its names are freed before any
    /// process is notified of its end. For a child of a supervisor, use
    /// [`ChildSpec::named`](crate::ChildSpec::named): the successor of the child then gets the same
    /// name, and no other process can take the name in between.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (one, two) = (rt.spawn(|_| async {}), rt.spawn(|_| std::future::pending()));
    /// assert!(rt.register("leader", one.pid()));
    /// assert!(!rt.register("leader", two.pid()));
    /// assert_eq!(rt.whereis("leader"), Some(one.pid()));
    ///
    /// one.join().await; // it ended, so its name is free
    /// assert_eq!(rt.whereis("leader"), None);
    /// assert!(rt.register("leader", two.pid()));
    /// assert_eq!(rt.registered(), ["leader"]);
    /// assert!(rt.unregister("leader"));
    /// assert!(!rt.unregister("leader"));
    /// # }));
    /// ```
    pub fn register(&self, name: impl Into<String>, pid: Pid) -> bool {
        self.try_register(name, pid).is_ok()
    }

    /// Registers a process under a name, as [`register`](Self::register) does, and returns the
    /// reason if this fails.
    ///
    /// # Errors
    ///
    /// * [`RegisterError::Held`] if a process holds the name, this process included.
    /// * [`RegisterError::Reserved`] if the last holder was a child that has this name by
    ///   [`ChildSpec::named`](crate::ChildSpec::named), until the child's successor is started, or
    ///   the supervisor gives up, terminates or deletes the child, or itself stops or ends.
    /// * [`RegisterError::NoProc`] if the process has ended or is being torn down.
    ///
    /// OTP raises `badarg` for each of these, and reserves no names.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Backoff, ChildSpec, RegisterError, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let cache = ChildSpec::task("cache", |_| std::future::pending()).named("cache");
    /// let cache = cache.backoff(Backoff::new().first(Duration::from_secs(10)));
    /// let tree = Supervisor::one_for_one().child(cache).start(&rt).await?;
    ///
    /// let pid = rt.whereis("cache").unwrap();
    /// let ended = rt.ended(pid);
    /// rt.kill(pid);
    /// ended.await; // its successor starts in about ten seconds
    /// let other = rt.spawn(|_| std::future::pending());
    /// let error = rt.try_register("cache", other.pid()).unwrap_err();
    /// let (name, child) = ("cache".into(), "cache".into());
    /// assert_eq!(error, RegisterError::Reserved { name, child, supervisor: tree.pid().unwrap() });
    ///
    /// tree.terminate_child("cache").await?; // its supervisor no longer restarts it
    /// assert_eq!(rt.try_register("cache", other.pid()), Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn try_register(&self, name: impl Into<String>, pid: Pid) -> Result<(), RegisterError> {
        let name = SharedStr::from(name.into());
        let Some(process) = self.kernel.find(pid) else { return Err(RegisterError::NoProc(pid)) };
        self.kernel.register(name.clone(), &process).map_err(|refused| match refused {
            NotAdmitted::NameTaken(pid) => RegisterError::Held { name: name.to_string(), pid },
            NotAdmitted::NameReserved(by) => RegisterError::Reserved {
                name: name.to_string(),
                child: by.child.to_string(),
                supervisor: by.supervisor,
            },
            NotAdmitted::Ended(_) | NotAdmitted::Key(_) => RegisterError::NoProc(pid),
        })
    }

    /// The pid of the process that holds the name. `None` if no process holds it, even if the name
    /// is reserved for a child that is being restarted.
    ///
    /// The name may have another holder later. To reach whichever process holds the name, keep the
    /// name instead of the pid. OTP: `whereis/1`. [`register`](Self::register) has an example.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.kernel.whereis(name)
    }

    /// Frees a name. The process that held the name lives on. Returns false if no process holds the
    /// name. A name that is [reserved](Self::try_register) stays reserved. OTP: `unregister/1`,
    /// which raises `badarg` where this returns false. [`register`](Self::register) has an example.
    ///
    /// If the name comes from the specification of a child, any process can register it afterwards.
    /// While another process holds it, the starts of the child's successors fail.
    pub fn unregister(&self, name: &str) -> bool {
        self.kernel.unregister(&name.into())
    }

    /// All names that processes hold, in alphabetical order. OTP: `registered/0`.
    /// [`register`](Self::register) has an example.
    pub fn registered(&self) -> Vec<String> {
        let held = |name: &SharedStr, entry: &NameEntry| {
            matches!(entry, NameEntry::Held(_)).then(|| name.to_string())
        };
        let mut names = self.kernel.names.collect(held);
        names.sort_unstable();
        names
    }
}
