//! The handlers that a manager has from its start.

use std::fmt;
use std::sync::Arc;

use crate::base::SharedStr;
use crate::events::manager::context::{Init, init_of};
use crate::events::manager::request::NewHandler;
use crate::events::{EventHandler, HandlerId};

/// Makes the `init` of a handler, for each start of the manager.
type MakeInit<E> = Arc<dyn Fn() -> Init<E> + Send + Sync>;

/// The handlers that an [`EventManager`](crate::EventManager) adds in its own `init`: the arguments of
/// its start. A manager that its supervisor restarts has them again; handlers that were added later
/// are gone. OTP has no counterpart: there a restarted manager has no handlers.
///
/// ```
/// # use regrow::{EventHandler, HandlerContext, Removal, Result};
/// use regrow::{EventHandlers, EventManager, GenServer, Name, Runtime, Supervisor};
///
/// struct Log;
/// impl EventHandler<String> for Log {
/// #     type Args = ();
/// #     type Call = ();
/// #     type RemoveArg = ();
/// #     type Output = ();
/// #     async fn init((): (), _: &mut HandlerContext<String>) -> Result<Self> { Ok(Log) }
///     async fn handle_event(&mut self, event: &String, _: &mut HandlerContext<String>) -> Result {
///         println!("{event}");
///         Ok(())
///     }
/// #     async fn terminate(self, _: Removal<()>) {}
/// }
/// const ALARMS: Name<EventManager<String>> = Name::new("alarms");
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let handlers = EventHandlers::new().with::<Log>("main", || ());
/// let alarms = EventManager::child(handlers).with_id("alarms").named(ALARMS);
/// let tree = Supervisor::one_for_one().child(alarms).start(&rt).await?;
/// assert!(rt.server(ALARMS).notify("smoke".to_owned()));
/// # tree.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[must_use = "it does nothing until a manager is started with it"]
pub struct EventHandlers<E: Send + Sync + 'static> {
    list: Vec<(HandlerId, MakeInit<E>)>,
}

impl<E: Send + Sync + 'static> EventHandlers<E> {
    /// Makes an empty list.
    pub fn new() -> Self {
        EventHandlers { list: Vec::new() }
    }

    /// Adds a handler of type `H` with this text in its id. `args` runs in the process of the manager,
    /// at each start. If the `init` of the handler fails, or its id is there twice, the start of the
    /// manager fails. [`EventHandlers`] has an example.
    pub fn with<H: EventHandler<E>>(
        mut self,
        text: impl Into<SharedStr>,
        args: impl Fn() -> H::Args + Send + Sync + 'static,
    ) -> Self {
        let init: MakeInit<E> = Arc::new(move || init_of::<E, H>(args()));
        self.list.push((HandlerId::of::<H>(text), init));
        self
    }

    pub(super) fn fresh(&self) -> impl Iterator<Item = NewHandler<E>> {
        self.list.iter().map(|(id, init)| {
            let init = init.clone();
            // A panic of `args` is caught with those of `init`.
            let init: Init<E> = Box::new(move |ctx| Box::pin(async move { init()(ctx).await }));
            NewHandler { id: id.clone(), init, owner: None }
        })
    }
}

impl<E: Send + Sync + 'static> Default for EventHandlers<E> {
    fn default() -> Self {
        EventHandlers::new()
    }
}

impl<E: Send + Sync + 'static> Clone for EventHandlers<E> {
    fn clone(&self) -> Self {
        EventHandlers { list: self.list.clone() }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for EventHandlers<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(|(id, _)| id.to_string())).finish()
    }
}
