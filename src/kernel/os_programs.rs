//! The programs of the operating system that run as children, for the thread that ends this
//! process when no async code can: nothing else would be left to kill them.

use std::sync::Arc;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::base::sync::Mutex;
use crate::kernel::Kernel;

/// The numbers of those that have not been waited for.
#[derive(Debug, Default)]
pub(crate) struct Programs(Mutex<Vec<Program>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Program {
    number: i32,
    /// It leads a process group of its own.
    own_group: bool,
}

/// A program that runs, until this is dropped.
#[derive(Debug)]
pub(crate) struct RunningProgram {
    kernel: Arc<Kernel>,
    program: Program,
}

impl Programs {
    /// Kills all of them. To be called only where no async code runs any more: so none is waited
    /// for meanwhile, and no number is another's by now.
    pub(crate) fn kill_all(&self) {
        for Program { number, own_group } in std::mem::take(&mut *self.0.lock()) {
            let number = Pid::from_raw(number);
            // It fails only for one that has ended.
            let _ = match own_group {
                true => killpg(number, Signal::SIGKILL),
                false => kill(number, Signal::SIGKILL),
            };
        }
    }
}

impl Kernel {
    /// A program of this number runs from now on.
    pub(crate) fn program_runs(
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
