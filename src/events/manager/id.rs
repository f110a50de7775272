//! The id of a handler.

use std::any::{TypeId, type_name};
use std::fmt;

use crate::base::{SharedStr, name};
use crate::server::short_type_name;

/// The id of a handler in its [`EventManager`](crate::EventManager): the type of the handler, and a
/// text by which the handlers of one type differ. OTP: `{Module, Id}`.
///
/// ```
/// use regrow::HandlerId;
///
/// struct ToFile;
/// let id = HandlerId::of::<ToFile>("audit");
/// assert_eq!(id.to_string(), "ToFile \"audit\"");
/// assert!(id.is::<ToFile>());
/// assert_eq!(id.text(), "audit");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HandlerId {
    handler: TypeId,
    type_name: &'static str,
    text: SharedStr,
}

impl HandlerId {
    /// Returns the id of the handler of type `H` with this text. [`HandlerId`] has an example.
    pub fn of<H: 'static>(text: impl Into<SharedStr>) -> Self {
        HandlerId { handler: TypeId::of::<H>(), type_name: type_name::<H>(), text: text.into() }
    }

    /// Returns whether this is the id of a handler of type `H`. [`HandlerId`] has an example.
    pub fn is<H: 'static>(&self) -> bool {
        self.handler == TypeId::of::<H>()
    }

    /// Returns the text. [`HandlerId`] has an example.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the name of the handler's type, with its path. Use it in logs only, as
    /// [`std::any::type_name`] says.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }
}

/// Shows the type without its path, and the text.
impl fmt::Display for HandlerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", short_type_name(self.type_name), name(&self.text).to_string())
    }
}
