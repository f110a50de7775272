//! A process that forwards everything it receives.

use regrow::{Pid, Received, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub struct Listener {
    pub pid: Pid,
    heard: UnboundedReceiver<Received>,
}

impl Listener {
    pub fn new(rt: &Runtime) -> Self {
        let (tell, heard) = unbounded_channel();
        let process =
            rt.spawn(move |mut ctx| async move { while tell.send(ctx.recv().await).is_ok() {} });
        Listener { pid: process.pid(), heard }
    }

    /// Starts a listener that traps exits.
    pub fn trapping(rt: &Runtime) -> Self {
        let listener = Listener::new(rt);
        assert_eq!(rt.set_trap_exit(listener.pid, true), Some(false));
        listener
    }

    /// Waits for the next item that the listener receives.
    pub async fn next(&mut self) -> Received {
        self.heard.recv().await.expect("the listener has ended")
    }

    /// Returns the received items that no test has taken yet.
    pub fn so_far(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }
}
