//! The error that a supervisor ends with when it gives up: the limit, the restarts that counted
//! against the limit, and the last end of a child.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::base::{Pid, SharedStr};
use crate::exit::{Causeless, ExitReason};
use crate::kernel::Kernel;
use crate::restart::{Counted, Exceeded, Window};

/// How many ids an error lists with their counts.
const MAX_LISTED_IDS: usize = 8;

/// How many characters of an id the text shows.
const MAX_ID_CHARS: usize = 64;

/// The limit that a supervisor, or a single child, reached.
/// [`Backoff::give_up_after`](crate::Backoff::give_up_after) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// More restarts were due than the budget allows. The restarts of all children that share the
    /// budget count.
    Budget,
    /// The child had no healthy run for as long as its [`Backoff`](crate::Backoff) allows.
    NoHealthyRun,
    /// No limit: the child asked for the end of its tree, with
    /// [`end_tree`](crate::TaskContext::end_tree), or is a supervisor with such a child.
    EndOfTree,
    /// No limit: the child's [`on_failure`](crate::ChildSpec::on_failure) has decided to
    /// [escalate](crate::FailurePolicy::Escalate) the failure.
    Escalated,
}

/// The error that a supervisor ends with when it gives up. In OTP the reason is `shutdown`, so a
/// transient subtree disappears without a report.
///
/// The [`ExitReason`] of the supervisor contains this error. The text names the limit, the restarts
/// that counted against the limit, and the child that ended last, with the reason of that end. If
/// that child ended with an error, the text leaves that error out, and [`source`](Error::source)
/// returns it.
///
/// ```
/// use regrow::{ChildSpec, ExitReason, RestartLimitReached, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let failing = ChildSpec::task("failing", |_| async { Err(ExitReason::crashed("no luck")) });
/// let tree = Supervisor::one_for_one().child(failing).start(&rt).await.unwrap();
/// let reason = tree.ended().await;
/// let limit = reason.crash().unwrap().downcast_ref::<RestartLimitReached>().unwrap();
/// assert_eq!((limit.child.as_str(), limit.restarts), ("failing", 3));
/// assert_eq!(limit.last, ExitReason::crashed("no luck"));
/// assert_eq!(
///     limit.to_string(),
///     "more than 3 restarts within 5s: 4 of \"failing\"; \
///      the last end was that of child \"failing\": no luck"
/// );
/// # }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartLimitReached {
    /// The id of the child that ended last, and that would have been restarted next.
    pub child: String,
    /// The limit that was reached.
    pub limit: Limit,
    /// For [`Limit::Budget`]: the number of restarts that the budget allows within any `period`.
    /// For [`Limit::NoHealthyRun`]: how often the child was restarted without success. Otherwise 0.
    pub restarts: u32,
    /// For [`Limit::Budget`]: the length of the window. For [`Limit::NoHealthyRun`]: how long the
    /// backoff allows the child to have no healthy run. Otherwise zero.
    pub period: Duration,
    /// The restarts that counted against the limit, by the ids of the children, the highest count
    /// first; at most eight ids. For [`Limit::Budget`]: the restarts within the window, and the
    /// restart that was refused. Together with [`uncounted`](Self::uncounted) these are one more
    /// than `restarts`. For [`Limit::NoHealthyRun`]: the restarts of the child alone.
    pub counts: Vec<RestartCount>,
    /// The number of counted restarts of the ids that are not in `counts`.
    pub uncounted: u32,
    /// The reason of the last end of `child`, or the error of its last start.
    pub last: ExitReason,
    /// The supervisor that gave up. By this field a supervisor distinguishes its own error from an
    /// error of another supervisor that its init returned by `?`.
    pub(crate) origin: Origin,
}

/// The counted restarts of the children with one id. [`RestartLimitReached`] lists them.
///
/// ```
/// use std::time::Duration;
/// use regrow::{ChildSpec, RestartLimitReached, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let child = |id: &str| ChildSpec::task(id, |_| std::future::pending());
/// let tree = Supervisor::one_for_one().intensity(1, Duration::from_secs(60));
/// let tree = tree.child(child("a")).child(child("b")).start(&rt).await.unwrap();
/// for child in tree.which_children().await.unwrap() {
///     rt.kill(child.pid().unwrap());
/// }
/// let reason = tree.ended().await;
/// let limit = reason.crash().unwrap().downcast_ref::<RestartLimitReached>().unwrap();
/// let counts = limit.counts.iter().map(|count| (count.child.as_str(), count.restarts));
/// assert_eq!(counts.collect::<Vec<_>>(), [("a", 1), ("b", 1)]);
/// # }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartCount {
    /// The id of the child or the children.
    pub child: SharedStr,
    /// The number of children with this id that were counted. A dynamic supervisor may have several
    /// children with one id.
    pub children: u32,
    /// The number of counted restarts of these children together.
    pub restarts: u32,
}

