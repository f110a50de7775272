//! The error of a cast.

use std::error::Error;
use std::fmt;

use crate::runtime::CallError;

/// A cast that was refused, and the reason. The message was not queued.
///
/// The reason is one of these, for which a call is refused as well, except for `Stopping`:
///
/// | [`reason`](Self::reason) | |
/// |---|---|
/// | [`NoProc`](CallError::NoProc) | there is no such process, or no process holds the name |
/// | [`Restarting`](CallError::Restarting) | the holder of the name is ending or has ended, and will be restarted |
/// | [`Stopping`](CallError::Stopping) | the server has been asked to stop, or runs `terminate` |
/// | [`Overloaded`](CallError::Overloaded) | the mailbox of the server is full, and stayed full while `cast_timeout` waited |
/// | [`WrongType`](CallError::WrongType) | the process that holds the name is not a server of this type |
/// | [`TokioGone`](CallError::TokioGone) | the tokio runtime of the processes has shut down |
/// | [`CallingSelf`](CallError::CallingSelf) | `cast_wait` and `cast_timeout` only: the server would wait for room in its own mailbox |
/// | [`Deadlock`](CallError::Deadlock) | `cast_wait` and `cast_timeout` only: the wait would close a cycle of processes that wait for each other |
///
/// `Display` and `Debug` do not show the message, so messages need not be `Debug`. If the message
/// is not `Sync`, `?` in a process needs `.map_err(CallError::from)`. OTP has no counterpart:
/// `gen_server:cast/2` always returns `ok`.
///
/// # Examples
///
/// ```
/// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
/// # struct Mailer;
/// # impl GenServer for Mailer {
/// #     type Args = ();
/// #     type Call = Reply<()>;
/// #     type Cast = String;
/// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
/// #         Ok(Mailer)
/// #     }
/// #     async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
/// #         reply.send(());
/// #         Ok(())
/// #     }
/// #     async fn handle_cast(&mut self, _: String, _: &mut ServerContext<Self>) -> Result {
/// #         std::future::pending().await // … a post office that takes its time …
/// #     }
/// # }
/// use regrow::{CallError, Overflow};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let mailer = Mailer::spec(()).mailbox_capacity(1, Overflow::Reject).start(&rt).await?;
/// mailer.try_cast("fits".to_owned())?;
/// let refused = mailer.try_cast("the next".to_owned()).unwrap_err();
/// assert_eq!(refused.reason, CallError::Overloaded);
/// std::fs::write(std::env::temp_dir().join("unsent"), refused.cast)?; // the message is given back
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CastError<T> {
    /// Why the cast was refused.
    pub reason: CallError,
    /// The message, given back.
    pub cast: T,
}

impl<T> From<CastError<T>> for CallError {
    fn from(error: CastError<T>) -> Self {
        error.reason
    }
}

impl<T> fmt::Display for CastError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cast was refused: {}", self.reason)
    }
}

impl<T> fmt::Debug for CastError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CastError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> Error for CastError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}
