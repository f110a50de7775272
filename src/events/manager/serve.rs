//! The callbacks of the manager as a server.

use crate::events::manager::handler_list::{HandlerList, Input};
use crate::events::manager::request::Request;
use crate::events::{EventHandlers, EventManager, ManagerCall, Notify};
use crate::exit::{ExitReason, Result};
use crate::message::Received;
use crate::server::{GenServer, ServerContext};

impl<E: Send + Sync + 'static> GenServer for EventManager<E> {
    type Args = EventHandlers<E>;
    type Call = ManagerCall<E>;
    type Cast = Notify<E>;

    async fn init(initial: EventHandlers<E>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        let mut handlers = HandlerList::new(ctx.this(), ctx.pid(), ctx.runtime());
        for new in initial.fresh() {
            if let Err(error) = handlers.add(new).await {
                let reason = ExitReason::from(error);
                handlers.stop(&reason).await;
                return Err(reason);
            }
        }
        Ok(EventManager { handlers })
    }

    async fn handle_call(&mut self, call: ManagerCall<E>, _: &mut ServerContext<Self>) -> Result {
        match call.0 {
            Request::Notify { event, reply } => {
                self.handlers.dispatch(Input::Event(&event)).await;
                self.handlers.discard(event);
                reply.send(());
            }
            Request::Add { new, reply } => reply.send(self.handlers.add(new).await),
            Request::Call { id, call, failed } => {
                if let Err(error) = self.handlers.call(id, call).await {
                    // A caller that has given up needs no error.
                    drop(failed.send(error));
                }
            }
            Request::Delete { id, arg, reply } => {
                let output = self.handlers.delete(id, arg).await;
                self.handlers.answer(reply, output);
            }
            Request::Swap { id, to, owner, reply } => {
                reply.send(self.handlers.swap(id, to, owner).await);
            }
            Request::Which(reply) => reply.send(self.handlers.infos()),
        }
        Ok(())
    }

    async fn handle_cast(
        &mut self,
        Notify(event): Notify<E>,
        _: &mut ServerContext<Self>,
    ) -> Result {
        self.handlers.dispatch(Input::Event(&event)).await;
        self.handlers.discard(event);
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        let is_of_owner = match &info {
            Received::Down { reference, reason, .. } => {
                self.handlers.owner_ended(*reference, reason).await
            }
            _ => false,
        };
        if !is_of_owner {
            self.handlers.dispatch(Input::Info(&info)).await;
        }
        self.handlers.discard(info);
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        self.handlers.stop(reason).await;
    }

    fn format_status(&self) -> Option<String> {
        Some(self.handlers.status())
    }
}
