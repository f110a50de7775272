//! What a signal does while no run listens to it: what it did before the first run.
//!
//! tokio never takes its handlers back, so a signal that a run has once listened to would do
//! nothing at all after that run. Once per signal a second handler is added beside tokio's, that
//! does what the operating system does by default, while a flag says so. The flag is off as
//! long as any run listens.
//!
//! Handlers of one signal run in the order in which they were added, so this one is added before
//! tokio's: it reads the flag before any run can learn of the signal. A run that is stopped by the
//! signal may return, and set the flag, before the last handler has run; in the other order the
//! signal that the run had already obeyed would then end the process as well.
//!
//! A signal that the program handled or ignored before its first run, as one that `nohup` started
//! ignores `SIGHUP`, is left to the program.

use std::io;

/// While it lives, a run receives these signals, and their default action is off.
#[derive(Debug)]
pub(super) struct HandledSignals(Vec<i32>);

impl HandledSignals {
    /// Begins to listen by `listen`, and then takes their default action from these signals.
    pub(super) fn start<T>(
        signals: Vec<i32>,
        listen: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<(Self, T)> {
        let listening = platform::register(&signals, listen)?;
        Ok((HandledSignals(signals), listening))
    }
}

impl Drop for HandledSignals {
    fn drop(&mut self) {
        platform::unregister(&self.0);
    }
}

#[cfg(unix)]
mod platform {
    use super::io;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    /// A signal that some run has listened to.
    struct Registration {
        /// The runs that listen to it now.
        runs: usize,
        /// Whether it does what it does by default.
        default_enabled: Arc<AtomicBool>,
    }

    /// Handlers of signals belong to the process, whatever runtimes it has.
    static REGISTERED: Mutex<BTreeMap<i32, Registration>> = Mutex::new(BTreeMap::new());

    fn registered() -> MutexGuard<'static, BTreeMap<i32, Registration>> {
        REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register<T>(
        signals: &[i32],
        listen: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut registered = registered();
        let handled = handled_signals()?;
        for &signal in signals {
            if registered.contains_key(&signal) {
                continue;
            }
            let default_enabled = Arc::new(AtomicBool::new(true));
            if handled & bit(signal) == 0 {
                signal_hook::flag::register_conditional_default(signal, default_enabled.clone())?;
            }
            registered.insert(signal, Registration { runs: 0, default_enabled });
        }
        let listening = listen()?;
        for signal in signals {
            let Some(registration) = registered.get_mut(signal) else { continue };
            registration.runs += 1;
            registration.default_enabled.store(false, Ordering::SeqCst);
        }
        Ok(listening)
    }

    pub(super) fn unregister(signals: &[i32]) {
        let mut registered = registered();
        for signal in signals {
            let Some(registration) = registered.get_mut(signal) else { continue };
            registration.runs = registration.runs.saturating_sub(1);
            if registration.runs == 0 {
                registration.default_enabled.store(true, Ordering::SeqCst);
            }
        }
    }

    fn bit(signal: i32) -> u64 {
        u32::try_from(signal - 1).ok().and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0)
    }

    /// The signals that have a handler by now, or are ignored, where the operating system says
    /// so. Where it can't say so just now, because too many files are open, nothing is registered: a
    /// signal that the program ignores would end it after its run.
    fn handled_signals() -> io::Result<u64> {
        let status = match std::fs::read_to_string("/proc/self/status") {
            Ok(status) => status,
            Err(error) if error.raw_os_error().is_some_and(is_shortage) => return Err(error),
            Err(_) => return Ok(0),
        };
        let masks = status.lines().filter_map(|line| {
            line.strip_prefix("SigCgt:").or_else(|| line.strip_prefix("SigIgn:"))
        });
        let masks = masks.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        Ok(masks.fold(0, |all, mask| all | mask))
    }

    /// `ENOMEM`, `ENFILE`, `EMFILE`: they have these numbers on every Unix.
    fn is_shortage(number: i32) -> bool {
        matches!(number, 12 | 23 | 24)
    }
}

/// The console's events are tokio's alone here.
#[cfg(not(unix))]
mod platform {
    use super::io;

    pub(super) fn register<T>(_: &[i32], listen: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        listen()
    }

    pub(super) fn unregister(_: &[i32]) {}
}
