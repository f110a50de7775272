//! Messages and pids of other nodes, as the methods of a runtime.

use crate::base::Pid;
use crate::cluster::remote::node_numbers::incarnation_of;
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::pid_terms::pid_of;
use crate::cluster::remote::signal::Signal;
use crate::cluster::term::ExternalPid;
use crate::message::{EncodedTerm, Received};
use crate::runtime::Runtime;

impl Runtime {
    /// Sends a term to a process of this or of another node, which receives a
    /// [`Received::Term`]. This method never waits.
    ///
    /// Returns false if the process is known to have ended, or its mailbox is full. For a process of
    /// another node the result is true, unless its pid is of a node that has been restarted since, or
    /// the term can't be decoded: a node says nothing of a message that finds no process. If there is
    /// no connection, an attempt to connect begins, and the message waits for it; if the attempt
    /// fails, the message is lost. To learn so, monitor the process.
    ///
    /// Only a term reaches another node. [`send`](Self::send) and
    /// [`send_stream`](Self::send_stream) return false for a pid of another node.
    ///
    /// Messages and signals from one process to another arrive in the order in which they were sent,
    /// as long as the connection lasts. OTP: `Pid ! Message`.
    ///
    /// ```
    /// use regrow::Runtime;
    /// use regrow::cluster::EncodedTerm;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let reader = rt.spawn(|mut ctx| async move {
    ///     let term = ctx.recv().await.term().unwrap();
    ///     assert_eq!(term.decode::<(String, u32)>().unwrap(), ("milk".to_owned(), 3));
    /// });
    /// assert!(rt.send_term(reader.pid(), EncodedTerm::new(&("milk", 3))?));
    /// assert!(!reader.join().await.is_abnormal());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn send_term(&self, pid: Pid, term: EncodedTerm) -> bool {
        if !pid.is_foreign() {
            return self.receive(pid, Received::Term(term));
        }
        let nodes = Nodes::of(&self.kernel);
        term.is_whole() && nodes.send(pid, Signal::Send { to: pid, term })
    }

    /// Sends a term to the process that holds the name in this runtime. Returns false if no process
    /// holds the name, and otherwise the result of [`send_term`](Self::send_term).
    /// [`NodeRef::process`](crate::cluster::NodeRef::process) reaches a name of another node.
    ///
    /// ```
    /// use regrow::Runtime;
    /// use regrow::cluster::EncodedTerm;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// assert!(!rt.send_term_named("prices", EncodedTerm::new("milk")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn send_term_named(&self, name: &str, term: EncodedTerm) -> bool {
        match self.whereis(name) {
            Some(pid) => self.send_term(pid, term),
            None => {
                self.kernel.report_unaddressed(name);
                false
            }
        }
    }

    /// Returns a pid as it stands in a term, for a message to another node. `None` if no
    /// [`Node`](crate::cluster::Node) has run in this runtime, so that its processes have no names
    /// elsewhere, or if no term has given this pid. [`pid_of`](Self::pid_of) has an example.
    pub fn external_pid(&self, pid: Pid) -> Option<ExternalPid> {
        if pid.is_foreign() {
            return incarnation_of(pid)?.external(pid);
        }
        Some(Nodes::of(&self.kernel).local()?.external(pid))
    }

    /// Returns the pid of a process that a term names, of this or of another node. Everything that
    /// takes a [`Pid`] takes it. `None` if the name of its node is invalid, or if the pid can't be
    /// stored: at most 1,024 nodes that were never connected are known at once.
    ///
    /// The pid of a process of an earlier incarnation of a node is the pid of a process that has
    /// ended. So is a pid of this node that this node has not given: its pids can't be guessed.
    ///
    /// ```no_run
    /// use regrow::cluster::{EncodedTerm, ExternalPid};
    /// use regrow::{Context, Received};
    ///
    /// /// Answers with this process's own pid.
    /// async fn hello(mut ctx: Context) -> Result<(), Box<dyn std::error::Error>> {
    ///     let rt = ctx.runtime();
    ///     let Received::Term(term) = ctx.recv().await else { return Ok(()) };
    ///     let caller = rt.pid_of(&term.decode::<ExternalPid>()?).ok_or("no pid")?;
    ///     rt.send_term(caller, EncodedTerm::new(&rt.external_pid(ctx.pid()))?);
    ///     Ok(())
    /// }
    /// ```
    pub fn pid_of(&self, external: &ExternalPid) -> Option<Pid> {
        pid_of(Nodes::of(&self.kernel).local().as_deref(), external)
    }
}
