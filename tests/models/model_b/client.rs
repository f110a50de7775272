//! The clients of a supervisor: one request after another, or many concurrent requests.

use std::time::Duration;

use futures_util::{FutureExt, future::BoxFuture};
use regrow::{ChildError, ExitReason, Runtime, StartError, SupervisorRef};
use tokio::time::{Instant, sleep_until};

use super::actor::{self, Stage, Worker, name};
use super::admin::Answer;
use super::comparison::looks;
use super::plan::{End, Queued, Request, What};

/// Sends requests to the supervisor of this number.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) rt: Runtime,
    pub(crate) stage: Stage,
    pub(crate) sup: u32,
}

/// The time of an answer, and the answer.
type Answered = (u64, Answer);

impl Client {
    pub(crate) async fn ask(&self, request: &Request) -> Answer {
        let sup = SupervisorRef::named(&self.rt, name(self.sup));
        match request {
            Request::Terminate(id) => answer(&sup.terminate_child(&name(*id)).await),
            Request::Restart(id) => answer(&sup.restart_child(&name(*id)).await),
            Request::Delete(id) => answer(&sup.delete_child(&name(*id)).await),
            Request::Add(spec) => match sup.start_child(actor::child(spec, &self.stage)).await {
                Ok(_) => Answer::Ok,
                Err(StartError::AlreadyRunning { .. }) => Answer::Running,
                Err(StartError::AlreadyStarted { .. }) => Answer::NameHeld,
                Err(StartError::AlreadyPresent(_)) => Answer::AlreadyPresent,
                Err(StartError::Ignored) => Answer::Ignored,
                Err(StartError::Invalid(_)) => Answer::Invalid,
                Err(StartError::Unreachable(_)) => Answer::NoProc,
                Err(_) => Answer::Failed,
            },
            Request::Which => match sup.which_children().await {
                Ok(children) => Answer::Children(looks(&children)),
                Err(_) => Answer::NoProc,
            },
        }
    }

    /// Sends each item at its time to the supervisor that runs now. If that supervisor has ended,
    /// its successor receives none of them.
    pub(crate) async fn queue(&self, items: &[Queued]) -> Vec<Answered> {
        let began = Instant::now();
        let sup = self.rt.whereis(&name(self.sup));
        let mut answers = Vec::new();
        for Queued { at, what } in items {
            sleep_until(began + Duration::from_millis(*at)).await;
            let here = sup.is_some() && self.rt.whereis(&name(self.sup)) == sup;
            match what {
                What::End(id, end) if here => finish(&self.rt, *id, *end),
                What::End(..) => {}
                What::Ask(request) if here => answers.push(self.send(request)),
                What::Ask(_) => answers.push(self.refused()),
            }
        }
        futures_util::future::join_all(answers).await
    }

    /// Sends a request now, and returns a future of its answer, so that the caller can do other
    /// things meanwhile.
    fn send(&self, request: &Request) -> BoxFuture<'static, Answered> {
        let (client, request) = (self.clone(), request.clone());
        let mut asked = Box::pin(async move {
            let answer = client.ask(&request).await;
            (client.stage.now(), answer)
        });
        match asked.as_mut().now_or_never() {
            Some(answered) => std::future::ready(answered).boxed(),
            None => tokio::spawn(asked).map(|done| done.expect("no test client panics")).boxed(),
        }
    }

    fn refused(&self) -> BoxFuture<'static, Answered> {
        std::future::ready((self.stage.now(), Answer::NoProc)).boxed()
    }
}

pub(crate) fn finish(rt: &Runtime, id: u32, end: End) {
    let Some(pid) = rt.whereis(&name(id)) else { return };
    let Ok(worker) = rt.server_at::<Worker>(pid) else { return };
    match end {
        End::Kill => drop(rt.kill(pid)),
        End::Normal | End::Shutdown | End::Crash => drop(worker.cast(reason(end))),
    }
}

pub(crate) fn reason(end: End) -> ExitReason {
    match end {
        End::Normal => ExitReason::Normal,
        End::Shutdown => ExitReason::Shutdown,
        End::Crash => ExitReason::crashed("boom"),
        End::Kill => ExitReason::Killed,
    }
}

fn answer<T>(result: &Result<T, ChildError>) -> Answer {
    match result {
        Ok(_) => Answer::Ok,
        Err(ChildError::NotFound(_)) => Answer::NotFound,
        Err(ChildError::Running { .. }) => Answer::Running,
        Err(ChildError::Restarting(_)) => Answer::Restarting,
        Err(ChildError::NotStarted(StartError::Ignored)) => Answer::Ignored,
        Err(ChildError::Unreachable(_)) => Answer::NoProc,
        Err(_) => Answer::Failed,
    }
}
