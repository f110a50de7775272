//! The findings of a lint, and their texts. A finding is a possible mistake in the description of a
//! tree.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::base::one_line::quoted;
use crate::base::{ErrorChain, SENTENCE, excerpt, path_excerpt};
use crate::runtime::StartError;

/// A finding of a [`Lint`](crate::Lint) in the description of a tree. `Lint` has an example.
///
/// A path consists of the ids from the root down, separated by `/`. An empty id is shown as `""`.
/// In a path of more than 128 levels, `…` stands for the ids in the middle.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A supervisor would refuse to start.
    Refused {
        /// The path of the supervisor.
        path: String,
        /// The error with which the start would fail.
        error: StartError,
    },
    /// Two children, or a child and the root, have the same name. The later one would not start.
    DuplicateName {
        /// The name.
        name: String,
        /// The paths of both, in start order.
        paths: [String; 2],
    },
    /// A supervisor has a shutdown time that its children may exceed. When that time is over, the
    /// supervisor is killed. The children that still run then receive their exit signals all at
    /// once instead of in reverse order, and those that don't trap exits end immediately.
    HurriedSupervisor {
        /// The path of the supervisor.
        path: String,
        /// The shutdown time of the supervisor.
        limit: Duration,
        /// How long the stop may take; `None` if there is no limit.
        needs: Option<Duration>,
    },
    /// The stop of a worker has no time limit. So the stop of a supervisor above the worker has
    /// none either, unless that supervisor, or one in between, has a shutdown time.
    EndlessStop {
        /// The path of the worker.
        path: String,
    },
    /// A stop of the whole tree may take longer than 25 s.
    LongStop {
        /// The longest time that the stop may take.
        worst: Duration,
    },
    /// A supervisor with `auto_shutdown` is transient. When it shuts itself down, that is a clean
    /// end, so it is not started again. When it gives up, it is started again.
    StaysDown {
        /// The path of the supervisor.
        path: String,
    },
    /// A child that keeps failing may be started very often without a delay.
    ManyStarts {
        /// The path of the child.
        path: String,
        /// The highest number of starts without a delay; `None` if there is no limit.
        starts: Option<u64>,
    },
    /// The stops of each restart may take so long that the restarts never exceed the budget of the
    /// supervisor. Then a child that keeps failing is restarted for ever.
    SlowStop {
        /// The path of the supervisor.
        path: String,
        /// The longest time that the stops of one restart may take.
        takes: Duration,
        /// The number of restarts that the budget allows.
        restarts: u32,
        /// The length of the window.
        period: Duration,
    },
}

/// The findings of a lint, as an error. [`Lint`](crate::Lint) has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintError(pub(super) Vec<Finding>);

impl LintError {
    /// Returns the findings.
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Refused { path, error } => {
                let error = excerpt(ErrorChain(error), SENTENCE);
                write!(f, "{} would not start: {error}", path_excerpt(path))
            }
            Finding::DuplicateName { name, paths: [one, two] } => {
                let (one, two, name) = (path_excerpt(one), path_excerpt(two), quoted(name));
                write!(f, "{one} and {two} both have the name {name}: only one can be registered")
            }
            Finding::HurriedSupervisor { path, limit, needs } => hurried(f, path, *limit, *needs),
            Finding::EndlessStop { path } => {
                let path = path_excerpt(path);
                write!(f, "worker {path} may take for ever to stop: give it a time limit")
            }
            Finding::LongStop { worst } => write!(
                f,
                "the whole tree may take {worst:?} to stop, and is given 25s where it is run with \
                 the default deadline"
            ),
            Finding::StaysDown { path } => write!(
                f,
                "transient supervisor {} shuts itself down cleanly, and stays down then: \
                 make it permanent if it should come back",
                path_excerpt(path)
            ),
            Finding::ManyStarts { path, starts } => many_starts(f, path, *starts),
            Finding::SlowStop { path, takes, restarts, period } => write!(
                f,
                "supervisor {} may take {takes:?} to stop what is restarted together, so more \
                 than {restarts} restarts never come within {period:?} and a child that keeps \
                 failing is restarted for ever: give `intensity` a longer period, or the children \
                 less time to stop",
                path_excerpt(path)
            ),
        }
    }
}

fn hurried(
    f: &mut fmt::Formatter<'_>,
    path: &str,
    limit: Duration,
    needs: Option<Duration>,
) -> fmt::Result {
    let (path, needs) = (path_excerpt(path), needs.map(|needs| format!("{needs:?}")));
    let needs = needs.as_deref().unwrap_or("for ever");
    write!(
        f,
        "supervisor {path} has {limit:?} to stop and may need {needs}: give it Shutdown::Infinity"
    )
}

fn many_starts(f: &mut fmt::Formatter<'_>, path: &str, starts: Option<u64>) -> fmt::Result {
    let path = path_excerpt(path);
    match starts {
        Some(starts) => write!(
            f,
            "{path} may be started {starts} times without a pause: allow fewer restarts on the way, \
             or back off"
        ),
        None => write!(
            f,
            "{path} may be started any number of times without a pause: limit the restarts, or back \
             off"
        ),
    }
}

impl fmt::Display for LintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("; "))
    }
}

impl Error for LintError {}
