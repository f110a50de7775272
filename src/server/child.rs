//! Servers as children.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::base::{CaughtDrop, SharedStr, consume_budget};
use crate::child::once::{Slot, admit_with};
use crate::child::start::{Start, StartServer};
use crate::child::{ChildSpec, OnceChild, StartContext, Started};
use crate::exit::Result;
use crate::process::AnyProcess;
use crate::runtime::{StartError, Starter, Starting};
use crate::server::{GenServer, ServerItem, ServerProcess, ServerSpec};

impl StartContext {
    /// Starts a server as the child, and returns when its `init` has returned.
    ///
    /// # Errors
    ///
    /// As [`GenServer::start_named`]. This method does not return
    /// [`InitTimeout`](StartError::InitTimeout): when the child's
    /// [`init_timeout`](crate::ChildSpec::init_timeout) is over, the whole start function is
    /// dropped.
    ///
    /// # Cancel safety
    ///
    /// A start that is dropped kills the half-started server.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{Result, Runtime};
    /// use regrow::{ChildSpec, StartChild, StartContext, StartError, Started, Supervisor};
    ///
    /// /// Starts a counter at the length of a file.
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
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let child = ChildSpec::new("counter", FromFile("/no/such/file")).named("counter");
    /// let tree = Supervisor::one_for_one().child(child).start(&rt).await?;
    /// let counter = rt.server::<Counter>("counter");
    /// assert_eq!(counter.call(Call::Get).await?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn server<S: GenServer>(&mut self, args: S::Args) -> Result<Started, StartError> {
        consume_budget().await;
        let (starting, process) = self.admit_server::<S>()?;
        let initialized = starting.init(args, process.clone()).await;
        if initialized.is_err() {
            // The process has ended, so the start need not stop it.
            self.started_processes.remove(process.pid());
        }
        Ok(self.started(initialized?))
    }

    /// Admits the process of a server, which has not run its `init`.
    fn admit_server<S: GenServer>(&mut self) -> Result<AdmittedServer<S>, StartError> {
        let starting = self.starting().with_init();
        let process = self.admit::<ServerItem<S>>(&starting)?;
        Ok((starting, process))
    }
}

/// A server without its `init`: the settings of its start, and its process.
type AdmittedServer<S> = (Starting, ServerProcess<S>);

/// Spawns the task of a server.
fn spawn<S: GenServer>(
    (starting, process): AdmittedServer<S>,
    args: S::Args,
    starter: Starter,
) -> Arc<dyn AnyProcess> {
    starting.spawn_server(args, process.clone(), starter);
    process
}

impl ChildSpec {
    /// Makes the specification that [`GenServer::child_with`] returns.
    pub(crate) fn server<S: GenServer>(args: impl Fn() -> S::Args + Send + Sync + 'static) -> Self {
        let start = ServerStart::<S, _> { args, server: PhantomData };
        ChildSpec::started_by(short_name::<S>(), Start::Server(Arc::new(start)))
    }
}

/// The id of a server as a child, by default: the name of its type without the path.
pub(crate) fn short_name<S>() -> SharedStr {
    let full = std::any::type_name::<S>();
    match full.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')) {
        // Without type arguments, the name begins behind the last path separator.
        true => full.rsplit(':').next().unwrap_or(full).into(),
        false => short_type_name(full).into(),
    }
}

