//! A program of the operating system while it runs: its orders, its end, and what the end means.

use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::process::Child;
use tokio::time::{Instant, sleep, sleep_until};

use crate::child::command::failed::CommandFailed;
use crate::child::command::output::{Printing, Told, last_words};
use crate::child::stop_request::{Order, Orders, end_of};
use crate::exit::reason::ExitReason;
use crate::kernel::closing::End;
#[cfg(unix)]
use crate::kernel::os_programs::RunningProgram;
use crate::time::timer_queue::after;

/// How often a program that has ended looks whether its stop is still on its way.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A program that was started.
pub(super) struct Program {
    pub(super) child: Child,
    pub(super) name: String,
    pub(super) own_group: bool,
    pub(super) window: Duration,
    /// Until it has been waited for.
    #[cfg(unix)]
    pub(super) running: Option<RunningProgram>,
}

/// What a program was asked before it ended.
enum Asked {
    No,
    /// To stop, at this time.
    At(Instant),
    Killed,
}

/// Runs the program to its end, and decides what that was.
pub(super) async fn attend(mut program: Program, mut orders: Orders, printing: Printing) -> End {
    let ended = told_to_its_end(&mut program, &mut orders, &printing).await;
    let (status, at, asked) = match ended {
        Ok(ended) => ended,
        Err(error) => return End::Returned(ExitReason::from_library(error)),
    };
    let stopped = match asked {
        Asked::No => stop_arrives(&mut orders, at, program.window).await,
        Asked::At(_) if status.success() || is_terminated(status) => return end_of(Ok(()), true),
        Asked::At(asked) => at.duration_since(asked) <= program.window && orders.follow_a_signal(),
        Asked::Killed => false,
    };
    if stopped {
        if !status.success() && !is_terminated(status) {
            printing.stopped_by_another(status);
        }
        return end_of(Ok(()), true);
    }
    match status.success() {
        true => end_of(Ok(()), false),
        false => {
            let failed = CommandFailed { program: program.name, status };
            End::Returned(ExitReason::from_library(failed))
        }
    }
}

/// Waits for the end of the program, passes orders on, and tells what it prints.
async fn told_to_its_end(
    program: &mut Program,
    orders: &mut Orders,
    printing: &Printing,
) -> io::Result<(ExitStatus, Instant, Asked)> {
    let pipes = (program.child.stdout.take(), program.child.stderr.take());
    let told = Told::default();
    let mut printed = pin!(printing.all_of(pipes, &told));
    let ended = {
        let waited = pin!(program.wait(orders));
        match select(waited, printed.as_mut()).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), waited)) => return waited.await,
        }
    };
    last_words(printed, &told, orders).await;
    ended
}

/// Whether an order arrives within the window after the end of a program, or later where a
/// stop is on its way: a supervisor that is being stopped asks each of its children in turn.
async fn stop_arrives(orders: &mut Orders, ended: Instant, window: Duration) -> bool {
    let over = sleep_until(after(ended, window));
    if !window.is_zero() && (orders.were_given() || orders.or(over).await.is_err()) {
        return true;
    }
    while orders.are_to_come() {
        // The look above may be outdated by now, so it is repeated; the order wakes at once.
        if orders.or(sleep(window.max(LOOK_AGAIN))).await.is_err() {
            return true;
        }
    }
    false
}

impl Program {
    /// How it ended and when, and what it had been asked by then.
    async fn wait(&mut self, orders: &mut Orders) -> io::Result<(ExitStatus, Instant, Asked)> {
        let mut asked = Asked::No;
        loop {
            asked = match orders.or(self.child.wait()).await {
                Ok(status) => {
                    #[cfg(unix)]
                    drop(self.running.take());
                    return Ok((status?, Instant::now(), asked));
                }
                Err(Order::Stop) => {
                    self.terminate();
                    Asked::At(Instant::now())
                }
                Err(Order::Kill) => {
                    self.kill();
                    Asked::Killed
                }
            };
        }
    }

    /// Asks it to stop. A program that may not be asked, because it has become another user's, is
    /// killed later.
    #[cfg(unix)]
    fn terminate(&mut self) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
    }

    #[cfg(not(unix))]
    fn terminate(&mut self) {
        self.kill();
    }

    fn kill(&mut self) {
        #[cfg(unix)]
        if self.own_group {
            self.signal(nix::sys::signal::Signal::SIGKILL);
        }
        // It fails only if the program has ended, which the next round finds.
        drop(self.child.start_kill());
    }

    /// Signals it, or its group. It is not waited for yet, so the number is still its own.
    #[cfg(unix)]
    fn signal(&self, signal: nix::sys::signal::Signal) {
        use nix::sys::signal::{kill, killpg};
        use nix::unistd::Pid;

        let number = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(number) = number.map(Pid::from_raw) {
            // It may have ended just now.
            let _ = if self.own_group { killpg(number, signal) } else { kill(number, signal) };
        }
    }
}

/// Whether it ended as one does that was asked to stop: by SIGTERM, or by SIGINT, which
/// `Ctrl-C` sends to all; or with the code by which shells say that.
#[cfg(unix)]
fn is_terminated(status: ExitStatus) -> bool {
    use nix::sys::signal::Signal::{SIGINT, SIGTERM};
    use std::os::unix::process::ExitStatusExt;

    [SIGTERM as i32, SIGINT as i32]
        .into_iter()
        .any(|signal| status.signal() == Some(signal) || status.code() == Some(128 + signal))
}

/// It was killed.
#[cfg(not(unix))]
fn is_terminated(_: ExitStatus) -> bool {
    true
}
