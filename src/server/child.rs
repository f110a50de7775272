//! Servers as children.

use std::marker::PhantomData;

use async_trait::async_trait;

use crate::call_error::StartError;
use crate::child::{ChildSpec, ChildType, StartChild, StartContext, Started};
use crate::exit::Result;
use crate::process::AnyProcess;
use crate::server::GenServer;
use crate::server::item::Work;
use crate::turn::turn;

impl StartContext {
    /// Starts a server as the child, and returns when its `init` has.
    ///
    /// # Errors
    ///
    /// As [`GenServer::start_named`]. The child's
    /// [`init_timeout`](crate::ChildSpec::init_timeout) is no error here: it ends the whole start.
    ///
    /// # Cancel safety
    ///
    /// A start that is dropped kills the half-started server.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// # struct Counter(u64);
    /// # enum Call { Get(Reply<u64>) }
    /// # enum Cast { Add(u64), Crash }
    /// # impl GenServer for Counter {
    /// #     type Args = u64;
    /// #     type Call = Call;
    /// #     type Cast = Cast;
    /// #     async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Counter(start))
    /// #     }
    /// #     async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
    /// #         let Call::Get(reply) = call;
    /// #         reply.send(self.0);
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
    /// #         match cast { Cast::Add(n) => self.0 += n, Cast::Crash => panic!("as asked") }
    /// #         Ok(())
    /// #     }
    /// # }
    /// use regrow::{ChildSpec, StartChild, StartContext, StartError, Started, Supervisor};
    ///
    /// /// A counter that starts where a file says.
    /// struct FromFile(&'static str);
    ///
    /// #[async_trait::async_trait]
    /// impl StartChild for FromFile {
    ///     async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
    ///         let start = std::fs::read(self.0).map_or(0, |bytes| bytes.len() as u64);
    ///         ctx.server::<Counter>(start).await
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let child = ChildSpec::new("counter", FromFile("/no/such/file")).named("counter");
    /// let tree = Supervisor::one_for_one().child(child).start(&rt).await?;
    /// let counter = rt.server(regrow::Name::<Counter>::new("counter"));
    /// assert_eq!(counter.call(Call::Get).await?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn server<S: GenServer>(&mut self, args: S::Args) -> Result<Started, StartError> {
        turn().await;
        // What a supervisor tells itself must not be dropped.
        let own = self.spec.mailbox.filter(|_| self.spec.kind == ChildType::Worker);
        let starting = self.starting().mailbox(own).with_init();
        let process = self.bear::<Work<S>>(&starting)?;
        match starting.init(args, process.clone()).await {
            Ok(process) => Ok(self.started(process)),
            Err(error) => {
                // It has ended, and is no more to be stopped.
                self.begun.remove(process.pid());
                Err(error)
            }
        }
    }
}

impl ChildSpec {
    /// A server as a child: what [`GenServer::child_with`] gives.
    pub(crate) fn server<S: GenServer>(args: impl Fn() -> S::Args + Send + Sync + 'static) -> Self {
        let id = std::any::type_name::<S>().rsplit("::").next().unwrap_or_default();
        ChildSpec::new(id, ServerStart::<S, _> { args, server: PhantomData })
    }
}

/// Starts a server from fresh arguments.
struct ServerStart<S, F> {
    args: F,
    server: PhantomData<fn() -> S>,
}

#[async_trait]
impl<S: GenServer, F: Fn() -> S::Args + Send + Sync + 'static> StartChild for ServerStart<S, F> {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        ctx.server::<S>((self.args)()).await
    }
}
