//! Restores the default action of signals while no run listens to them.
//!
//! # What it guarantees
//!
//! After the last run has stopped listening to a signal, the signal has the effect that it had
//! before the first run. tokio alone does not restore that effect: its handlers stay installed, and
//! the signal would have no effect any more.
//!
//! # States of a signal
//!
//! ```text
//! unregistered ──first run──> handled ──last run ends──> default ──next run──> handled
//! ```
//!
//! On the first registration a second handler is installed beside tokio's. The second handler
//! performs the operating system's default action while its flag is set: in the state *default*.
//!
//! # Invariants
//!
//! 1. The flag is clear while any run listens to the signal.
//! 2. The second handler is installed before tokio's. Handlers of a signal run in the order of
//!    their installation, so the flag is read before any run receives the signal. If tokio's
//!    handler were installed first, a run that stops because of the signal could return and set the
//!    flag before the second handler runs. Then a signal that the run has already obeyed would also
//!    end the process.
//! 3. A signal that the program caught or ignored before its first run gets no second handler, so
//!    the program's own setting applies after the run. A program that `nohup` starts ignores
//!    `SIGHUP`, for example.

use std::io;

/// The signals that a run listens to. Their default actions are off until this is dropped.
#[derive(Debug)]
pub(super) struct HandledSignals(Vec<i32>);

impl HandledSignals {
    /// Calls `listen`, and turns off the default actions of these signals.
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::base::PlainMutex;

    /// A signal that some run has listened to.
    struct Registration {
        /// The number of runs that listen to the signal now.
        runs: usize,
        /// The flag of the second handler.
        default_enabled: Arc<AtomicBool>,
    }

    /// The signals that a run has ever listened to. All runtimes share this map, since signal
    /// handlers belong to the whole process.
    static REGISTERED: PlainMutex<BTreeMap<i32, Registration>> = PlainMutex::new(BTreeMap::new());

    pub(super) fn register<T>(
        signals: &[i32],
        listen: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut registered = REGISTERED.lock();
        let handled = handled_signals()?;
        for &signal in signals {
            if registered.contains_key(&signal) {
                continue;
            }
            let default_enabled = Arc::new(AtomicBool::new(true));
            // Invariant 3.
            if handled & bit(signal) == 0 {
                signal_hook::flag::register_conditional_default(signal, default_enabled.clone())?;
            }
            registered.insert(signal, Registration { runs: 0, default_enabled });
        }
        // Invariant 2: tokio installs its handlers here, after the second handlers.
        let listening = listen()?;
        for signal in signals {
            let Some(registration) = registered.get_mut(signal) else { continue };
            registration.runs += 1;
            registration.default_enabled.store(false, Ordering::SeqCst);
        }
        Ok(listening)
    }

    pub(super) fn unregister(signals: &[i32]) {
        let mut registered = REGISTERED.lock();
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

    /// Returns the signals that the process catches or ignores, as a bit mask; 0 where the
    /// operating system does not report them. Fails if the status can't be read because memory or
    /// file descriptors are exhausted: without the mask, a signal that the program ignores would
    /// end the program after its run.
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

    /// Returns whether this is the number of `ENOMEM`, `ENFILE` or `EMFILE`. These numbers are the
    /// same on every Unix.
    fn is_shortage(number: i32) -> bool {
        matches!(number, 12 | 23 | 24)
    }
}

/// On a system without signals, only tokio handles the events of a console.
#[cfg(not(unix))]
mod platform {
    use super::io;

    pub(super) fn register<T>(_: &[i32], listen: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        listen()
    }

    pub(super) fn unregister(_: &[i32]) {}
}
