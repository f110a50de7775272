//! The reasons for which processes end.

use std::error::Error;
use std::fmt;
use std::panic::Location;

use crate::exit::crash::{BoxError, Crash, Detail};

/// The result of a process's body and of its handlers. After `Ok` from a handler the process
/// continues; `Err(reason)` ends the process with that reason. `?` converts an [`ExitError`] back
/// into its reason, and any other error into a crash with that error.
///
/// ```
/// use regrow::{ExitReason, Result};
///
/// fn parse(text: &str) -> Result<u16> {
///     Ok(text.parse::<u16>()?)
/// }
/// assert_eq!(parse("80"), Ok(80));
/// let Err(ExitReason::Crashed(crash)) = parse("x") else { panic!() };
/// assert!(crash.downcast_ref::<std::num::ParseIntError>().is_some());
/// ```
pub type Result<T = (), E = ExitReason> = std::result::Result<T, E>;

/// The reason for which a process ended. A reason is cheap to clone, and all observers of one end
/// get the same reason.
///
/// `?` and `From` turn an error into a reason that keeps the error, its sources and the location of
/// the `?`. `ExitReason` itself does not implement [`Error`], since this conversion would then be
/// impossible; [`into_error`](ExitReason::into_error) returns an error with the reason. In a
/// function that returns `Box<dyn Error>`, `?` calls `into_error`. If the error type is
/// `Box<dyn Error + Send + Sync>`, or a type of another library, write
/// `.map_err(ExitReason::into_error)?`.
///
/// | reason | linked processes that don't trap exits | a transient child |
/// |---|---|---|
/// | `Normal` | continue | is not restarted: the end is clean |
/// | `Shutdown`, `ShutdownWith` | end too: the end is abnormal | is not restarted: the end is clean |
/// | `Killed`, `NoProc`, `NoConnection`, `Crashed` | end too: the end is abnormal | is restarted |
///
/// The [`Display`](fmt::Display) of a reason is one line. If the reason contains an error, the line
/// contains the text of that error without its causes. `{:#}` adds the causes of the error, each
/// once, and the location. Line breaks, escape sequences and other controls in the text of a panic
/// or an error are escaped, but not in [`Crash::message`] and [`Detail::text`]. An error is a valid
/// reason even if its `Display` panics, fails or writes without end, or its `source` panics or its
/// chain of sources never ends. A note in the text then names the problem.
///
/// Two reasons are equal if their variants and their texts are equal. OTP's counterparts are the
/// exit terms `normal`, `shutdown`, `{shutdown, Term}`, `killed`, `noproc` and `noconnection`; any
/// other term is a crash.
///
/// # Examples
///
/// ```
/// use regrow::ExitReason;
///
/// let error = "eighty".parse::<u16>().unwrap_err();
/// let reason = ExitReason::from(error);
/// assert!(reason.is_abnormal() && !reason.is_clean());
/// assert_eq!(reason.to_string(), "error: invalid digit found in string");
/// // With the sources and the location, as in the log.
/// assert!(format!("{reason:#}").contains(" (at "));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// The process finished its work.
    Normal,
    /// The process was asked to stop, or chose to stop cleanly.
    Shutdown,
    /// The process stopped cleanly, and gave a value that describes the stop.
    ShutdownWith(Detail),
    /// The process was killed, or its task was dropped.
    Killed,
    /// The process did not exist.
    NoProc,
    /// The connection to the node of the process was lost, or there was none. Whether the process
    /// has ended is not known.
    NoConnection,
    /// The process panicked, returned an error, or ended with an explicit crash.
    Crashed(Crash),
}

impl ExitReason {
    /// Returns the reason of an explicit crash with this message.
    ///
    /// ```
    /// use regrow::ExitReason;
    ///
    /// let reason = ExitReason::crashed("out of cheese");
    /// assert!(reason.is_abnormal() && !reason.is_clean());
    /// assert_eq!(reason.to_string(), "out of cheese");
    /// ```
    pub fn crashed(message: impl Into<String>) -> Self {
        ExitReason::Crashed(Crash::explicit(message.into()))
    }

