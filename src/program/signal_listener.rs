//! Receives the signals of the operating system, as requests to the program.

use std::future::poll_fn;
use std::io;

/// A request of the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignalRequest {
    /// Stop, because of the signal of this name.
    Stop(&'static str),
    /// Stop at once, because of a signal that arrived after the stop had begun.
    StopNow(&'static str),
    /// Do what [`Run::on_hangup`](crate::Run::on_hangup) and
    /// [`Run::restart_on_hangup`](crate::Run::restart_on_hangup) say.
    Reload,
}

#[cfg(unix)]
pub(super) use unix::{Signals, signal_numbers};

#[cfg(not(unix))]
pub(super) use other::{Signals, signal_numbers};

impl Signals {
    pub(super) async fn next(&mut self) -> SignalRequest {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

#[cfg(unix)]
mod unix {
    use super::{SignalRequest, io};
    use std::task::{Context, Poll};
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Returns the numbers of the signals that [`Signals::listen`] listens to.
    pub(in crate::program) fn signal_numbers(reload: bool) -> Vec<i32> {
        let hangup = reload.then(SignalKind::hangup);
        let kinds = [SignalKind::terminate(), SignalKind::interrupt()].into_iter().chain(hangup);
        kinds.map(|kind| kind.as_raw_value()).collect()
    }

    /// Listens to `SIGTERM`, `SIGINT` and, if requested, `SIGHUP`. tokio's listener replaces the
    /// default action of a signal.
    #[derive(Debug)]
    pub(in crate::program) struct Signals {
        terminate: Signal,
        interrupt: Signal,
        hangup: Option<Signal>,
    }

    impl Signals {
        /// Starts to listen; to `SIGHUP` only if `reload` is true.
        pub(in crate::program) fn listen(reload: bool) -> io::Result<Self> {
            let hangup = reload.then(|| signal(SignalKind::hangup())).transpose()?;
            Ok(Signals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup,
            })
        }

        pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<SignalRequest> {
            if self.terminate.poll_recv(cx).is_ready() {
                return Poll::Ready(SignalRequest::Stop("SIGTERM"));
            }
            if self.interrupt.poll_recv(cx).is_ready() {
                return Poll::Ready(SignalRequest::Stop("SIGINT"));
            }
            match &mut self.hangup {
                Some(hangup) => hangup.poll_recv(cx).map(|_| SignalRequest::Reload),
                None => Poll::Pending,
            }
        }
    }
}

#[cfg(not(unix))]
mod other {
    use super::{SignalRequest, io};
    use std::task::{Context, Poll};
    use tokio::signal::windows::{CtrlBreak, CtrlC, ctrl_break, ctrl_c};

    /// Returns no numbers, since the events of a console have none.
    pub(in crate::program) fn signal_numbers(_: bool) -> Vec<i32> {
        Vec::new()
    }

    /// Listens to the events of a console.
    #[derive(Debug)]
    pub(in crate::program) struct Signals {
        ctrl_c: CtrlC,
        ctrl_break: CtrlBreak,
    }

    impl Signals {
        pub(in crate::program) fn listen(_: bool) -> io::Result<Self> {
            Ok(Signals { ctrl_c: ctrl_c()?, ctrl_break: ctrl_break()? })
        }

        pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<SignalRequest> {
            if self.ctrl_c.poll_recv(cx).is_ready() {
                return Poll::Ready(SignalRequest::Stop("Ctrl-C"));
            }
            self.ctrl_break.poll_recv(cx).map(|_| SignalRequest::Stop("Ctrl-Break"))
        }
    }
}
