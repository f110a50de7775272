//! Identifiers of processes and monitors.

use std::fmt;

/// The identifier of one incarnation of a process.
///
/// Pids are unique in a program, and are never reused. Each [`Runtime`](crate::Runtime) assigns its
/// pids in increasing order. A process that is restarted gets a new pid. The pid of a process that
/// has ended, that never existed, or that belongs to another runtime of the program is harmless in
/// every operation. For example, a message to such a pid is dropped, and the send returns `false`.
/// To address a process that may be restarted, keep its [name](crate::Name), not its pid.
///
/// The first runtime of a program assigns 1, 2, 3 and so on. Runtimes draw their pids in blocks of
/// 1,024, so the pids of a runtime have gaps if the program has several runtimes. The runtime of a
/// chaos run is an exception: its pids always begin with 1, because the replay of a run needs the
/// same pids.
///
/// The upper 16 bits of a pid are the number of a node. The number 0 stands for the local node.
/// Each program assigns the numbers of other nodes itself, so the [raw](Self::raw) bits of the pid
/// of a process of another node have no meaning in another program. OTP's counterpart is the pid.
/// Unlike pids of OTP, the local pids of one runtime are ordered by age.
///
/// # Examples
///
/// ```
/// use regrow::Pid;
///
/// let pid = Pid::from_raw(42);
/// assert_eq!(pid.raw(), 42);
/// assert_eq!(pid.to_string(), "#42");
/// assert!(pid > Pid::from_raw(41));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(u64);

impl Pid {
    /// The pid of code that runs in no process: plain async code, a thread that the program starts,
    /// or a task of `tokio::spawn`, even if a process spawned that task. No process has this pid,
    /// and no process has a parent with this pid. OTP has no counterpart, because in OTP all code
    /// runs in a process.
    pub const OUTSIDE: Pid = Pid(0);

    /// The number of bits below the node number.
    pub(crate) const NUMBER_BITS: u32 = 48;

    /// Returns the bits of the pid, which can be stored or sent elsewhere. [`Pid`] has an example.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Returns the pid with these bits, whether or not such a process ever existed. [`Pid`] has an
    /// example.
    pub const fn from_raw(raw: u64) -> Pid {
        Pid(raw)
    }

    /// Whether the pid belongs to a process of another node. With the feature `cluster`,
    /// `Runtime::pid_of` returns such pids. Links, monitors, exit signals and terms then reach the
    /// process, as long as a connection to its node can be made. Without the feature, such a pid
    /// behaves like the pid of a process that has ended. With or without the feature, so does a pid
    /// whose node number the program has not assigned.
    ///
    /// ```
    /// use regrow::Pid;
    ///
    /// assert!(!Pid::from_raw(42).is_foreign());
    /// assert!(Pid::from_raw(1 << 48 | 42).is_foreign());
    /// ```
    pub const fn is_foreign(self) -> bool {
        self.0 >> Self::NUMBER_BITS != 0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 >> Self::NUMBER_BITS {
            0 => write!(f, "#{}", self.0),
            node => write!(f, "#{node}.{}", self.0 & ((1 << Self::NUMBER_BITS) - 1)),
        }
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pid({self})")
    }
}

/// The identifier of one monitor of a process, a name or a group.
///
/// Every message of the monitor contains its `MonitorRef`. A `MonitorRef` contains the pid of the
/// watcher, so [`Runtime::demonitor`](crate::Runtime::demonitor) needs no other argument. OTP's
/// counterpart is the monitor reference.
///
/// # Examples
///
/// ```
/// use regrow::Runtime;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let watcher = rt.spawn(|_| std::future::pending()).pid();
/// let one = rt.monitor(watcher, watcher);
/// let two = rt.monitor(watcher, watcher);
/// assert_eq!(one.watcher(), watcher);
/// assert_ne!(one.raw(), two.raw()); // two monitors of the same process
/// # }));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorRef {
    id: u64,
    watcher: Pid,
}

impl MonitorRef {
    pub(crate) const fn new(id: u64, watcher: Pid) -> Self {
        MonitorRef { id, watcher }
    }

    /// The number of this monitor, unique in its runtime. [`MonitorRef`] has an example.
    pub const fn raw(self) -> u64 {
        self.id
    }

    /// The process that receives the monitor's messages. [`MonitorRef`] has an example.
    pub const fn watcher(self) -> Pid {
        self.watcher
    }
}

impl fmt::Debug for MonitorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MonitorRef({} of {})", self.id, self.watcher)
    }
}
