//! What a description of a tree should be asked before it runs.
//!
//! Everything here is computed from the description alone; nothing is started. What is only
//! known at run time, the children of dynamic supervisors and of
//! [`with_init`](crate::Supervisor::with_init), counts for nothing.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::child::{ChildType, Restart, Spec};
use crate::shutdown::{STOP_DEADLINE, Shutdown};
use crate::supervisor::auto_shutdown::AutoShutdown;
use crate::supervisor::finding::{Finding, LintError};
use crate::supervisor::most_starts::{self, SlowStop, Starts, nested};
use crate::supervisor::spec::SupervisorSpec;

/// A child that may be started so often, without a delay, before the root gives up is a finding.
const OFTEN: u64 = 100;

/// What [`SupervisorSpec::lint`] found out about a tree before it runs. Its
/// [`Display`](fmt::Display) is for people; [`deny`](Self::deny) turns findings into an
/// error. OTP has no counterpart; its guide warns of the same in prose.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{ChildSpec, Finding, Shutdown, Supervisor};
///
/// let job = |id| ChildSpec::task(id, |_| std::future::pending()).named("job");
/// let inner = Supervisor::one_for_one().with_id("inner").child(job("a"));
/// let patient = job("b").shutdown(Shutdown::Timeout(Duration::from_secs(60)));
/// let tree = Supervisor::one_for_one().named("app").child(inner).child(patient);
///
/// let lint = tree.lint();
/// assert_eq!(lint.worst_stop, Some(Duration::from_secs(65)));
/// assert_eq!(lint.most_starts, Some(16)); // 4 in `inner`, which may come back 3 times
/// let [Finding::LongStop { .. }, Finding::DuplicateName { name, paths }] = &lint.findings[..]
/// else {
///     panic!("{lint}")
/// };
/// assert_eq!((name.as_str(), paths), ("job", &["app/inner/a".into(), "app/b".into()]));
/// assert!(lint.deny().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lint {
    /// What should be looked at.
    pub findings: Vec<Finding>,
    /// How long a stop of the tree takes at worst; `None`: without end.
    pub worst_stop: Option<Duration>,
    /// How often one child may be started at most before the root gives up, if all fails at
    /// once and each child stops at once, or takes as long as its
    /// [`shutdown`](crate::ChildSpec::shutdown) says where that is set: the starts on each level
    /// above it, multiplied. On a level they are the budget plus one; with a
    /// [`Backoff`](crate::Backoff) as many as fit into its
    /// [`give_up_after`](crate::Backoff::give_up_after). `None`: any number of times.
    pub most_starts: Option<u64>,
}

impl Lint {
    /// An error if there are findings: for a test, or for a start that wants none.
    ///
    /// # Errors
    ///
    /// [`LintError`], with all of them.
    pub fn deny(self) -> Result<(), LintError> {
        if self.findings.is_empty() { Ok(()) } else { Err(LintError(self.findings)) }
    }
}

impl SupervisorSpec {
    /// Looks the tree over before it runs. [`Lint`] has an example.
    pub fn lint(&self) -> Lint {
        let mut walk = Walk::default();
        walk.names.extend(self.name.iter().map(|name| (name.to_string(), self.id.to_string())));
        let worst_stop = walk.supervisor(self, &self.id, Starts::ONCE);
        if let Some(worst) = worst_stop.filter(|worst| *worst > STOP_DEADLINE) {
            walk.findings.push(Finding::LongStop { worst });
        }
        walk.duplicate_names();
        Lint { findings: walk.findings, worst_stop, most_starts: walk.most_starts }
    }
}

struct Walk {
    findings: Vec<Finding>,
    /// Each name, and who wants it, in order.
    names: Vec<(String, String)>,
    most_starts: Option<u64>,
}

impl Default for Walk {
    fn default() -> Self {
        Walk { findings: Vec::new(), names: Vec::new(), most_starts: Some(1) }
    }
}

impl Walk {
    /// Looks at a supervisor and all below it; gives how long its stop may take. `starts` is
    /// how often itself may be started.
    fn supervisor(
        &mut self,
        spec: &SupervisorSpec,
        path: &str,
        starts: Starts,
    ) -> Option<Duration> {
        if let Err(error) = spec.check() {
            self.findings.push(Finding::Refused { path: path.to_owned(), error });
        }
        let (each, slow) = most_starts::of(spec);
        if let Some(SlowStop { takes, restarts, period }) = slow {
            let path = path.to_owned();
            self.findings.push(Finding::SlowStop { path, takes, restarts, period });
        }
        let mut worst = Some(Duration::ZERO);
        for (child, each) in spec.children.iter().zip(each) {
            let child = &child.spec;
            let starts = starts.times(each);
            let path = format!("{path}/{}", child.id);
            let needs = self.child(child, &path, starts);
            worst = worst.zip(needs).map(|(sum, needs)| sum.saturating_add(needs));
        }
        worst
    }

    fn child(&mut self, child: &Spec, path: &str, starts: Starts) -> Option<Duration> {
        if let Some(name) = &child.name {
            self.names.push((name.to_string(), path.to_owned()));
        }
        let needs = match nested(child) {
            Some(spec) => self.nested(child, spec, path, starts),
            None => {
                self.many_starts(child, path, starts);
                Some(Duration::ZERO).filter(|_| child.kind == ChildType::Supervisor)
            }
        };
        match child.shutdown {
            Shutdown::BrutalKill => Some(Duration::ZERO),
            Shutdown::Timeout(limit) => Some(limit),
            Shutdown::Infinity => {
                if child.kind == ChildType::Worker {
                    self.findings.push(Finding::EndlessStop { path: path.to_owned() });
                }
                needs
            }
        }
    }

    fn nested(
        &mut self,
        child: &Spec,
        spec: &SupervisorSpec,
        path: &str,
        starts: Starts,
    ) -> Option<Duration> {
        let needs = self.supervisor(spec, path, starts);
        if let Shutdown::Timeout(limit) = child.shutdown
            && needs.is_none_or(|needs| needs > limit)
        {
            self.findings.push(Finding::HurriedSupervisor { path: path.to_owned(), limit, needs });
        }
        if child.restart == Restart::Transient && spec.auto_shutdown != AutoShutdown::Never {
            self.findings.push(Finding::StaysDown { path: path.to_owned() });
        }
        needs
    }

    fn many_starts(&mut self, child: &Spec, path: &str, starts: Starts) {
        if child.restart == Restart::Temporary {
            return;
        }
        let Starts { most, burst } = starts;
        self.most_starts = self.most_starts.zip(most).map(|(so_far, most)| so_far.max(most));
        if burst.is_none_or(|burst| burst >= OFTEN) {
            self.findings.push(Finding::ManyStarts { path: path.to_owned(), starts: burst });
        }
    }

    fn duplicate_names(&mut self) {
        let mut first: HashMap<&str, &str> = HashMap::new();
        for (name, path) in &self.names {
            match first.get(name.as_str()) {
                None => drop(first.insert(name, path)),
                Some(holder) => {
                    let paths = [(*holder).to_owned(), path.clone()];
                    self.findings.push(Finding::DuplicateName { name: name.clone(), paths });
                }
            }
        }
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))?;
        match self.worst_stop {
            Some(worst) => write!(f, "a stop takes {worst:?} at worst")?,
            None => f.write_str("a stop may take for ever")?,
        }
        match self.most_starts {
            Some(starts) => write!(f, "; one child is started {starts} times at most"),
            None => f.write_str("; one child may be started any number of times"),
        }
    }
}
