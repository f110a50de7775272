//! The lint of a supervisor's description: finds mistakes in a tree before it runs.
//!
//! All results are computed from the description; no process is started. Children that are only
//! known at run time, those of dynamic supervisors and of
//! [`with_init`](crate::Supervisor::with_init), are left out.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::base::SharedStr;
use crate::base::tree_path::Path;
use crate::child::{ChildType, Restart, Spec};
use crate::exit::Shutdown;
use crate::exit::shutdown::STOP_DEADLINE;
use crate::supervisor::spec::finding::LintError;
use crate::supervisor::spec::most_starts::{self, SlowStop, Starts};
use crate::supervisor::spec::stop_times::{StopTimes, nested};
use crate::supervisor::{AutoShutdown, Finding, SupervisorSpec};

/// The number of starts, without a delay and before the root gives up, that makes a child a
/// finding.
const MANY_STARTS: u64 = 100;

/// The result of [`SupervisorSpec::lint`]: findings and bounds of a tree that doesn't run yet. The
/// [`Display`](fmt::Display) text is for people; [`deny`](Self::deny) turns findings into an error.
/// OTP has no counterpart, but its guide warns of the same mistakes.
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
/// assert_eq!(lint.most_starts, Some(16)); // 4 in each run of `inner`, which is started 4 times
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
    /// The possible mistakes.
    pub findings: Vec<Finding>,
    /// The longest time that a stop of the tree may take; `None` if there is no limit.
    pub worst_stop: Option<Duration>,
    /// How often one child may be started at most before the root gives up; `None` if there is no
    /// limit. The number is a product of one factor for the child and one for each supervisor
    /// between the child and the root. A factor says how often one incarnation of the supervisor
    /// above may start the child or the supervisor: the restart budget of the supervisor above, or of
    /// the [child alone](crate::ChildSpec::restart_budget), plus one or, with a [`Backoff`](crate::Backoff), the number of starts that fit into
    /// [`give_up_after`](crate::Backoff::give_up_after).
    ///
    /// The number assumes that every child fails as soon as it is started, and that it stops at
    /// once, or takes its whole [`shutdown`](crate::ChildSpec::shutdown) time where that is set.
    pub most_starts: Option<u64>,
}

impl Lint {
    /// Returns an error if there are findings. Use this in a test, or before the tree is started.
    ///
    /// # Errors
    ///
    /// [`LintError`], with all findings.
    pub fn deny(self) -> Result<(), LintError> {
        if self.findings.is_empty() { Ok(()) } else { Err(LintError(self.findings)) }
    }
}

impl SupervisorSpec {
    /// Lints this description and all descriptions below it. [`Lint`] has an example.
    pub fn lint(&self) -> Lint {
        let own_name = self.name.iter().map(|name| (name.to_string(), self.id.to_string()));
        let (findings, names) = (Vec::new(), own_name.collect());
        let mut walk = Walk { findings, names, most_starts: Some(1) };
        let worst_stop = walk.tree(self);
        if let Some(worst) = worst_stop.filter(|worst| *worst > STOP_DEADLINE) {
            walk.findings.push(Finding::LongStop { worst });
        }
        walk.duplicate_names();
        Lint { findings: walk.findings, worst_stop, most_starts: walk.most_starts }
    }
}

/// The walk through a tree, and its results.
struct Walk {
    findings: Vec<Finding>,
    /// Each name and the path of its child, in start order.
    names: Vec<(String, String)>,
    most_starts: Option<u64>,
}

/// A supervisor whose children are being visited.
struct Level<'a> {
    spec: &'a SupervisorSpec,
    /// The specification of the supervisor as a child; `None` for the root.
    child: Option<&'a Spec>,
    path: Path<SharedStr>,
    /// How often each child may be started, by all incarnations of the supervisor together.
    starts: Vec<Starts>,
    /// How many children have been visited.
    seen: usize,
    /// The longest time that the stops of the visited children take together; `None` if there is no
    /// limit.
    worst: Option<Duration>,
}