/// Returns the name of a type without its path. Type arguments keep their paths, so that
/// `Cache<a::Key>` and `Cache<b::Key>` differ. Of the arguments, only types of the standard library
/// lose their paths.
pub(crate) fn short_type_name(full: &str) -> String {
    let is_in_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '#' | '{' | '}');
    let (mut short, mut rest) = (String::with_capacity(full.len()), full);
    while let Some(first) = rest.chars().next() {
        let end = match is_in_path(first) {
            true => rest.find(|c| !is_in_path(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (part, after) = rest.split_at(end);
        let of_std = ["alloc::", "core::", "std::"].iter().any(|std| part.starts_with(std));
        short.push_str(match short.is_empty() || of_std {
            true => part.rsplit("::").next().unwrap_or(part),
            false => part,
        });
        rest = after;
    }
    short
}

/// A start function that starts a server with fresh arguments each time.
struct ServerStart<S, F> {
    args: F,
    server: PhantomData<fn() -> S>,
}

impl<S: GenServer, F: Fn() -> S::Args + Send + Sync + 'static> StartServer for ServerStart<S, F> {
    fn begin(
        &self,
        ctx: &mut StartContext,
        starter: Starter,
    ) -> Result<Arc<dyn AnyProcess>, StartError> {
        let args = (self.args)();
        let starting = ctx.starting().with_init();
        let process = ctx.admit::<ServerItem<S>>(&starting)?;
        starting.spawn_server(args, process.clone(), starter);
        Ok(process)
    }
}

/// The description as a child: its label is the id of the child. Each start gets a clone of the
/// arguments.
///
/// ```
/// # use regrow::doc_counter::{Call, Counter};
/// # use regrow::{GenServer, Runtime};
/// use regrow::Supervisor;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let counter = Counter::spec(40).named("counter").label("hits");
/// let tree = Supervisor::one_for_one().child(counter).start(&rt).await?;
/// assert_eq!(rt.server::<Counter>("counter").call(Call::Get).await?, 40);
/// assert_eq!(tree.which_children().await?[0].id, "hits");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
impl<S: GenServer> From<ServerSpec<S>> for ChildSpec
where
    S::Args: Clone + Sync,
{
    fn from(server: ServerSpec<S>) -> Self {
        let mut child = S::child(server.args);
        let spec = child.edit();
        if let Some(label) = server.label {
            spec.id = label;
        }
        spec.name = server.name;
        spec.key = server.key.map(CaughtDrop::new);
        spec.init_timeout = server.init_timeout;
        spec.mailbox = server.mailbox;
        spec.warn_after = server.warn_after;
        child
    }
}

/// The description as a child that is started once: its label is the id of the child. The arguments
/// need not be `Clone`.
///
/// ```
/// # use regrow::doc_counter::{Call, Counter};
/// # use regrow::{GenServer, Runtime};
/// use regrow::{DynamicSupervisor, OnceChild};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let counters = DynamicSupervisor::new().start(&rt).await?;
/// counters.start_once(OnceChild::from(Counter::spec(40).named("counter"))).await?;
/// assert_eq!(rt.server::<Counter>("counter").call(Call::Get).await?, 40);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
impl<S: GenServer> From<ServerSpec<S>> for OnceChild<S::Args> {
    fn from(server: ServerSpec<S>) -> Self {
        let ServerSpec { args, name, key, label, init_timeout, mailbox, warn_after } = server;
        let mut child = OnceServer::<S>::child(args);
        let spec = child.spec.edit();
        if let Some(label) = label {
            spec.id = label;
        }
        (spec.name, spec.key) = (name, key.map(CaughtDrop::new));
        (spec.init_timeout, spec.mailbox, spec.warn_after) = (init_timeout, mailbox, warn_after);
        child
    }
}

/// A start function that starts a server once, with the arguments in the slot.
pub(crate) struct OnceServer<S: GenServer>(Slot<S::Args>);

impl<S: GenServer> OnceServer<S> {
    /// The child that [`GenServer::child_once`] returns.
    pub(crate) fn child(args: S::Args) -> OnceChild<S::Args> {
        let spec = |slot| {
            let start = Start::Server(Arc::new(OnceServer::<S>(slot)));
            ChildSpec::started_by(short_name::<S>(), start)
        };
        OnceChild::new(args, |args| args, spec)
    }
}

impl<S: GenServer> StartServer for OnceServer<S> {
    fn begin(
        &self,
        ctx: &mut StartContext,
        starter: Starter,
    ) -> Result<Arc<dyn AnyProcess>, StartError> {
        let (admitted, args) = admit_with(&self.0, ctx, |ctx| ctx.admit_server::<S>())?;
        Ok(spawn(admitted, args, starter))
    }
}

#[cfg(test)]
mod tests {
    use super::short_type_name;

    #[test]
    fn short_type_names_differ_where_only_the_type_arguments_do() {
        let names = [
            ("app::counter::Counter", "Counter"),
            ("app::Cache<alloc::string::String>", "Cache<String>"),
            ("app::Cache<app::a::Key>", "Cache<app::a::Key>"),
            ("app::Pool<(u8, alloc::vec::Vec<&str>), 4>", "Pool<(u8, Vec<&str>), 4>"),
            ("app::Job<fn(u8) -> core::option::Option<u8>>", "Job<fn(u8) -> Option<u8>>"),
            ("app::Any<dyn core::fmt::Debug + app::Own>", "Any<dyn Debug + app::Own>"),
            ("app::Run<app::main::{{closure}}>", "Run<app::main::{{closure}}>"),
            ("Bare", "Bare"),
        ];
        for (full, short) in names {
            assert_eq!(short_type_name(full), short);
        }
        let real = std::any::type_name::<std::collections::HashMap<String, Vec<Option<u8>>>>();
        assert_eq!(short_type_name(real), "HashMap<String, Vec<Option<u8>>>");
    }
}
