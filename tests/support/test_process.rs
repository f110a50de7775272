//! A process that runs closures on request, and reports everything it receives.

use regrow::{Context, ExitReason, Pid, ProcessHandle, Received, Result, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

type Order = Box<dyn FnOnce(&mut Context) -> Step + Send>;

enum Step {
    GoOn,
    End(Result),
}

/// The message that marks the end of the mail in [`TestProcess::mail`].
const MARK: &[u8] = b"\0 all that came before";

pub struct TestProcess {
    rt: Runtime,
    pub handle: ProcessHandle,
    orders: UnboundedSender<Order>,
    mail: UnboundedReceiver<Received>,
}

impl TestProcess {
    pub fn new(rt: &Runtime) -> TestProcess {
        let (orders, obey) = unbounded_channel();
        let (report, mail) = unbounded_channel();
        let handle = rt.spawn_fallible(|ctx| live(ctx, obey, report));
        TestProcess { rt: rt.clone(), handle, orders, mail }
    }

    /// Starts a test process that traps exits.
    pub fn trapping(rt: &Runtime) -> TestProcess {
        let test_process = TestProcess::new(rt);
        rt.set_trap_exit(test_process.pid(), true);
        test_process
    }

    pub fn pid(&self) -> Pid {
        self.handle.pid()
    }

    /// Runs `act` inside the process, and returns its result.
    pub async fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Context) -> T + Send + 'static,
    ) -> T {
        let (reply, result) = oneshot::channel();
        self.order(move |ctx| {
            let _ = reply.send(act(ctx));
            Step::GoOn
        });
        result.await.expect("the test process has ended")
    }

    /// Makes the process return.
    pub fn finish(&self) {
        self.order(|_| Step::End(Ok(())));
    }

    /// Makes the process return this reason as its error.
    pub fn fail(&self, reason: ExitReason) {
        self.order(|_| Step::End(Err(reason)));
    }

    /// Makes the process panic.
    pub fn panic(&self, text: &'static str) {
        self.order(move |_| panic!("{text}"));
    }

    fn order(&self, order: impl FnOnce(&mut Context) -> Step + Send + 'static) {
        let _ = self.orders.send(Box::new(order));
    }

    /// Waits for the next item that the process receives.
    pub async fn next(&mut self) -> Received {
        self.mail.recv().await.expect("the test process has ended")
    }

    /// Returns all items that were delivered to the process and not taken yet.
    pub async fn mail(&mut self) -> Vec<Received> {
        assert!(self.rt.send(self.pid(), MARK.to_vec()), "the test process has ended");
        let mut mail = Vec::new();
        loop {
            match self.next().await {
                Received::Message(message) if message == MARK => return mail,
                item => mail.push(item),
            }
        }
    }

    /// Waits for the end of the process, and returns the items that it received and that were not
    /// taken yet.
    pub async fn rest(&mut self) -> Vec<Received> {
        let mut rest = Vec::new();
        while let Some(item) = self.mail.recv().await {
            rest.push(item);
        }
        rest
    }

    /// Returns whether the process is alive and still acts on request.
    pub async fn lives(&self) -> bool {
        self.ask(|_| ()).await;
        self.rt.is_alive(self.pid())
    }

    pub async fn ended(&self) -> ExitReason {
        self.handle.join().await
    }
}

async fn live(
    mut ctx: Context,
    mut obey: UnboundedReceiver<Order>,
    report: UnboundedSender<Received>,
) -> Result {
    let mut told = true;
    loop {
        tokio::select! {
            order = obey.recv(), if told => match order.map(|order| order(&mut ctx)) {
                Some(Step::GoOn) => {}
                Some(Step::End(result)) => return result,
                None => told = false,
            },
            item = ctx.recv() => drop(report.send(item)),
        }
    }
}
