//! What happened to a process that crashed, for whoever asks.

use std::any::Any;
use std::backtrace::Backtrace;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::base::catch::{CaughtDrop, ignore_panic, panic_text};
use crate::base::error_chain::{causes, text_of, with_causes};
use crate::base::one_line::one_line;
use crate::exit::location::CrashLocation;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The data of one crash: what kind, which words, which error, where.
///
/// It is cheap to clone; all observers of one death share one `Crash`. OTP: the exit term,
/// which is any term, and the stack trace beside it.
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
/// assert!(crash.backtrace().is_none()); // that is for panics
/// ```
#[derive(Clone)]
pub struct Crash(Arc<CrashData>);

struct CrashData {
    kind: CrashKind,
    message: Box<str>,
    /// It may hold the reason of another end, with an error in it: that of a supervisor that gave
    /// up holds its child's.
    error: Option<CaughtDrop<BoxError>>,
    location: Option<CrashLocation>,
    backtrace: Option<Backtrace>,
}

/// The payload of a panic that was caught and goes on: what was found out about it then.
pub(crate) struct CaughtPanic(pub(crate) Crash);

/// How a process came to crash.
///
/// ```
/// use regrow::{CrashKind, ExitReason, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let panic = rt.spawn(|_| async { panic!("boom") }).join().await;
/// let error = rt.spawn_fallible(|_| async { Err(std::fmt::Error)? }).join().await;
/// let word = ExitReason::crashed("said so");
/// let kinds = [panic, error, word].map(|reason| reason.crash().unwrap().kind());
/// assert_eq!(kinds, [CrashKind::Panic, CrashKind::Error, CrashKind::Explicit]);
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CrashKind {
    /// Its body, or a handler, panicked.
    Panic,
    /// It returned an error, most often by `?`.
    Error,
    /// Somebody said so, by [`ExitReason::crashed`](crate::ExitReason::crashed).
    Explicit,
}

impl Crash {
    pub(crate) fn explicit(message: String) -> Self {
        Crash::new(CrashKind::Explicit, message, None, None)
    }

    pub(crate) fn from_error(error: BoxError, location: Option<CrashLocation>) -> Self {
        Crash::new(CrashKind::Error, text_of(&error), Some(error), location)
    }

    /// The crash that a caught panic stands for. Dropping a payload may panic too, so
    /// that happens inside a net of its own, and after the note was taken.
    pub(crate) fn from_panic(payload: Box<dyn Any + Send>) -> Self {
        let payload = match payload.downcast::<CaughtPanic>() {
            Ok(caught) => return caught.0,
            Err(payload) => payload,
        };
        let message = panic_text(payload.as_ref());
        let note = crate::exit::panic_hook::take_panic_note();
        ignore_panic(|| drop(payload));
        let (location, backtrace) = note.map_or((None, None), |n| (Some(n.location), n.backtrace));
        Crash(Arc::new(CrashData {
            kind: CrashKind::Panic,
            message: message.into(),
            error: None,
            location,
            backtrace,
        }))
    }

    fn new(
        kind: CrashKind,
        message: String,
        error: Option<BoxError>,
        location: Option<CrashLocation>,
    ) -> Self {
        let (message, error) = (message.into(), error.map(CaughtDrop::new));
        Crash(Arc::new(CrashData { kind, message, error, location, backtrace: None }))
    }

    /// The same, without its place, where nobody else has it yet.
    pub(crate) fn without_location(mut self) -> Self {
        if let Some(data) = Arc::get_mut(&mut self.0) {
            data.location = None;
        }
        self
    }

    /// Whether both are the same crash, told twice; not only equal in words.
    pub(crate) fn is_same(&self, other: &Crash) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// In one line: what kind it is, its message, and the causes of an error, each once.
    pub(crate) fn with_causes(&self) -> String {
        let words = format!("{}{}", self.prefix(), self.message());
        match self.error() {
            Some(error) => with_causes(words, error),
            None => words,
        }
    }

    fn prefix(&self) -> &'static str {
        match self.kind() {
            CrashKind::Panic => "panic: ",
            CrashKind::Error => "error: ",
            CrashKind::Explicit => "",
        }
    }

    /// Whether it was a panic, an error, or somebody's word. [`CrashKind`] has an example.
    pub fn kind(&self) -> CrashKind {
        self.0.kind
    }

    /// The panic's text, the error's own words, or the text that was given. A panic whose
    /// payload is not text says so, and so does an error whose `Display` panics or fails. The
    /// causes of an error are not in it; `{:#}` of the crash and of its reason shows them too.
    /// [`Crash`] has an example.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The error that ended the process, with its whole chain of sources; `None` for a panic
    /// and for somebody's word. [`Crash`] has an example.
    pub fn error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.error.as_deref().map(|error| &**error)
    }

    /// The error that ended the process, if it is an `E`. [`Crash`] has an example.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.error()?.downcast_ref()
    }

    /// Where it happened: the line of the `?` or of the `From` for an error; the line
    /// of a panic only if [`install_panic_hook`](crate::install_panic_hook) was called.
    /// [`Crash`] has an example.
    pub fn location(&self) -> Option<&CrashLocation> {
        self.0.location.as_ref()
    }

    /// The backtrace of a panic, if the hook is installed and `RUST_BACKTRACE` asks
    /// for backtraces. [`Crash`] has an example.
    pub fn backtrace(&self) -> Option<&Backtrace> {
        self.0.backtrace.as_ref()
    }
}

/// The message, on one line; with `{:#}` also the causes of an error, each once, and the place. Line
/// breaks and other controls are escaped, which they are not in [`message`](Crash::message).
impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return write!(f, "{}{}", self.prefix(), one_line(self.message()));
        }
        write!(f, "{}", one_line(self.with_causes()))?;
        self.location().map_or(Ok(()), |place| write!(f, " (at {place})"))
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

/// Two crashes are equal when their kind and their words are.
impl PartialEq for Crash {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.message() == other.message()
    }
}

impl Eq for Crash {}

/// The value inside [`ExitReason::ShutdownWith`](crate::ExitReason::ShutdownWith). Made by
/// [`ExitReason::shutdown_with`](crate::ExitReason::shutdown_with), which has an example.
/// OTP: the term in `{shutdown, Term}`.
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

    /// The value as text, as its `Display` gave it.
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

/// Its [`text`](Detail::text) on one line, with controls escaped.
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

/// Two details are equal when their texts are.
impl PartialEq for Detail {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Detail {}
