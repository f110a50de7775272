//! What there is to find in the description of a tree, and how it is told.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::base::error_chain::ErrorChain;
use crate::base::one_line::{SENTENCE, excerpt, path_excerpt, quoted};
use crate::runtime::errors::start_error::StartError;

/// One thing to look at in the description of a tree. [`Lint`](crate::Lint) has an example.
///
/// A path is the ids from the root down, separated by `/`. An empty id is `""`; of what is more
/// than 128 levels down the ids in the middle are left out, and `…` stands for them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A supervisor would refuse to start.
    Refused {
        /// Which supervisor.
        path: String,
        /// What it would say.
        error: StartError,
    },
    /// Two children want one name; the second would not start.
    DuplicateName {
        /// The name.
        name: String,
        /// Who wants it.
        paths: [String; 2],
    },
    /// A supervisor has a time limit to stop: when that is over it is killed, and its
    /// children with it, without their own time.
    HurriedSupervisor {
        /// Which supervisor.
        path: String,
        /// Its limit.
        limit: Duration,
        /// How long it may need; `None`: without end.
        needs: Option<Duration>,
    },
    /// A worker may take as long as it likes to stop, and so may everything above it.
    EndlessStop {
        /// Which worker.
        path: String,
    },
    /// A stop of the whole tree may take longer than 25 s.
    LongStop {
        /// How long, at worst.
        worst: Duration,
    },
    /// A supervisor that shuts itself down ends cleanly, and is then not started again: its
    /// restart type is transient. Give-ups are restarted.
    StaysDown {
        /// Which supervisor.
        path: String,
    },
    /// A failing child may be started very often without a delay.
    ManyStarts {
        /// Which child.
        path: String,
        /// How often without a delay, at most; `None`: any number of times.
        starts: Option<u64>,
    },
    /// The stops of one restart may take so long that the supervisor's window has forgotten the
    /// restarts before it: a child that keeps failing is restarted for ever.
    SlowStop {
        /// Which supervisor.
        path: String,
        /// How long the stops of one restart may take.
        takes: Duration,
        /// How many restarts its budget allows.
        restarts: u32,
        /// Within how long a window.
        period: Duration,
    },
}

/// What a lint found, as an error. [`Lint`](crate::Lint) has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintError(pub(super) Vec<Finding>);

impl LintError {
    /// What was found.
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
                write!(f, "{one} and {two} both want the name {name}: only one can have it")
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
    let path = path_excerpt(path);
    write!(f, "supervisor {path} has {limit:?} to stop and may need ")?;
    match needs {
        Some(needs) => write!(f, "{needs:?}")?,
        None => f.write_str("for ever")?,
    }
    f.write_str(": give it Shutdown::Infinity")
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
