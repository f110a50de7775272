//! The crash reports of a runtime: which ends are reported, and how the facts are gathered.
//!
//! In step 6, the teardown of a process gathers the facts from two places: the relations that it
//! has taken out of the record, and the thread-local note of the callback that failed. It sends no
//! request to the supervisor. So a busy or killed supervisor prevents no report, and a plain
//! process is reported in the same way as a child.
//!
//! Invariants:
//! 1. If no listener and no subscriber wants a report, an end pays for a few checks, and a crash
//!    allocates nothing.
//! 2. Each end is reported at most once, after its ERROR line and its event `Exited`, before any
//!    process is notified of it by a link or a monitor.
//! 3. At most one record is locked at a time, and none while code of a user runs.
//! 4. An end is not reported if its cause is a start that failed or was given up, or a stop of the
//!    tree, of the runtime or of tokio. Such an end is recognized in one of two ways: the record of
//!    the child has noted the stop before the stop began, or the supervisor is stopping or has
//!    ended.
//! 5. The `on_failure` of a child is called only if its supervisor is going to follow the answer,
//!    or the server has followed it.
//!
//! If an ancestor ends while the ancestors are gathered, the list ends before that ancestor.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::one_line::path_excerpt;
use crate::base::path_text::escape;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::sync::atomic::Ordering;
use crate::base::tree_path::Path;
use crate::kernel::Kernel;
use crate::kernel::closing::EndDetails;
use crate::kernel::crashed_child::MAX_ANCESTORS;
use crate::observe::activity::Running;
use crate::observe::crash_report::{Ancestor, CrashCause, CrashHandling, CrashReport, log_line};
use crate::observe::crash_site;
use crate::observe::event::LifecycleEvent;
use crate::observe::log_flood::LineKind;
use crate::observe::log_level::LogLevel;
use crate::observe::state_record::MachineStatus;
use crate::process::{AnyProcess, Relations};

/// The number of links that a report lists.
const MAX_LINKS: usize = 16;

/// The length of a path, in bytes, from which on the limiter cuts the ids in it.
const MAX_LIMITED_PATH: usize = 256;

impl Kernel {
    /// Reports the end of a process if it is a crash and a report is wanted. `unread` counts the
    /// messages that were not handled, of a supervisor or another process.
    pub(super) fn report_crash(
        &self,
        pid: Pid,
        relations: &mut Relations,
        details: &EndDetails,
        unread: &dyn Fn(bool) -> usize,
    ) {
        if details.failed || !details.reason.is_clean() {
            self.report_unclean_end(pid, relations, details, unread);
        }
        // The supervisor is about to add this end to the history. That is cheap only while no other
        // code shares the history, so the share of this end is dropped first.
        drop(relations.child.take());
    }

    #[cold]
    #[inline(never)]
    fn report_unclean_end(
        &self,
        pid: Pid,
        relations: &Relations,
        details: &EndDetails,
        unread: &dyn Fn(bool) -> usize,
    ) {
        let noted = crash_site::take(self.number(), pid);
        let cause = || self.crash_cause(relations, details);
        self.report_if_wanted(cause, noted, (pid, relations, details), unread);
    }

    /// Reports a failure, unless its cause is no crash, or no report is wanted.
    pub(super) fn report_if_wanted(
        &self,
        cause: impl FnOnce() -> Option<CrashCause>,
        noted: Option<CrashHandling>,
        (pid, relations, details): (Pid, &Relations, &EndDetails),
        unread: &dyn Fn(bool) -> usize,
    ) {
        self.note_backtrace(pid, &details.reason);
        let is_logged =
            self.wants_log(LogLevel::Warn) && self.switches.captured(log_line::is_wanted);
        if !is_logged && !self.events.has_listeners() {
            return;
        }
        let Some(cause) = cause() else { return };
        let ancestors = self.ancestors_of(relations);
        let place = relations.place().map(|place| place.text());
        let path = place.unwrap_or_else(|| path_outside(pid, relations, details, &ancestors));
        let (limiter, at) = (&self.crash_report_limit, Instant::now());
        let Some(left_out) = limiter.admit(&limited_path(&path), at) else { return };
        let links: Vec<Pid> = relations.links.keys().copied().collect();
        let handling = handling(noted, relations, details.was_dropped);
        let asks = self.follows_policy(relations, (cause, handling.as_ref()));
        let report = Arc::new(CrashReport {
            pid,
            path,
            label: relations.label.clone(),
            name: details.name.clone(),
            cause,
            reason: details.reason.clone(),
            at,
            child: self.crashed_child(pid, relations, (&details.reason, at), asks),
            handling,
            machine: machine(relations),
            mailbox_depth: unread(is_supervisor(relations)),
            more_links: links.len().saturating_sub(MAX_LINKS),
            links: first_of(links),
            ancestors,
            left_out,
        });
        if is_logged {
            self.line(LineKind::CrashReport, || log_line::write(&report));
        }
        self.events.publish(|| LifecycleEvent::CrashReport(report));
    }

