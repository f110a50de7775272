//! Names, as users see them.

use std::error::Error;
use std::fmt;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::kernel::NameEntry;
use crate::kernel::names::NameRefused;
use crate::runtime::Runtime;

/// Why a process did not get a name: what [`Runtime::try_register`] returns, which has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// A process holds the name, perhaps the one that was to get it.
    Held {
        /// The name.
        name: String,
        /// The process that holds it.
        pid: Pid,
    },
    /// The name is reserved for the successor of a child: its specification gives the child this
    /// name, its last incarnation has ended, and its supervisor starts it again.
    Reserved {
        /// The name.
        name: String,
        /// The child's id.
        child: String,
        /// The supervisor of that child.
        supervisor: Pid,
    },
    /// There is no such process: it has ended, or is ending.
    NoProc(Pid),
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterError::Held { name, pid } => write!(f, "the name {name:?} is held by {pid}"),
            RegisterError::Reserved { name, child, supervisor } => {
                write_reserved(f, name, child, *supervisor)
            }
            RegisterError::NoProc(pid) => write!(f, "there is no process {pid} to be named"),
        }
    }
}

impl Error for RegisterError {}

/// A name that is reserved, and what to do about it.
pub(crate) fn write_reserved(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    child: &str,
    supervisor: Pid,
) -> fmt::Result {
    write!(
        f,
        "the name {name:?} is reserved for child {child:?}, which supervisor {supervisor} starts \
         again: wait for that, terminate or delete the child, or take another name"
    )
}

impl Runtime {
    /// Gives a process a name. False if any process holds it, this process included, if it is
    /// reserved for a child that is being restarted, or if the process is dead:
    /// [`try_register`](Self::try_register) says which. A process may hold several names; they are
    /// freed when it ends, before any process is notified of that.
    ///
    /// A child of a supervisor gets its name by [`ChildSpec::named`](crate::ChildSpec::named):
    /// so its successor has it too, and no other process can take it in between. OTP:
    /// `register/2`, which allows one name for each process, and raises `badarg` where this is
    /// false.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
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
    /// # });
    /// ```
    pub fn register(&self, name: impl Into<String>, pid: Pid) -> bool {
        self.try_register(name, pid).is_ok()
    }

    /// Gives a process a name, as [`register`](Self::register), and says why not.
    ///
    /// # Errors
    ///
    /// [`RegisterError::Held`] if any process holds the name, this process included;
    /// [`RegisterError::Reserved`] from the end of a child that has this name by
    /// [`ChildSpec::named`](crate::ChildSpec::named) until its successor is started, or its
    /// supervisor gives it up, terminates or deletes it, stops or ends;
    /// [`RegisterError::NoProc`] if the process is dead or ending. OTP raises `badarg` for each,
    /// and reserves no names.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Backoff, ChildSpec, RegisterError, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let cache = ChildSpec::task("cache", |_| std::future::pending()).named("cache");
    /// let cache = cache.backoff(Backoff::new().first(Duration::from_secs(10)));
    /// let tree = Supervisor::one_for_one().child(cache).start(&rt).await?;
    ///
    /// let pid = rt.whereis("cache").unwrap();
    /// let ended = rt.ended(pid);
    /// rt.kill(pid);
    /// ended.await; // its successor comes in about ten seconds
    /// let stranger = rt.spawn(|_| std::future::pending());
    /// let error = rt.try_register("cache", stranger.pid()).unwrap_err();
    /// let (name, child) = ("cache".into(), "cache".into());
    /// assert_eq!(error, RegisterError::Reserved { name, child, supervisor: tree.pid().unwrap() });
    ///
    /// tree.terminate_child("cache").await?; // its supervisor does not start it any more
    /// assert_eq!(rt.try_register("cache", stranger.pid()), Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn try_register(&self, name: impl Into<String>, pid: Pid) -> Result<(), RegisterError> {
        let name = SharedStr::from(name.into());
        let Some(process) = self.kernel.find(pid) else { return Err(RegisterError::NoProc(pid)) };
        self.kernel.register(name.clone(), &process).map_err(|refused| match refused {
            NameRefused::Taken(pid) => RegisterError::Held { name: name.to_string(), pid },
            NameRefused::Reserved(by) => RegisterError::Reserved {
                name: name.to_string(),
                child: by.child.to_string(),
                supervisor: by.supervisor,
            },
            NameRefused::Dead => RegisterError::NoProc(pid),
        })
    }

    /// The process that holds the name; `None` also while the name is reserved, because a
    /// supervisor restarts its holder. The pid is that
    /// of this moment: to reach whoever holds the name later, keep the name. OTP:
    /// `whereis/1`. [`register`](Self::register) has an example.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.kernel.whereis(name)
    }

    /// Frees a name that a process holds; the holder lives on. False if none does: a name that is
    /// [reserved](Self::try_register) stays so. A child that loses the name of its specification in
    /// this way has given it up: any process may register it, and while one holds it the starts of
    /// the child's successors fail. OTP: `unregister/1`, which raises `badarg` where this is
    /// false. [`register`](Self::register) has an example.
    pub fn unregister(&self, name: &str) -> bool {
        self.kernel.unregister(&name.into())
    }

    /// All names that are held, in alphabetical order. OTP: `registered/0`.
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
