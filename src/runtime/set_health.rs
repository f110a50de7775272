//! The health that a process reports.

use crate::base::Pid;
use crate::kernel::Until;
use crate::observe::Health;
use crate::runtime::Runtime;

impl Runtime {
    /// Sets the health of a process, and replaces an earlier one. Returns false if the process is
    /// not alive. Servers and tasks set their own health with
    /// [`ServerContext::set_health`](crate::ServerContext::set_health) and
    /// [`TaskContext::set_health`](crate::TaskContext::set_health).
    ///
    /// ```
    /// use regrow::{Health, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// assert_eq!(rt.health(pid), Some(Health::Ready)); // the default
    /// assert!(rt.set_health(pid, Health::Stopping));
    /// assert_eq!(rt.health(pid), Some(Health::Stopping));
    /// # }));
    /// ```
    pub fn set_health(&self, pid: Pid, health: Health) -> bool {
        let Some(process) = self.kernel.find(pid) else { return false };
        let is_serving = health.is_serving();
        let mut health = Some(health);
        let is_set = self.kernel.change_health(&*process, |core| {
            let is_open = core.is_open();
            let before = core.reported_health().unwrap_or_default();
            if is_open {
                std::mem::swap(&mut core.registrations_mut().health, &mut health);
            }
            (is_open, is_open && core.reported_health().unwrap_or_default() != before)
        });
        if is_serving {
            self.kernel.waits.reached(pid, Until::Ready);
        }
        self.note_health_change();
        is_set
    }

    /// The health of a process; `None` if it is not alive.
    /// [`set_health`](Self::set_health) has an example.
    pub fn health(&self, pid: Pid) -> Option<Health> {
        let process = self.kernel.find(pid)?;
        process.with(|locked| {
            let core = locked.core();
            core.is_open().then(|| core.reported_health().unwrap_or_default())
        })
    }
}
