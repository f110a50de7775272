//! The operating system's processes that run as children. If async code no longer runs, the
//! watchdog thread kills these processes before it ends the whole program.

use std::sync::Arc;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::base::sync::Mutex;
use crate::kernel::Kernel;

/// The programs that have not been reaped: the operating system still reserves their process ids.
#[derive(Debug, Default)]
pub(crate) struct Programs(Mutex<Vec<Program>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Program {
    number: i32,
    /// Whether the program leads a process group of its own.
    own_group: bool,
}

/// The entry of a running program. The entry is removed when this value is dropped.
#[derive(Debug)]
pub(crate) struct RunningProgram {
    kernel: Arc<Kernel>,
    program: Program,
}

impl Programs {
    /// Kills all running programs. Call this only when no async code runs any more. Otherwise tokio
    /// could reap a program before its kill, and the operating system could give the process id to
    /// another process.
    pub(crate) fn kill_all(&self) {
        for Program { number, own_group } in std::mem::take(&mut *self.0.lock()) {
            let number = Pid::from_raw(number);
            // An error is ignored, because no other call could end the program.
            let kill = if own_group { killpg } else { kill };
            let _ = kill(number, Signal::SIGKILL);
        }
    }
}

impl Kernel {
    /// Adds a running program. `number` is its process id in the operating system.
    pub(crate) fn track_program(
        self: &Arc<Self>,
        number: Option<u32>,
        own_group: bool,
    ) -> Option<RunningProgram> {
        let number = number.and_then(|number| i32::try_from(number).ok())?;
        let program = Program { number, own_group };
        self.programs.0.lock().push(program);
        Some(RunningProgram { kernel: self.clone(), program })
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        let mut programs = self.kernel.programs.0.lock();
        if let Some(at) = programs.iter().position(|program| *program == self.program) {
            programs.swap_remove(at);
        }
    }
}
