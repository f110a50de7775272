//! Existing servers as children: any future with a signal for a graceful shutdown.
//!
//! * The exit signal of the supervisor, or the end of the supervisor, cancels the token that the
//!   shutdown signal waits for. The server is notified in no other way.
//! * `Ok(())` before the cancellation is a normal end. `Ok(())` after the cancellation counts as a
//!   stop, even if the server has not polled the signal. An error is the exit reason in both cases.
//! * A kill, or an exit signal of another process, drops the server at its next await.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as Polling, Poll, ready};

use async_trait::async_trait;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::base::{consume_budget, poll_budget};
use crate::child::{ChildSpec, StartChild, StartContext, Started, end_of};
use crate::driver::host;
use crate::exit::{ExitReason, Result, reason_of};
use crate::message::Envelope;
use crate::runtime::StartError;

/// A future that resolves when a server has to shut down, the argument of [`ChildSpec::serve`]'s
/// closure. The signal is `'static` and `Send`, and each of its clones resolves.
/// [`ChildSpec::serve`] has an example.
///
/// # Cancel safety
///
/// Cancel safe. Once the signal has resolved, its clones resolve at once.
#[must_use = "a server without the signal does not shut down gracefully"]
pub struct ShutdownSignal {
    stop: CancellationToken,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl ShutdownSignal {
    fn new(stop: CancellationToken) -> Self {
        let stopping = Box::pin(stop.clone().cancelled_owned());
        ShutdownSignal { stop, stopping }
    }

    /// Returns the signal as a token, for servers that take a token. The token is cancelled at the
    /// latest when the child has ended, so other tasks can wait for the token and end as well.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    /// let server = ChildSpec::serve("server", move |shutdown| {
    ///     let token = shutdown.cancellation_token();
    ///     sender.send(token.clone()).unwrap();
    ///     async move { Ok::<(), std::io::Error>(token.cancelled().await) }
    /// });
    /// let tree = Supervisor::one_for_one().child(server).start(&rt).await?;
    /// let token = receiver.recv().await.unwrap();
    /// tree.stop().await?;
    /// assert!(token.is_cancelled());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn cancellation_token(&self) -> CancellationToken {
        self.stop.child_token()
    }
}

impl Future for ShutdownSignal {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Polling<'_>) -> Poll<()> {
        ready!(self.stopping.as_mut().poll(cx));
        poll_budget(cx)
    }
}

impl Clone for ShutdownSignal {
    fn clone(&self) -> Self {
        ShutdownSignal::new(self.stop.clone())
    }
}

impl fmt::Debug for ShutdownSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutdownSignal").field("shut_down", &self.stop.is_cancelled()).finish()
    }
}

impl ChildSpec {
    /// Specifies a child that runs an existing server: a future that runs until a signal resolves,
    /// as the servers of axum, hyper and tonic do. Each start clones the closure and calls the
    /// clone inside the new process.
    ///
    /// When the supervisor stops the child, or ends, the signal resolves. The server then has its
    /// [`shutdown`](Self::shutdown) time to answer requests in progress, and is dropped when that
    /// time is over. An `Err` is the exit reason: an [`ExitReason`] is kept, and any other error is
    /// a crash. A panic is a crash too. `Ok(())` is a normal end; after the signal, the exit reason
    /// of `Ok(())` is [`Shutdown`](crate::ExitReason::Shutdown). An exit signal of another process
    /// drops the server, because the child doesn't [trap](crate::Runtime::set_trap_exit) exits.
    ///
    /// An example with axum, where `listener` is a [`Keep`](crate::Keep) that keeps the port open
    /// during restarts:
    ///
    /// ```text
    /// ChildSpec::serve("http", move |shutdown| async move {
    ///     let socket = tokio::net::TcpListener::from_std(listener.get().await?.try_clone()?)?;
    ///     axum::serve(socket, app).with_graceful_shutdown(shutdown).await?;
    ///     Ok::<_, ExitReason>(())
    /// })
    /// ```
    ///
    /// OTP: a `ranch` or `cowboy` listener under a supervisor of its own.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use regrow::{ChildSpec, Runtime, ShutdownSignal, Supervisor};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::net::{TcpListener, TcpStream};
    ///
    /// /// Greets each client until the signal resolves.
    /// async fn greeter(port: Arc<TcpListener>, mut shutdown: ShutdownSignal) -> std::io::Result<()> {
    ///     loop {
    ///         tokio::select! {
    ///             () = &mut shutdown => return Ok(()),
    ///             client = port.accept() => client?.0.write_all(b"hello").await?,
    ///         }
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let port = Arc::new(TcpListener::bind("127.0.0.1:0").await?);
    /// let address = port.local_addr()?;
    /// let server = ChildSpec::serve("greeter", |shutdown| greeter(port, shutdown));
    /// let tree = Supervisor::one_for_one().child(server).start(&rt).await?;
    ///
    /// let mut text = String::new();
    /// TcpStream::connect(address).await?.read_to_string(&mut text).await?;
    /// assert_eq!(text, "hello");
    /// tree.stop().await?;
    /// assert!(TcpStream::connect(address).await.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn serve<F, S, E>(id: impl Into<String>, server: F) -> Self
    where
        F: FnOnce(ShutdownSignal) -> S + Clone + Send + Sync + 'static,
        S: IntoFuture<Output = Result<(), E>> + 'static,
        S::IntoFuture: Send,
        E: Into<ExitReason> + 'static,
    {
        ChildSpec::new(id, ServeStart(server))
    }
}

impl StartContext {
    /// Starts an existing server as the child. [`ChildSpec::serve`] describes it and has an
    /// example.
    ///
    /// # Errors
    ///
    /// As [`task`](Self::task).
    ///
    /// # Cancel safety
    /// Cancel safe: the future waits only for tokio's cooperative budget, before it starts the
    /// child.
    pub async fn serve<F, S, E>(&mut self, server: F) -> Result<Started, StartError>
    where
        F: FnOnce(ShutdownSignal) -> S + Send + 'static,
        S: IntoFuture<Output = Result<(), E>> + 'static,
        S::IntoFuture: Send,
        E: Into<ExitReason> + 'static,
    {
        consume_budget().await;
        let stop = CancellationToken::new();
        let starting = self.starting().without_init().stopped_by(stop.clone());
        let process = self.admit::<Envelope>(&starting)?;
        Ok(self.run(process, |ctx| {
            host(ctx.process().clone(), async move {
                let _ctx = ctx;
                let served = server(ShutdownSignal::new(stop.clone())).into_future().await;
                end_of(served.map_err(reason_of), stop.is_cancelled())
            })
        }))
    }
}

/// A start function that starts a clone of a server's closure.
struct ServeStart<F>(F);

#[async_trait]
impl<F, S, E> StartChild for ServeStart<F>
where
    F: FnOnce(ShutdownSignal) -> S + Clone + Send + Sync + 'static,
    S: IntoFuture<Output = Result<(), E>> + 'static,
    S::IntoFuture: Send,
    E: Into<ExitReason> + 'static,
{
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        ctx.serve(self.0.clone()).await
    }
}
