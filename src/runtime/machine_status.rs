//! What can be seen of a state machine.

use crate::base::Pid;
use crate::observe::MachineStatus;
use crate::runtime::Runtime;

impl Runtime {
    /// Returns the name of the state of a [state machine](crate::StateMachine), and its last changes;
    /// `None` if the process is no machine or not alive. The machine is not asked, so the answer comes
    /// also while a handler runs. [`MachineStatus`] has an example. OTP: a part of
    /// `sys:get_status/1`.
    pub fn machine_status(&self, pid: Pid) -> Option<MachineStatus> {
        let process = self.kernel.find(pid)?;
        let record = process.with(|locked| locked.core().registrations()?.state_record.clone())?;
        Some(record.status())
    }
}
