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
//! A signal that the program caught or ignored before its first run, as one that `nohup` started
//! ignores `SIGHUP`, is left to the program.

use std::io;

/// While it lives, a run receives these signals, and their default action is off.
#[derive(Debug)]
pub(super) struct Listening(Vec<i32>);

impl Listening {
    /// Begins to listen by `listen`, and then takes their default action from these signals.
    pub(super) fn begin<T>(
        signals: Vec<i32>,
        listen: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<(Self, T)> {
        let listened = shared::take(&signals, listen)?;
        Ok((Listening(signals), listened))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        shared::give_back(&self.0);
    }
}

#[cfg(unix)]
mod shared {
    use super::io;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    /// A signal that some run has listened to.
    struct Taken {
        /// The runs that listen to it now.
        runs: usize,
        /// Whether it does what it does by default.
        by_default: Arc<AtomicBool>,
    }

    /// Handlers of signals belong to the process, whatever runtimes it has.
    static TAKEN: Mutex<BTreeMap<i32, Taken>> = Mutex::new(BTreeMap::new());

    fn taken() -> MutexGuard<'static, BTreeMap<i32, Taken>> {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take<T>(
        signals: &[i32],
        listen: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut taken = taken();
        let caught = catch_panic()?;
        for &signal in signals {
            if taken.contains_key(&signal) {
                continue;
            }
            let by_default = Arc::new(AtomicBool::new(true));
            if caught & bit(signal) == 0 {
                signal_hook::flag::register_conditional_default(signal, by_default.clone())?;
            }
            taken.insert(signal, Taken { runs: 0, by_default });
        }
        let listened = listen()?;
        for signal in signals {
            let Some(known) = taken.get_mut(signal) else { continue };
            known.runs += 1;
            known.by_default.store(false, Ordering::SeqCst);
        }
        Ok(listened)
    }

    pub(super) fn give_back(signals: &[i32]) {
        let mut taken = taken();
        for signal in signals {
            let Some(known) = taken.get_mut(signal) else { continue };
            known.runs = known.runs.saturating_sub(1);
            if known.runs == 0 {
                known.by_default.store(true, Ordering::SeqCst);
            }
        }
    }

    fn bit(signal: i32) -> u64 {
        u32::try_from(signal - 1).ok().and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0)
    }

    /// The signals that have a handler by now, or are ignored, where the operating system says
    /// so. Where it can't say so just now, because too many files are open, nothing is taken: a
    /// signal that the program ignores would end it after its run.
    fn catch_panic() -> io::Result<u64> {
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
mod shared {
    use super::io;

    pub(super) fn take<T>(_: &[i32], listen: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        listen()
    }

    pub(super) fn give_back(_: &[i32]) {}
}
