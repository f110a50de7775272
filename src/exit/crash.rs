//! The facts of a crash: its kind, message, error, location and backtrace.

use std::any::Any;
use std::backtrace::Backtrace;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Weak};

use crate::base::error_chain::{causes, text_of, with_causes};
use crate::base::one_line::one_line;
use crate::base::user_panics::{CaughtDrop, ignore_panic, panic_text};
use crate::exit::backtrace_text::backtrace_text;
use crate::exit::location::CrashLocation;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The facts of one crash: its kind, its message, its error, and where it happened.
///
/// A `Crash` is cheap to clone. All observers of the end of a process receive clones of the same
/// `Crash`. OTP: the exit reason, which may be any term, and its stack trace.
///
/// # Examples
///
/// ```
/// use regrow::{CrashKind, ExitReason};
///
/// let reason = ExitReason::from(std::io::Error::other("disk full"));
/// let crash = reason.crash().unwrap();
/// assert_eq!(crash.kind(), CrashKind::Error);
/// assert_eq!(crash.message(), "disk full");
/// assert_eq!(crash.error().unwrap().to_string(), "disk full");
/// assert!(crash.downcast_ref::<std::io::Error>().is_some());
/// assert!(crash.location().unwrap().file().ends_with(".rs"));
/// assert!(crash.backtrace().is_none()); // only panics have a backtrace
/// ```
#[derive(Clone)]
pub struct Crash(Arc<CrashData>);

/// A weak reference to a crash. It does not keep the crash alive.
pub(crate) struct WeakCrash(Weak<CrashData>);

impl WeakCrash {
    /// Returns the crash, if a [`Crash`] still keeps it alive.
    pub(crate) fn upgrade(&self) -> Option<Crash> {
        self.0.upgrade().map(Crash)
    }
}

struct CrashData {
    kind: CrashKind,
    message: Box<str>,
    /// The error. [`CaughtDrop`] bounds the stack depth while the error is dropped, since errors
    /// may be nested deeply. For example, the error of a supervisor that gave up contains the exit
    /// reason of its child, and that exit reason may contain an error as well.
    error: Option<CaughtDrop<BoxError>>,
    location: Option<CrashLocation>,
    backtrace: Option<Backtrace>,
}

/// The payload with which a caught panic is resumed. The payload holds the crash that was made from
/// the panic when the panic was caught.
pub(crate) struct CaughtPanic(pub(crate) Crash);

/// How a process crashed.
///
/// ```
/// use regrow::{CrashKind, ExitReason, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let panic = rt.spawn(|_| async { panic!("boom") }).join().await;
/// let error = rt.spawn_fallible(|_| async { Err(std::fmt::Error)? }).join().await;
/// let explicit = ExitReason::crashed("out of cheese");
/// let kinds = [panic, error, explicit].map(|reason| reason.crash().unwrap().kind());
/// assert_eq!(kinds, [CrashKind::Panic, CrashKind::Error, CrashKind::Explicit]);
/// # }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CrashKind {
    /// The body of the process, or a handler, panicked.
    Panic,
    /// The body or a handler returned an error, most often by `?`.
    Error,
    /// The program created the reason with [`ExitReason::crashed`](crate::ExitReason::crashed).
    Explicit,
}

impl Crash {
    pub(crate) fn explicit(message: String) -> Self {
        Crash::new(CrashKind::Explicit, message, None, None)
    }

    pub(crate) fn from_error(error: BoxError, location: Option<CrashLocation>) -> Self {
        Crash::new(CrashKind::Error, text_of(&error), Some(error), location.map(|at| (at, None)))
    }

    /// Returns the crash of a caught panic. Dropping the payload may panic as well. The second
    /// panic is caught. It cannot overwrite the note of the first panic, because this function
    /// takes that note before the drop.
    pub(crate) fn from_panic(payload: Box<dyn Any + Send>) -> Self {
        let payload = match payload.downcast::<CaughtPanic>() {
            Ok(caught) => return caught.0,
            Err(payload) => payload,
        };
        let message = panic_text(payload.as_ref());
        let note = crate::exit::panic_hook::take_panic_note();
        ignore_panic(|| drop(payload));
        let origin = note.map(|note| (note.location, note.backtrace));
        Crash::new(CrashKind::Panic, message, None, origin)
    }

    fn new(
        kind: CrashKind,
        message: String,
        error: Option<BoxError>,
        origin: Option<(CrashLocation, Option<Backtrace>)>,
    ) -> Self {
        let (message, error) = (message.into(), error.map(CaughtDrop::new));
        let (location, backtrace) = origin.unzip();
        let backtrace = backtrace.flatten();
        Crash(Arc::new(CrashData { kind, message, error, location, backtrace }))
    }

    /// Returns the crash without its location. A crash that has clones is returned unchanged.
    pub(crate) fn without_location(mut self) -> Self {
        if let Some(data) = Arc::get_mut(&mut self.0) {
            data.location = None;
        }
        self
    }

    /// Whether both are clones of the same crash, and not only equal.
    pub(crate) fn is_same(&self, other: &Crash) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the kind and the message as text. If there is an error, its causes follow, except
    /// those that the text already contains.
    pub(crate) fn with_causes(&self) -> String {
        let text = format!("{}{}", self.prefix(), self.message());
        match self.error() {
            Some(error) => with_causes(text, error),
            None => text,
        }
    }