/// The supervisor that gave up, and the last incarnation of the child that caused the error.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The kernel of the runtime, because pids of different runtimes may be equal.
    pub(crate) kernel: Weak<Kernel>,
    pub(crate) supervisor: Option<Pid>,
    /// The last pid of the child. A fixed supervisor sets `None` if the last start of the child
    /// failed.
    pub(crate) child: Option<Pid>,
}

impl Origin {
    /// Returns whether this process is the supervisor that gave up.
    pub(crate) fn is_of(&self, kernel: &Arc<Kernel>, pid: Option<Pid>) -> bool {
        std::ptr::eq(self.kernel.as_ptr(), Arc::as_ptr(kernel))
            && pid.is_some()
            && self.supervisor == pid
    }
}

/// Two origins are always equal, because the origin is not part of the value of an error.
impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl RestartLimitReached {
    /// Returns the error of a limit that was reached by restarts of this child. The supervisor ends
    /// with the error, or gives the child up.
    pub(crate) fn new(
        exceeded: Exceeded,
        window: &Window,
        child: Counted,
        last: ExitReason,
        origin: Origin,
    ) -> Self {
        let id = child.id.to_string();
        let (limit, restarts, period, mut counts) = match exceeded {
            Exceeded::Budget { restarts, period } => {
                (Limit::Budget, restarts, period, counts(window.counted().chain([&child])))
            }
            Exceeded::NoHealthyRun { tries, within } => {
                let count = RestartCount { child: child.id, children: 1, restarts: tries };
                (Limit::NoHealthyRun, tries, within, vec![count])
            }
        };
        let rest = counts.split_off(counts.len().min(MAX_LISTED_IDS));
        counts.shrink_to_fit();
        let uncounted = rest.iter().map(|count| count.restarts).sum();
        RestartLimitReached { child: id, limit, restarts, period, counts, uncounted, last, origin }
    }

    /// Returns the error with which the supervisor of this child ends without having reached a
    /// limit. `limit` is the cause.
    pub(crate) fn without_limit(
        limit: Limit,
        child: &SharedStr,
        last: ExitReason,
        origin: Origin,
    ) -> Self {
        RestartLimitReached {
            child: child.to_string(),
            limit,
            restarts: 0,
            period: Duration::ZERO,
            counts: Vec::new(),
            uncounted: 0,
            last,
            origin,
        }
    }
}

/// Counts restarts by the ids of their children. The highest count comes first. Ids with equal
/// counts are in the order of their first restarts.
fn counts<'a>(restarts: impl Iterator<Item = &'a Counted>) -> Vec<RestartCount> {
    let (mut counts, mut at) = (Vec::<RestartCount>::new(), HashMap::new());
    let mut known = HashSet::new();
    for Counted { number, id } in restarts {
        let at = *at.entry(id.as_str()).or_insert(counts.len());
        if at == counts.len() {
            counts.push(RestartCount { child: id.clone(), children: 0, restarts: 0 });
        }
        counts[at].restarts += 1;
        counts[at].children += u32::from(known.insert(number));
    }
    counts.sort_by_key(|count| std::cmp::Reverse(count.restarts));
    counts
}

impl fmt::Display for RestartLimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RestartLimitReached { child, limit, restarts, period, counts, uncounted, .. } = self;
        let (child, s) = (Short(child), if *restarts == 1 { "" } else { "s" });
        match limit {
            Limit::Budget => {
                write!(f, "more than {restarts} restart{s} within {period:?}: ")?;
                for (at, count) in counts.iter().enumerate() {
                    write!(f, "{}{count}", if at == 0 { "" } else { ", " })?;
                }
                if *uncounted > 0 {
                    write!(f, ", {uncounted} of others")?;
                }
                write!(f, "; the last end was that of child {child}: ")?;
            }
            Limit::NoHealthyRun => write!(
                f,
                "child {child} had no healthy run for {period:?}, in {restarts} restart{s}, its \
                 last end: "
            )?,
            Limit::EndOfTree => write!(f, "child {child} ended the tree: ")?,
            Limit::Escalated => {
                write!(f, "a failure of child {child} ends its supervisor by its policy: ")?;
            }
        }
        write!(f, "{}", Causeless(&self.last))
    }
}

impl fmt::Display for RestartCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (restarts, child) = (self.restarts, Short(&self.child));
        match self.children {
            0 | 1 => write!(f, "{restarts} of {child}"),
            children => write!(f, "{restarts} of {children} children {child}"),
        }
    }
}

/// Shows the beginning of an id, in quotes.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_ID_CHARS) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}\u{2026}", &self.0[..end]),
        }
    }
}

impl Error for RestartLimitReached {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last.cause()
    }
}
