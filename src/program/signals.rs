//! What the operating system asks a program for.

use std::io;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignalRequest {
    /// To stop, by a signal of this name.
    Stop(&'static str),
    /// The same once more, after the stop had begun.
    StopNow(&'static str),
    /// To read its configuration anew.
    Reload,
}

#[cfg(unix)]
pub(super) use unix::{Signals, signal_numbers};

#[cfg(not(unix))]
pub(super) use other::{Signals, signal_numbers};

#[cfg(unix)]
mod unix {
    use super::{SignalRequest, io};
    use std::future::poll_fn;
    use std::task::{Context, Poll};
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// The numbers of the signals that are listened to.
    pub(in crate::program) fn signal_numbers(reload: bool) -> Vec<i32> {
        let hangup = reload.then(SignalKind::hangup);
        let signal_numbers =
            [SignalKind::terminate(), SignalKind::interrupt()].into_iter().chain(hangup);
        signal_numbers.map(|kind| kind.as_raw_value()).collect()
    }

    /// The signals a daemon knows. Listening to one takes its default action away.
    #[derive(Debug)]
    pub(in crate::program) struct Signals {
        terminate: Signal,
        interrupt: Signal,
        hangup: Option<Signal>,
    }

    impl Signals {
        /// `SIGHUP` is left alone unless there is something to reload.
        pub(in crate::program) fn listen(reload: bool) -> io::Result<Self> {
            let hangup = reload.then(|| signal(SignalKind::hangup())).transpose()?;
            Ok(Signals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup,
            })
        }

        pub(in crate::program) async fn next(&mut self) -> SignalRequest {
            poll_fn(|cx| self.poll_next(cx)).await
        }

        fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<SignalRequest> {
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
    use std::future::poll_fn;
    use std::task::{Context, Poll};
    use tokio::signal::windows::{CtrlBreak, CtrlC, ctrl_break, ctrl_c};

    /// None has a number here.
    pub(in crate::program) fn signal_numbers(_: bool) -> Vec<i32> {
        Vec::new()
    }

    /// What a console sends.
    #[derive(Debug)]
    pub(in crate::program) struct Signals {
        ctrl_c: CtrlC,
        ctrl_break: CtrlBreak,
    }

    impl Signals {
        pub(in crate::program) fn listen(_: bool) -> io::Result<Self> {
            Ok(Signals { ctrl_c: ctrl_c()?, ctrl_break: ctrl_break()? })
        }

        pub(in crate::program) async fn next(&mut self) -> SignalRequest {
            poll_fn(|cx| self.poll_next(cx)).await
        }

        fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<SignalRequest> {
            if self.ctrl_c.poll_recv(cx).is_ready() {
                return Poll::Ready(SignalRequest::Stop("Ctrl-C"));
            }
            self.ctrl_break.poll_recv(cx).map(|_| SignalRequest::Stop("Ctrl-Break"))
        }
    }
}