    fn prefix(&self) -> &'static str {
        match self.kind() {
            CrashKind::Panic => "panic: ",
            CrashKind::Error => "error: ",
            CrashKind::Explicit => "",
        }
    }

    /// The kind of the crash: a panic, an error, or an explicit reason. [`CrashKind`] has an
    /// example.
    pub fn kind(&self) -> CrashKind {
        self.0.kind
    }

    /// The message of the panic, the text of the error, or the text that was passed to
    /// [`ExitReason::crashed`](crate::ExitReason::crashed). The message says so if the payload of a
    /// panic is not text, and if the `Display` of an error panics or fails. The message does not
    /// contain the causes of an error. To show the causes too, format the crash or its reason with
    /// `{:#}`. [`Crash`] has an example.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The error that ended the process, with its whole chain of sources; `None` for a panic and
    /// for an explicit reason. [`Crash`] has an example.
    pub fn error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.error.as_deref().map(|error| &**error)
    }

    /// The error that ended the process, if it is an `E`. [`Crash`] has an example.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.error()?.downcast_ref()
    }

    /// The location of the crash, if it is known. The location of an error is that of the `?` or of
    /// the `From` conversion. An error with which this crate itself ends a process has no location.
    /// The location of a panic is known only if [`install_panic_hook`](crate::install_panic_hook)
    /// was called. An explicit reason has no location. [`Crash`] has an example.
    pub fn location(&self) -> Option<&CrashLocation> {
        self.0.location.as_ref()
    }

    /// The backtrace of a panic, if [`install_panic_hook`](crate::install_panic_hook) was called
    /// and `RUST_BACKTRACE` enables backtraces. [`Crash`] has an example.
    pub fn backtrace(&self) -> Option<&Backtrace> {
        self.0.backtrace.as_ref()
    }

    /// Returns the [backtrace](Self::backtrace) as text for people. The text has at most 16 KiB. If
    /// the rest was left out, the last line says so. Control characters are escaped. The first call
    /// looks up the names of functions. The look-up may take a second, and blocks the thread.
    /// [`Runtime::backtrace_of`](crate::Runtime::backtrace_of) has an example.
    pub fn backtrace_text(&self) -> Option<String> {
        Some(backtrace_text(&self.backtrace()?.to_string()))
    }

    /// Returns a weak reference, which does not keep the crash alive.
    pub(crate) fn downgrade(&self) -> WeakCrash {
        WeakCrash(Arc::downgrade(&self.0))
    }
}

/// Displays the kind and the message on one line. `{:#}` also displays the location, and the causes
/// of an error that the text does not already contain. Line breaks and other control characters are
/// escaped in this text, but not in [`message`](Crash::message).
impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return write!(f, "{}{}", self.prefix(), one_line(self.message()));
        }
        write!(f, "{}", one_line(self.with_causes()))?;
        self.location().map_or(Ok(()), |location| write!(f, " (at {location})"))
    }
}

impl fmt::Debug for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Crash");
        shown.field("kind", &self.kind()).field("message", &self.message());
        let causes = self.error().map(|error| causes(error)).unwrap_or_default();
        if !causes.is_empty() {
            shown.field("causes", &causes);
        }
        shown.field("location", &self.location().map(ToString::to_string)).finish_non_exhaustive()
    }
}

/// Two crashes are equal if their kinds and their messages are equal.
impl PartialEq for Crash {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.message() == other.message()
    }
}

impl Eq for Crash {}

/// The value inside [`ExitReason::ShutdownWith`](crate::ExitReason::ShutdownWith).
///
/// [`ExitReason::shutdown_with`](crate::ExitReason::shutdown_with) creates a `Detail`, and has an
/// example. OTP: the term in `{shutdown, Term}`.
#[derive(Clone)]
pub struct Detail(Arc<DetailData>);

struct DetailData {
    text: Box<str>,
    value: CaughtDrop<Box<dyn Any + Send + Sync>>,
}

impl Detail {
    pub(crate) fn new<T: fmt::Display + Send + Sync + 'static>(value: T) -> Self {
        Detail(Arc::new(DetailData {
            text: text_of(&value).into(),
            value: CaughtDrop::new(Box::new(value)),
        }))
    }

    /// The text of the value: the output of its `Display`, which ran when the `Detail` was created.
    ///
    /// ```
    /// use regrow::ExitReason;
    ///
    /// let ExitReason::ShutdownWith(detail) = ExitReason::shutdown_with(12_u8) else { panic!() };
    /// assert_eq!(detail.text(), "12");
    /// assert_eq!(detail.downcast_ref::<u8>(), Some(&12));
    /// assert_eq!(detail.downcast_ref::<u16>(), None);
    /// ```
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The value itself, if it is a `T`. [`text`](Self::text) has an example.
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        self.0.value.downcast_ref()
    }
}

/// Displays the [`text`](Detail::text) on one line, with control characters escaped.
impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", one_line(self.text()))
    }
}

impl fmt::Debug for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Detail({:?})", self.text())
    }
}

/// Two details are equal if their texts are equal.
impl PartialEq for Detail {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Detail {}