impl Walk {
    /// Visits a root and all children below it. Returns the longest time that the stop of the root
    /// may take. Descriptions may be nested deeper than a thread's stack allows for recursion, so
    /// the open levels are kept in a list.
    fn tree(&mut self, root: &SupervisorSpec) -> Option<Duration> {
        let stops = StopTimes::of(root);
        let mut path = Path::new();
        path.push(root.id.clone());
        let mut level = self.enter(Level::of(root, None, path), Starts::ONCE, &stops);
        let mut above = Vec::new();
        loop {
            let Some(child) = level.spec.children.get(level.seen) else {
                let needs = level.worst;
                let (Some(child), Some(up)) = (level.child, above.pop()) else { return needs };
                let left = std::mem::replace(&mut level, up);
                self.leave(child, &left, needs);
                level.add(self.stop(child, &left.path, needs));
                continue;
            };
            let child: &Spec = &child.spec;
            let path = level.path.below(child.id.clone());
            let starts = level.starts.get(level.seen).copied().unwrap_or(Starts::ONCE);
            level.seen += 1;
            self.names.extend(child.name.iter().map(|name| (name.to_string(), path.to_string())));
            if let Some(spec) = nested(child) {
                let below = self.enter(Level::of(spec, Some(child), path), starts, &stops);
                above.push(std::mem::replace(&mut level, below));
            } else {
                self.many_starts(child, &path, starts);
                let is_supervisor = child.kind == ChildType::Supervisor;
                let needs = is_supervisor.then_some(Duration::ZERO);
                level.add(self.stop(child, &path, needs));
            }
        }
    }

    /// Enters a supervisor, which may be started as often as `own` says.
    fn enter<'a>(&mut self, level: Level<'a>, own: Starts, stops: &StopTimes) -> Level<'a> {
        let Level { spec, path, .. } = &level;
        if let Err(error) = spec.check() {
            self.findings.push(Finding::Refused { path: path.to_string(), error });
        }
        let (each, slow) = most_starts::starts_per_child(spec, stops);
        if let Some(SlowStop { takes, restarts, period }) = slow {
            let path = path.to_string();
            self.findings.push(Finding::SlowStop { path, takes, restarts, period });
        }
        let starts = each.into_iter().map(|each| own.multiplied_by(each)).collect();
        Level { starts, ..level }
    }

    /// Leaves a supervisor whose children have been visited. `needs` is the longest time that the
    /// stops of these children may take.
    fn leave(&mut self, child: &Spec, left: &Level<'_>, needs: Option<Duration>) {
        let Level { spec, path, .. } = left;
        if let Shutdown::Timeout(limit) = child.shutdown
            && needs.is_none_or(|needs| needs > limit)
        {
            self.findings.push(Finding::HurriedSupervisor { path: path.to_string(), limit, needs });
        }
        if child.restart == Restart::Transient && spec.auto_shutdown != AutoShutdown::Never {
            self.findings.push(Finding::StaysDown { path: path.to_string() });
        }
    }

    /// Returns the longest time that the stop of a child may take. `needs` is the time that the
    /// stop would take if the child's specification set no limit.
    fn stop(
        &mut self,
        child: &Spec,
        path: &Path<SharedStr>,
        needs: Option<Duration>,
    ) -> Option<Duration> {
        match child.shutdown {
            Shutdown::BrutalKill => Some(Duration::ZERO),
            Shutdown::Timeout(limit) => Some(limit),
            Shutdown::Infinity => {
                if child.kind == ChildType::Worker {
                    self.findings.push(Finding::EndlessStop { path: path.to_string() });
                }
                needs
            }
        }
    }

    fn many_starts(&mut self, child: &Spec, path: &Path<SharedStr>, starts: Starts) {
        if child.restart == Restart::Temporary {
            return;
        }
        let Starts { most, burst } = starts;
        self.most_starts = self.most_starts.zip(most).map(|(so_far, most)| so_far.max(most));
        if burst.is_none_or(|burst| burst >= MANY_STARTS) {
            self.findings.push(Finding::ManyStarts { path: path.to_string(), starts: burst });
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

impl<'a> Level<'a> {
    fn of(spec: &'a SupervisorSpec, child: Option<&'a Spec>, path: Path<SharedStr>) -> Self {
        Level { spec, child, path, starts: Vec::new(), seen: 0, worst: Some(Duration::ZERO) }
    }

    /// Adds the longest time that the stop of one more child may take.
    fn add(&mut self, needs: Option<Duration>) {
        self.worst = self.worst.zip(needs).map(|(sum, needs)| sum.saturating_add(needs));
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
