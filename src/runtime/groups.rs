//! Groups of processes.

use crate::base::{MonitorRef, Pid};
use crate::observe::log_flood::LineKind;
use crate::observe::{LogLevel, lifecycle_log};
use crate::runtime::Runtime;

impl Runtime {
    /// Makes a process a member of a group. Returns false if the process is dead. OTP: `pg:join`,
    /// where a process that joins twice is two members.
    ///
    /// A process that joins twice is one member. A process can be in many groups. A process leaves
    /// its groups when it ends, before any process is notified of its end.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (ann, bob) = (rt.spawn(|_| async {}), rt.spawn(|_| std::future::pending()));
    /// assert!(rt.register_tag("room", ann.pid()));
    /// assert!(rt.register_tag("room", bob.pid()));
    /// assert_eq!(rt.whereis_tag("room"), [ann.pid(), bob.pid()]);
    ///
    /// ann.join().await; // it has ended, so it is not a member
    /// assert_eq!(rt.whereis_tag("room"), [bob.pid()]);
    /// assert!(rt.unregister_tag("room", bob.pid()));
    /// assert!(!rt.unregister_tag("room", bob.pid()));
    /// assert!(rt.tags().is_empty());
    /// # }));
    /// ```
    pub fn register_tag(&self, tag: impl Into<String>, pid: Pid) -> bool {
        let Some(process) = self.kernel.find(pid) else { return false };
        self.kernel.join_group(tag.into().into(), &process)
    }

    /// The pids of the members of a group, the oldest process first. Empty if there is no such
    /// group. OTP: `pg:get_members`. [`register_tag`](Self::register_tag) has an example.
    ///
    /// Behind them are the members at other nodes, if a node of the runtime shares its groups
    /// (`Node::groups`, with the feature `cluster`). Their pids are [foreign](Pid::is_foreign). OTP:
    /// `pg:get_local_members` returns the others.
    pub fn whereis_tag(&self, tag: &str) -> Vec<Pid> {
        self.kernel.members(tag)
    }

    /// Removes a process from a group. Returns false if the process is not a member. A group
    /// without members no longer exists. Returns false for a process of another node, which only a
    /// process of its node can remove. OTP: `pg:leave`. [`register_tag`](Self::register_tag) has an
    /// example.
    pub fn unregister_tag(&self, tag: &str, pid: Pid) -> bool {
        !pid.is_foreign() && self.kernel.leave_group(tag.into(), pid)
    }

    /// All groups that have members, in alphabetical order, also those whose members are all at other
    /// nodes. OTP: `pg:which_groups`.
    /// [`register_tag`](Self::register_tag) has an example.
    pub fn tags(&self) -> Vec<String> {
        let mut tags = self
            .kernel
            .groups
            .collect(|tag, group| (!group.members.is_empty()).then(|| tag.to_string()));
        tags.sort_unstable();
        tags
    }

    /// Kills all members of a group that are processes of this runtime, as [`kill`](Self::kill)
    /// does. Returns the number of members
    /// that were alive and not ending already. Logs one line at level Info, not one for each
    /// member. OTP has no counterpart.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let jobs = [(); 3].map(|()| rt.spawn(|_| std::future::pending()));
    /// jobs.iter().for_each(|job| assert!(rt.register_tag("jobs of 42", job.pid())));
    /// assert_eq!(rt.kill_tag("jobs of 42"), 3);
    /// assert_eq!(jobs[0].join().await, ExitReason::Killed);
    /// assert_eq!(rt.kill_tag("no such group"), 0);
    /// # }));
    /// ```
    pub fn kill_tag(&self, tag: &str) -> usize {
        let from = self.current_pid();
        let members = self.whereis_tag(tag).into_iter().filter_map(|pid| self.kernel.find(pid));
        let killed = self.kernel.kill_all(members.collect(), from);
        if self.wants_log(LogLevel::Info) {
            self.kernel.line(LineKind::KillTag, || lifecycle_log::kill_tag(tag, killed));
        }
        killed
    }

    /// Monitors a group. Returns the reference of the monitor and the current members, the oldest
    /// process first. From then on `watcher` gets a [`Received::Group`](crate::Received::Group) for
    /// each process that joins or leaves, until [`demonitor`](Self::demonitor). No change is lost
    /// or reported twice between the list and the first message. The group need not exist. If the
    /// watcher is dead, nothing is monitored. Members at other nodes are reported too, as
    /// [`whereis_tag`](Self::whereis_tag) says. OTP: `pg:monitor/1`.
    ///
    /// ```
    /// use regrow::{ExitReason, GroupChange, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let member = rt.spawn(|_| std::future::pending()).pid();
    /// let watcher = rt.spawn(move |mut ctx| async move {
    ///     let rt = ctx.runtime();
    ///     let (_, members) = rt.monitor_group(ctx.pid(), "room");
    ///     assert!(members.is_empty());
    ///     rt.register_tag("room", member);
    ///     let Received::Group { pid, change, .. } = ctx.recv().await else { panic!() };
    ///     assert_eq!((pid, change), (member, GroupChange::Joined));
    /// });
    /// assert_eq!(watcher.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub fn monitor_group(&self, watcher: Pid, tag: &str) -> (MonitorRef, Vec<Pid>) {
        self.kernel.monitor_group(watcher, tag.into())
    }
}
