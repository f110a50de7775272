//! Names, as users see them.

use crate::kernel::NameEntry;
use crate::pid::Pid;
use crate::runtime::Runtime;
use crate::shared_str::SharedStr;

impl Runtime {
    /// Gives a process a name. False if anybody holds it, this process included, or the
    /// process is dead. A process may hold several; they are freed when it ends, before
    /// anyone is told of that.
    ///
    /// A child of a supervisor gets its name by [`ChildSpec::named`](crate::ChildSpec::named):
    /// so its successor has it too. OTP: `register/2`, which allows one name a process, and
    /// raises `badarg` where this is false.
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
        let Some(process) = self.kernel.find(pid) else { return false };
        self.kernel.register(name.into().into(), &process).is_ok()
    }

    /// Who holds the name; `None` also while a supervisor restarts its holder. The pid is that
    /// of this moment: to reach whoever holds the name later, keep the name. OTP:
    /// `whereis/1`. [`register`](Self::register) has an example.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.kernel.whereis(name)
    }

    /// Frees a name, whoever holds it; the holder lives on. False if nobody does. OTP:
    /// `unregister/1`, which raises `badarg` then. [`register`](Self::register) has an
    /// example.
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