    /// Returns the reason of a clean stop, with a value that describes the stop.
    ///
    /// ```
    /// use regrow::ExitReason;
    ///
    /// let reason = ExitReason::shutdown_with(12_u8);
    /// let ExitReason::ShutdownWith(detail) = &reason else { panic!() };
    /// assert_eq!(detail.downcast_ref::<u8>(), Some(&12));
    /// assert_eq!(reason.to_string(), "shutdown: 12");
    /// ```
    pub fn shutdown_with<T: fmt::Display + Send + Sync + 'static>(value: T) -> Self {
        ExitReason::ShutdownWith(Detail::new(value))
    }

    /// Returns the exit reason of a process that ends with an error of this library. The reason has
    /// no location, since a location in the library's own source does not help the user.
    pub(crate) fn from_library(error: impl Into<BoxError>) -> Self {
        ExitReason::Crashed(Crash::from_error(error.into(), None))
    }

    /// Returns the reason without its location, if its crash has no clones. Used for an error that
    /// was converted in the library's own source.
    pub(crate) fn without_location(self) -> Self {
        match self {
            ExitReason::Crashed(crash) => ExitReason::Crashed(crash.without_location()),
            other => other,
        }
    }

    /// Whether links propagate the end: true for all reasons but [`Normal`](Self::Normal).
    ///
    /// ```
    /// use regrow::ExitReason;
    ///
    /// assert!(!ExitReason::Normal.is_abnormal());
    /// assert!(ExitReason::Shutdown.is_abnormal()); // links propagate it,
    /// assert!(ExitReason::Shutdown.is_clean()); // and a transient child is not restarted
    /// assert!(!ExitReason::Killed.is_clean());
    /// ```
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, ExitReason::Normal)
    }

    /// Whether the end counts as clean, so that a transient child is not restarted: true for
    /// `Normal`, `Shutdown` and `ShutdownWith`. [`is_abnormal`](Self::is_abnormal) has an example.
    pub fn is_clean(&self) -> bool {
        matches!(self, ExitReason::Normal | ExitReason::Shutdown | ExitReason::ShutdownWith(_))
    }

    /// Returns the crash, if the reason is a crash. [`Crash`] has an example.
    pub fn crash(&self) -> Option<&Crash> {
        match self {
            ExitReason::Crashed(crash) => Some(crash),
            _ => None,
        }
    }

    /// Returns the error of a crash, for the `source` of an error that contains this reason.
    pub(crate) fn cause(&self) -> Option<&(dyn Error + 'static)> {
        self.crash()?.error().map(|error| error as _)
    }

    /// Returns a text of the reason and, if it contains an error, of the causes of the error, each
    /// once. The location is left out.
    pub(crate) fn with_causes(&self) -> String {
        match self {
            ExitReason::Crashed(crash) => crash.with_causes(),
            other => other.to_string(),
        }
    }

    /// Returns the reason as an [`Error`], with its sources. `?` turns that error back into the
    /// same reason.
    ///
    /// ```
    /// use regrow::{ExitReason, Result};
    ///
    /// /// A process that ends as another one did.
    /// fn follow(other: ExitReason) -> Result {
    ///     Err(other.into_error())?
    /// }
    /// assert_eq!(follow(ExitReason::Shutdown), Err(ExitReason::Shutdown));
    /// ```
    pub fn into_error(self) -> ExitError {
        ExitError(self)
    }
}

/// Returns the reason as an error: see [`ExitReason::into_error`].
///
/// ```
/// use std::error::Error;
/// use regrow::{ExitReason, Result};
///
/// fn work() -> Result {
///     Err(ExitReason::crashed("no luck"))
/// }
/// fn plain() -> Result<(), Box<dyn Error>> {
///     Ok(work()?)
/// }
/// fn shared() -> Result<(), Box<dyn Error + Send + Sync>> {
///     Ok(work().map_err(ExitReason::into_error)?)
/// }
/// assert_eq!(plain().unwrap_err().to_string(), shared().unwrap_err().to_string());
/// ```
impl From<ExitReason> for Box<dyn Error> {
    fn from(reason: ExitReason) -> Self {
        reason.into_error().into()
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitReason::Normal => f.write_str("normal"),
            ExitReason::Shutdown => f.write_str("shutdown"),
            ExitReason::ShutdownWith(detail) => write!(f, "shutdown: {detail}"),
            ExitReason::Killed => f.write_str("killed"),
            ExitReason::NoProc => f.write_str("no such process"),
            ExitReason::NoConnection => f.write_str("noconnection"),
            ExitReason::Crashed(crash) => fmt::Display::fmt(crash, f),
        }
    }
}

/// Displays a reason with the causes of its error, each once.
pub(crate) struct WithCauses<'a>(pub(crate) &'a ExitReason);

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.with_causes())
    }
}

/// Displays a reason as a part of the text of another error. The `source` of that error returns the
/// [cause](ExitReason::cause) of the reason, so the text of the cause is left out here. With `{:#}`
/// the location is shown.
pub(crate) struct Causeless<'a>(pub(crate) &'a ExitReason);

impl fmt::Display for Causeless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(crash) = self.0.crash().filter(|crash| crash.error().is_some()) else {
            return fmt::Display::fmt(self.0, f);
        };
        f.write_str("error")?;
        let location = crash.location().filter(|_| f.alternate());
        location.map_or(Ok(()), |location| write!(f, " at {location}"))
    }
}

impl<E: Into<BoxError>> From<E> for ExitReason {
    #[track_caller]
    fn from(error: E) -> Self {
        match error.into().downcast::<ExitError>() {
            Ok(exit) => exit.0,
            Err(error) => {
                ExitReason::Crashed(Crash::from_error(error, Some(Location::caller().into())))
            }
        }
    }
}

/// Returns the exit reason that an error of any type stands for. If the conversion happens
/// here, the source location is removed, because it would be the location of this function.
pub(crate) fn reason_of<E: Into<ExitReason> + 'static>(error: E) -> ExitReason {
    let is_reason = std::any::TypeId::of::<E>() == std::any::TypeId::of::<ExitReason>();
    let reason = error.into();
    if is_reason { reason } else { reason.without_location() }
}

/// An [`ExitReason`] as an error. If an error ended the process, that error is the source, and the
/// [`Display`](fmt::Display) does not repeat its text.
///
/// ```
/// use regrow::ExitReason;
///
/// let error = ExitReason::Killed.into_error();
/// assert_eq!(error.to_string(), "the process ended: killed");
/// assert_eq!(ExitReason::from(error), ExitReason::Killed);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitError(ExitReason);

impl ExitError {
    /// The reason inside.
    ///
    /// ```
    /// use regrow::ExitReason;
    ///
    /// assert_eq!(*ExitReason::Shutdown.into_error().reason(), ExitReason::Shutdown);
    /// ```
    pub fn reason(&self) -> &ExitReason {
        &self.0
    }
}

impl fmt::Display for ExitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the process ended: {}", Causeless(&self.0))
    }
}

impl Error for ExitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause()
    }
}
