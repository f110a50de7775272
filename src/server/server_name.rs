//! The name of a server as an argument: a [`Name`], or any string.

use std::fmt;
use std::marker::PhantomData;

use crate::base::SharedStr;
use crate::runtime::Name;

/// The name of a server of type `S`, as an argument of [`Runtime::server`](crate::Runtime::server)
/// and [`ServerSpec::named`](crate::ServerSpec::named). A `ServerName` is made from a [`Name`],
/// which is a constant, or from a `&str`, a `String` or a [`SharedStr`], which can be made at run
/// time.
///
/// A `Name` of another type of server does not compile. A string is accepted for every type;
/// whether the process that holds the name is an `S` is checked at each call and cast.
///
/// To use a type of your own as a name, implement `From`:
///
/// ```
/// # use regrow::doc_counter::{Call, Counter};
/// # use regrow::{GenServer, Runtime};
/// use regrow::ServerName;
///
/// struct Room(u32);
///
/// impl From<Room> for ServerName<Counter> {
///     fn from(Room(number): Room) -> Self {
///         format!("room {number}").into()
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let _started = Counter::spec(40).named(Room(7)).start(&rt).await?;
/// assert_eq!(rt.server(Room(7)).call(Call::Get).await?, 40);
/// assert_eq!(rt.server::<Counter>("room 7").call(Call::Get).await?, 40);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct ServerName<S> {
    pub(crate) text: SharedStr,
    server: PhantomData<fn() -> S>,
}

impl<S> From<SharedStr> for ServerName<S> {
    fn from(text: SharedStr) -> Self {
        ServerName { text, server: PhantomData }
    }
}

impl<S> From<Name<S>> for ServerName<S> {
    fn from(name: Name<S>) -> Self {
        SharedStr::from(name).into()
    }
}

impl<S> From<&str> for ServerName<S> {
    fn from(text: &str) -> Self {
        SharedStr::from(text).into()
    }
}

impl<S> From<String> for ServerName<S> {
    fn from(text: String) -> Self {
        SharedStr::from(text).into()
    }
}

impl<S> fmt::Debug for ServerName<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerName({:?})", self.text)
    }
}
