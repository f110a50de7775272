//! The run's handle to its [watchdog](crate::program::signal_and_watchdog_thread).

use std::future::pending;
use std::io;
use std::sync::mpsc as channel;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::base::os_refusal::start_thread;
use crate::program::default_action::HandledSignals;
use crate::program::signal_and_watchdog_thread::{self, Notice, WatchdogConfig};
use crate::program::{SignalRequest, StopCause};

/// The run's handle to the watchdog thread.
pub(super) struct Watchdog {
    /// Restores the default actions of the signals when it is dropped.
    handled_signals: Option<HandledSignals>,
    requests: mpsc::UnboundedReceiver<SignalRequest>,
    /// A request that the run has put back.
    put_back: Option<SignalRequest>,
    notices: mpsc::UnboundedSender<Notice>,
}

impl Watchdog {
    /// Starts the thread, and waits until it listens to the signals (invariant 1 of
    /// [`signal_and_watchdog_thread`]).
    pub(super) fn start(config: WatchdogConfig) -> io::Result<Self> {
        let (request_sender, requests) = mpsc::unbounded_channel();
        let (notices, notice_receiver) = mpsc::unbounded_channel();
        let (ready_sender, ready) = channel::channel();
        let armed = !is_clock_paused();
        let run = move || {
            signal_and_watchdog_thread::run(
                config,
                armed,
                &ready_sender,
                &request_sender,
                notice_receiver,
            )
        };
        start_thread("regrow-watchdog".into(), "it", run)?;
        let ended = || io::Error::other("the thread that listens to them has ended");
        let handled_signals = ready.recv().map_err(|_| ended())??;
        Ok(Watchdog { handled_signals, requests, put_back: None, notices })
    }

    /// Waits for the next request of the operating system.
    pub(super) async fn next(&mut self) -> SignalRequest {
        if let Some(request) = self.put_back.take() {
            return request;
        }
        match self.requests.recv().await {
            Some(request) => request,
            None => pending().await,
        }
    }

    /// Puts this request back, so that [`next`](Self::next) returns it again.
    pub(super) fn put_back(&mut self, request: SignalRequest) {
        self.put_back = Some(request);
    }

    /// Reports to the thread that the stop has begun, with this deadline.
    pub(super) fn stop_began(&self, cause: &StopCause, deadline: Duration) {
        let deadline = (!is_clock_paused()).then_some(deadline);
        // An error means that the thread has ended.
        let _ = self.notices.send(Notice::StopBegan(cause.clone(), deadline));
    }

    /// Reports that the run now forces the stop. The report also shows that the run still runs
    /// async code. The thread ends the process of the operating system if the run does not return
    /// within a fixed time after the last such notice.
    pub(super) fn notify_forcing(&self) {
        let _ = self.notices.send(Notice::Forcing);
    }

    /// Reports that the tree has stopped, and restores the default actions of the signals. The
    /// thread ends the process of the operating system if the rest of the program takes longer than
    /// `limit` plus a margin. If `limit` is `None`, the rest of the program may take any time.
    pub(super) fn run_returned(&mut self, limit: Option<Duration>) {
        self.handled_signals = None;
        let _ = self.notices.send(Notice::Returned(limit));
    }
}

/// Returns whether tokio's clock is paused. A paused clock stands still while the task does not
/// await.
fn is_clock_paused() -> bool {
    let (began, before) = (std::time::Instant::now(), Instant::now());
    while began.elapsed() < Duration::from_micros(1) {
        std::hint::spin_loop();
    }
    Instant::now() == before
}
