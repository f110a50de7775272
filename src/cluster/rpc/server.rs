//! The server that starts a process for each request.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;

use crate::base::user_panics::panic_text;
use crate::child::{ChildSpec, TaskContext};
use crate::cluster::rpc::functions::Failure;
use crate::cluster::rpc::request::Request;
use crate::exit::Result;
use crate::net::Connections;
use crate::runtime::{Name, Runtime};
use crate::server::{GenServer, ServerContext};

/// The name of the server. Nodes before OTP 23 call functions by it.
pub(crate) const FUNCTIONS: Name<FunctionServer> = Name::new("rex");

pub(crate) struct FunctionServer {
    runtime: Runtime,
    /// The supervisor of the processes.
    processes: Connections,
}

pub(crate) enum Cast {
    Run(Request),
}

impl GenServer for FunctionServer {
    type Args = Connections;
    type Call = std::convert::Infallible;
    type Cast = Cast;

    async fn init(processes: Connections, ctx: &mut ServerContext<Self>) -> Result<Self> {
        Ok(FunctionServer { runtime: ctx.runtime(), processes })
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        let Cast::Run(request) = cast;
        let Some(processes) = self.processes.find(&self.runtime) else { return Ok(()) };
        // A request that is not started is answered by its drop.
        drop(processes.start_once(ChildSpec::once_with("function", request, run)).await);
        Ok(())
    }
}

/// The process of a request. A panic ends it as any process: it is logged, with the reason.
async fn run(ctx: TaskContext, mut request: Request) -> Result {
    request.started(ctx.pid());
    let call = match request.take_call() {
        Ok(call) => call,
        Err(failure) => {
            request.answer(&Err(failure));
            return Ok(());
        }
    };
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(result) => {
            request.answer(&result);
            Ok(())
        }
        Err(panic) => {
            request.answer(&Err(Failure::Panicked(panic_text(&*panic))));
            resume_unwind(panic)
        }
    }
}
