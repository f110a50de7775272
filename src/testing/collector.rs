//! A sender whose messages a test receives.

use std::any::type_name;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

use tokio::time::timeout;

use crate::base::Pid;
use crate::exit::Result;
use crate::runtime::Runtime;
use crate::server::{GenServer, Sender, ServerContext};
use crate::testing::{Asked, CallSite, Mock};

/// Starts a [`Collector`], which has an example.
///
/// # Panics
///
/// If called outside a tokio runtime, unless an earlier use of `runtime` was inside one. If
/// `runtime` was shut down.
pub fn collector<M: Send + 'static>(runtime: &Runtime) -> Collector<M> {
    let mock = Mock::new(runtime);
    let sender = mock.server().sender(|message| message);
    Collector { mock, sender }
}

/// A [`Sender`] whose messages the test receives, from [`collector`]. The code under test gets a
/// clone of the sender, and sends to it as to a server.
///
/// The collector is a process: the code under test can monitor it, and it ends when the collector
/// is dropped. Then sends return false, as for a server that has ended.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::testing::{Collector, collector};
/// use regrow::{Runtime, Sender};
///
/// /// The code under test: tells its subscriber each price.
/// fn publish(prices: &[u32], to: &Sender<u32>) {
///     assert!(prices.iter().all(|price| to.send(*price)));
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let mut prices: Collector<u32> = collector(&rt);
/// publish(&[7, 8, 9], &prices);
/// assert_eq!(prices.next().await, 7);
/// assert_eq!(prices.drain(), [8, 9]);
///
/// let late = prices.clone(); // a `Sender`
/// tokio::spawn(async move {
///     tokio::time::sleep(Duration::from_secs(3)).await;
///     publish(&[10, 11], &late);
/// });
/// assert_eq!(prices.next_within(Duration::from_secs(5)).await, 10);
/// assert_eq!(prices.drain_for(Duration::from_secs(5)).await, [11]);
/// prices.assert_empty();
/// # }));
/// ```
pub struct Collector<M: Send + 'static> {
    mock: Mock<Collecting<M>>,
    sender: Sender<M>,
}

/// The type of the server that a collector stands in for. It is never started.
struct Collecting<M>(PhantomData<fn(M)>);

impl<M: Send + 'static> GenServer for Collecting<M> {
    type Args = ();
    type Call = Infallible;
    type Cast = M;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Collecting(PhantomData))
    }
}

impl<M: Send + 'static> Collector<M> {
    /// Returns the pid of the collector, also after its end.
    pub fn pid(&self) -> Pid {
        self.mock.pid()
    }

    /// Waits for the next message. [`Collector`] has an example.
    ///
    /// # Panics
    ///
    /// If the collector has ended. If nothing arrives within a day; under a paused clock this panic
    /// comes at once when no other timer is pending.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has taken no message.
    #[track_caller]
    #[expect(clippy::should_implement_trait, reason = "it returns a future, and no `Option`")]
    pub fn next(&mut self) -> impl Future<Output = M> + Send {
        self.take_next(CallSite::here())
    }

    /// Waits for the next message, and no longer than `limit`. [`Collector`] has an example.
    ///
    /// # Panics
    ///
    /// If the collector has ended, or nothing arrives within `limit`. With a limit of zero, the
    /// message must be there already.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has taken no message.
    #[track_caller]
    pub fn next_within(&mut self, limit: Duration) -> impl Future<Output = M> + Send {
        let site = CallSite::here();
        async move {
            match timeout(limit, self.take_next(site)).await {
                Ok(message) => message,
                Err(_) => panic!("{site}: waited {limit:?} for a {}", type_name::<M>()),
            }
        }
    }

    /// Takes all messages that have arrived and were not taken yet. [`Collector`] has an example.
    pub fn drain(&mut self) -> Vec<M> {
        let mut taken = Vec::new();
        while let Some(asked) = self.mock.take_now() {
            taken.extend(message(asked));
        }
        taken
    }

    /// Waits for the whole of `limit`, and takes all messages that arrived until then.
    /// [`Collector`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has taken no message.
    pub async fn drain_for(&mut self, limit: Duration) -> Vec<M> {
        tokio::time::sleep(limit).await;
        self.drain()
    }

    /// Asserts that there is no message that the test has not taken. [`await_idle`](super::await_idle)
    /// first, so that every process has finished its work. [`Collector`] has an example.
    ///
    /// # Panics
    ///
    /// If there is a message; the panic message shows it.
    #[track_caller]
    pub fn assert_empty(&mut self)
    where
        M: fmt::Debug,
    {
        let collected = self.drain();
        assert!(collected.is_empty(), "expected no message, but collected {collected:?}");
    }

    async fn take_next(&mut self, site: CallSite) -> M {
        loop {
            let what = format!("a {}", type_name::<M>());
            if let Some(message) = message(self.mock.take_next(site, &what, "collector").await) {
                return message;
            }
        }
    }
}

/// Returns the message, if the item is one. Any other item, such as bytes that were sent to the pid
/// of the collector, is dropped.
fn message<M: Send + 'static>(asked: Asked<Collecting<M>>) -> Option<M> {
    match asked {
        Asked::Cast(message) => Some(message),
        Asked::Call(never) => match never {},
        Asked::Info(_) | Asked::Stop(_) => None,
    }
}

impl<M: Send + 'static> Deref for Collector<M> {
    type Target = Sender<M>;

    fn deref(&self) -> &Sender<M> {
        &self.sender
    }
}

impl<M: Send + 'static> fmt::Debug for Collector<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collector({})", self.pid())
    }
}
