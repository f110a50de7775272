//! The first phase of a server's body: `init`, and its acknowledgement.

use crate::base::Pid;
use crate::driver::hosted::Slot;
use crate::exit::Result;
use crate::kernel::{End, Kernel};
use crate::observe::crash_site::InInit;
use crate::process::AnyProcess;
use crate::runtime::{Ack, AckSender};
use crate::server::run::phases::Phases;
use crate::server::run::{Running, run};
use crate::server::{GenServer, ServerContext};

/// What `init` needs besides the arguments and the context.
pub(crate) struct Begin {
    pub(crate) ack: AckSender,
    pub(crate) parent: Option<Pid>,
    /// Whether the record of the process is marked as starting.
    pub(crate) is_starting: bool,
}

/// Runs the server: all steps.
pub(crate) fn body<S: GenServer>(
    args: S::Args,
    ctx: ServerContext<S>,
    begin: Begin,
) -> impl Slot + Send {
    Phases::new(init(args, ctx, begin))
}

/// Runs steps 1 and 2. Returns the future of the other steps.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would hold its arguments twice")]
fn init<S: GenServer>(
    args: S::Args,
    mut ctx: ServerContext<S>,
    begin: Begin,
) -> impl Future<Output = Result<impl Future<Output = End> + Send, End>> + Send {
    async move {
        ctx.note_init();
        let callback = InInit::begin();
        let state = match callback.end(S::init(args, &mut ctx).await) {
            Ok(state) => state,
            Err(reason) => {
                if let Some(error) = ctx.refusal(&reason) {
                    begin.ack.send(Ack::Refused(error));
                }
                return Err(End::Returned(reason));
            }
        };
        acknowledge(&*ctx.process, &ctx.process.kernel, begin);
        Ok(run(Running { state, ctx }))
    }
}

/// Step 2.
fn acknowledge(process: &dyn AnyProcess, kernel: &Kernel, begin: Begin) {
    // Invariant 2.
    if let Some(parent) = begin.parent {
        kernel.acknowledge(parent, process.pid());
    }
    kernel.mark_started(process, begin.is_starting);
    begin.ack.send(Ack::Started);
}