    /// Returns the kind of crash of this end; `None` if the end is no crash. Invariant 4.
    fn crash_cause(&self, relations: &Relations, details: &EndDetails) -> Option<CrashCause> {
        if details.failed {
            return Some(CrashCause::Own);
        }
        let parent = relations.parent?;
        let is_crash = !parent.role?.stop.is_asked_for() && self.restarts_children(parent.pid);
        is_crash.then_some(CrashCause::Outside)
    }

    /// Whether this supervisor handles the failures of its children: it has not ended, and is not
    /// stopping.
    pub(super) fn restarts_children(&self, supervisor: Pid) -> bool {
        let is_stopping = self.closed.load(Ordering::SeqCst) || self.tokio_is_gone();
        let restarts = |supervisor: Arc<dyn AnyProcess>| {
            supervisor.with(|locked| {
                let core = locked.core();
                core.restarts_children() && !core.stop_requested
            })
        };
        !is_stopping && self.find(supervisor).is_some_and(restarts)
    }
}

/// Returns the callback that failed, as the server has noted it. If the server is tracked, the time
/// of the callback is included. If the body was dropped, returns the callback that was running;
/// only a tracked server notes that one.
fn handling(
    noted: Option<CrashHandling>,
    relations: &Relations,
    was_dropped: bool,
) -> Option<CrashHandling> {
    let activity = relations.registrations.as_ref().and_then(|own| own.activity.as_ref());
    let running = activity.and_then(|activity| activity.running);
    let elapsed = running.map(|running| running.handling(Instant::now()).elapsed);
    match (noted, running) {
        (Some(noted), Some(running)) if noted.callback == running.callback => {
            Some(CrashHandling { elapsed: noted.elapsed.or(elapsed), ..noted })
        }
        (None, Some(Running { callback, .. })) if was_dropped => {
            Some(CrashHandling { callback, kind: None, message_type: None, elapsed })
        }
        (noted, _) => noted,
    }
}

fn machine(relations: &Relations) -> Option<MachineStatus> {
    Some(relations.registrations.as_ref()?.state_record.as_ref()?.status())
}

fn is_supervisor(relations: &Relations) -> bool {
    relations.registrations.as_ref().is_some_and(|own| own.supervisor_record.is_some())
}

fn first_of(mut links: Vec<Pid>) -> Vec<Pid> {
    links.sort_unstable();
    links.truncate(MAX_LINKS);
    links
}

/// Returns the path under which the reports of a process are limited: in a long path each id is cut,
/// so that the memory of the limiter is bounded.
fn limited_path(path: &SharedStr) -> SharedStr {
    match path.len() > MAX_LIMITED_PATH {
        true => path_excerpt(path).to_string().into(),
        false => path.clone(),
    }
}

/// Returns the path of a process that is in no tree. A process without a parent, a label and a name
/// has an empty path, so the reports of all such processes are limited together.
fn path_outside(
    pid: Pid,
    relations: &Relations,
    details: &EndDetails,
    ancestors: &[Ancestor],
) -> SharedStr {
    let own = relations.label.clone().or_else(|| details.name.clone());
    let own = match (own, ancestors) {
        (Some(own), _) => own,
        (None, []) => return "".into(),
        (None, _) => pid.to_string().into(),
    };
    let mut path = Path::new();
    for above in ancestors.iter().rev() {
        path.push(
            above.label.as_ref().map_or_else(|| above.pid.to_string(), |label| escape(label)),
        );
    }
    path.push(escape(&own));
    let left_out = if ancestors.len() == MAX_ANCESTORS { "…/" } else { "" };
    format!("{left_out}{path}").into()
}
