//! A running program of the operating system: the signals to it, its end, and the exit reason.

use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::process::Child;
use tokio::time::{Instant, sleep, sleep_until};

use crate::child::command::output::{LogProgress, drain_output};
use crate::child::command::{CommandFailed, OutputLog};
use crate::child::stop_requests::StopKind;
use crate::child::{StopRequests, end_of};
use crate::exit::ExitReason;
use crate::kernel::End;
#[cfg(unix)]
use crate::kernel::running_programs::RunningProgram;
use crate::time::timer_queue::after;

/// How often the process of an ended program checks whether an ancestor is still being stopped.
const RECHECK_INTERVAL: Duration = Duration::from_millis(100);

/// A started program.
pub(super) struct Program {
    pub(super) child: Child,
    pub(super) name: String,
    pub(super) own_group: bool,
    pub(super) stop_window: Duration,
    /// `Some` until the program was reaped.
    #[cfg(unix)]
    pub(super) running: Option<RunningProgram>,
}

/// The last signal that was sent to a program before it ended.
enum LastSignal {
    None,
    /// SIGTERM, at this time.
    Stop(Instant),
    Kill,
}

/// Waits for the end of the program, and decides the exit reason.
pub(super) async fn run_to_end(
    mut program: Program,
    mut requests: StopRequests,
    output_log: OutputLog,
) -> End {
    let ended = wait_and_log(&mut program, &mut requests, &output_log).await;
    let (status, ended_at, last_signal) = match ended {
        Ok(ended) => ended,
        Err(error) => return End::Returned(ExitReason::from_library(error)),
    };
    let stopped = match last_signal {
        LastSignal::None => wait_for_stop(&mut requests, ended_at, program.stop_window).await,
        LastSignal::Stop(_) if status.success() || is_terminated(status) => {
            return end_of(Ok(()), true);
        }
        LastSignal::Stop(at) => {
            ended_at.duration_since(at) <= program.stop_window && requests.is_program_stop()
        }
        LastSignal::Kill => false,
    };
    if stopped {
        if !status.success() && !is_terminated(status) {
            output_log.log_external_stop(status);
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

/// Waits for the end of the program, sends it signals, and logs its output.
async fn wait_and_log(
    program: &mut Program,
    requests: &mut StopRequests,
    output_log: &OutputLog,
) -> io::Result<(ExitStatus, Instant, LastSignal)> {
    let pipes = (program.child.stdout.take(), program.child.stderr.take());
    let progress = LogProgress::default();
    let mut printed = pin!(output_log.log_all(pipes, &progress));
    let ended = {
        let waited = pin!(program.wait(requests));
        match select(waited, printed.as_mut()).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), waited)) => return waited.await,
        }
    };
    drain_output(printed, &progress, requests).await;
    ended
}

/// Waits for a request to stop after the end of a program, and returns whether one has arrived
/// within the window. While an ancestor is being stopped, the wait goes on after the window,
/// because a supervisor stops its children one after the other. Steps 4 and 5.
async fn wait_for_stop(requests: &mut StopRequests, ended: Instant, stop_window: Duration) -> bool {
    let deadline = sleep_until(after(ended, stop_window));
    if !stop_window.is_zero()
        && (requests.is_stop_requested() || requests.or_request(deadline).await.is_err())
    {
        return true;
    }
    while requests.is_stop_expected() {
        // The ancestor's stop may end without a request to this process, so the check is repeated.
        // A request ends the sleep at once.
        if requests.or_request(sleep(stop_window.max(RECHECK_INTERVAL))).await.is_err() {
            return true;
        }
    }
    false
}

impl Program {
    /// Waits for the end of the program. Returns the status of the program, the time of the end,
    /// and the last signal before the end.
    async fn wait(
        &mut self,
        requests: &mut StopRequests,
    ) -> io::Result<(ExitStatus, Instant, LastSignal)> {
        let mut last_signal = LastSignal::None;
        loop {
            last_signal = match requests.or_request(self.child.wait()).await {
                Ok(status) => {
                    #[cfg(unix)]
                    drop(self.running.take());
                    return Ok((status?, Instant::now(), last_signal));
                }
                Err(StopKind::Stop) => {
                    self.terminate();
                    LastSignal::Stop(Instant::now())
                }
                Err(StopKind::Kill) => {
                    self.kill();
                    LastSignal::Kill
                }
            };
        }
    }

    /// Asks the program to stop. The signal fails for a program that has changed its user, if this
    /// program lacks the permission. A kill then fails too, and the process waits until the program
    /// ends.
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
        // The kill fails if the program has ended, which the next `wait` detects, or if this
        // program lacks the permission.
        drop(self.child.start_kill());
    }

    /// Signals the program, or its group. The program was not reaped yet, so no other program has
    /// its process id, guarantee 3.
    #[cfg(unix)]
    fn signal(&self, signal: nix::sys::signal::Signal) {
        use nix::sys::signal::{kill, killpg};
        use nix::unistd::Pid;

        let number = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(number) = number.map(Pid::from_raw) {
            // The signal fails if the program has ended just now.
            let _ = if self.own_group { killpg(number, signal) } else { kill(number, signal) };
        }
    }
}

/// Returns whether the program ended by SIGTERM, by SIGINT, which `Ctrl-C` sends to all programs,
/// or with the code by which shells report these signals.
#[cfg(unix)]
fn is_terminated(status: ExitStatus) -> bool {
    use nix::sys::signal::Signal::{SIGINT, SIGTERM};
    use std::os::unix::process::ExitStatusExt;

    [SIGTERM as i32, SIGINT as i32]
        .into_iter()
        .any(|signal| status.signal() == Some(signal) || status.code() == Some(128 + signal))
}

/// Returns true: without signals every stop is a kill.
#[cfg(not(unix))]
fn is_terminated(_: ExitStatus) -> bool {
    true
}
