//! Supervision as a tokio program writes it without a library: one task owns its children in a
//! `JoinSet`, starts them on request and waits for their first report, starts them again after a
//! failure, and stops them by a message with a limit of five seconds.
//!
//! It counts no restarts, has no names and no exit reasons, and no task can link to or monitor a child.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

const LIMIT: Duration = Duration::from_secs(5);

/// How a child fails.
#[derive(Clone, Copy)]
pub(crate) enum Fails {
    Panic,
    Error,
}

/// What a child receives.
pub(crate) enum Message {
    Add(u64),
    Get(oneshot::Sender<u64>),
    Fail(Fails),
    Stop,
}

pub(crate) type Child = mpsc::UnboundedSender<Message>;

/// Where each start of a child is reported.
pub(crate) type Up = Option<mpsc::UnboundedSender<Child>>;

/// A request to the supervisor.
pub(crate) enum Order {
    /// Answered with the number of the child.
    Start(Up, oneshot::Sender<u64>),
    Terminate(u64, oneshot::Sender<()>),
    /// Ends the supervisor, after all its children.
    Stop(oneshot::Sender<()>),
}

/// Which children a failure restarts, and how all are stopped.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Strategy {
    OneForOne,
    OneForAll,
    /// As `OneForOne`; at the end all are stopped at once instead of one after the other.
    Dynamic,
}

struct Running {
    mailbox: Child,
    task: AbortHandle,
    up: Up,
    /// The caller that waits for the end of the child.
    terminates: Option<oneshot::Sender<()>>,
}

struct Supervisor {
    strategy: Strategy,
    tasks: JoinSet<Result<(), &'static str>>,
    numbers: HashMap<Id, u64>,
    children: HashMap<u64, Running>,
    started: u64,
    /// The children that are to be aborted, the earliest first.
    limits: VecDeque<(Instant, u64)>,
}

type Ended = Result<(Id, Result<(), &'static str>), JoinError>;

/// A server: receives until it is stopped, fails, or has no sender.
async fn child(mut mailbox: mpsc::UnboundedReceiver<Message>) -> Result<(), &'static str> {
    let mut sum = 0;
    while let Some(message) = mailbox.recv().await {
        match message {
            Message::Add(number) => sum += number,
            Message::Get(reply) => drop(reply.send(sum)),
            Message::Fail(Fails::Panic) => panic!("as asked"),
            Message::Fail(Fails::Error) => return Err("as asked"),
            Message::Stop => break,
        }
    }
    Ok(())
}

/// Starts a supervisor without children.
pub(crate) fn start(strategy: Strategy) -> mpsc::UnboundedSender<Order> {
    let (orders, received) = mpsc::unbounded_channel();
    let supervisor = Supervisor {
        strategy,
        tasks: JoinSet::new(),
        numbers: HashMap::new(),
        children: HashMap::new(),
        started: 0,
        limits: VecDeque::new(),
    };
    tokio::spawn(supervisor.run(received));
    orders
}

impl Supervisor {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut sweep = tokio::time::interval(Duration::from_millis(100));
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Start(up, started)) => {
                        self.started += 1;
                        let number = self.started;
                        self.start_child(number, up).await;
                        let _ = started.send(number);
                    }
                    Some(Order::Terminate(number, ended)) => self.terminate(number, ended),
                    Some(Order::Stop(stopped)) => {
                        self.stop_all().await;
                        let _ = stopped.send(());
                        return;
                    }
                    None => return,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.child_ended(ended).await,
                _ = sweep.tick(), if !self.limits.is_empty() => self.abort_late(),
            }
        }
    }

    /// Starts a child, and waits until it has reported that it runs.
    async fn start_child(&mut self, number: u64, up: Up) {
        let (mailbox, received) = mpsc::unbounded_channel();
        let (ready, is_ready) = oneshot::channel();
        let task = self.tasks.spawn(async move {
            let _ = ready.send(());
            child(received).await
        });
        let _ = is_ready.await;
        if let Some(up) = &up {
            let _ = up.send(mailbox.clone());
        }
        self.numbers.insert(task.id(), number);
        self.children.insert(number, Running { mailbox, task, up, terminates: None });
    }

    fn terminate(&mut self, number: u64, ended: oneshot::Sender<()>) {
        if let Some(child) = self.children.get_mut(&number) {
            let _ = child.mailbox.send(Message::Stop);
            child.terminates = Some(ended);
            self.limits.push_back((Instant::now() + LIMIT, number));
        }
    }

    fn abort_late(&mut self) {
        let now = Instant::now();
        while let Some(&(limit, number)) = self.limits.front()
            && limit <= now
        {
            self.limits.pop_front();
            if let Some(child) = self.children.get(&number) {
                child.task.abort();
            }
        }
    }

    async fn child_ended(&mut self, ended: Ended) {
        let (id, failed) = match ended {
            Ok((id, result)) => (id, result.is_err()),
            Err(error) => (error.id(), error.is_panic()),
        };
        let Some(number) = self.numbers.remove(&id) else { return };
        let Some(child) = self.children.remove(&number) else { return };
        if let Some(terminates) = child.terminates {
            let _ = terminates.send(());
        } else if failed && self.strategy == Strategy::OneForAll {
            self.restart_all(number, child.up).await;
        } else if failed {
            self.start_child(number, child.up).await;
        }
    }

    /// Stops all other children, the last first, and starts all again, the first first.
    async fn restart_all(&mut self, failed: u64, up: Up) {
        let mut all = self.stop_in_order().await;
        all.push((failed, up));
        all.sort_unstable_by_key(|(number, _)| *number);
        for (number, up) in all {
            self.start_child(number, up).await;
        }
    }

    async fn stop_in_order(&mut self) -> Vec<(u64, Up)> {
        let mut all: Vec<_> = self.children.drain().collect();
        all.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        let mut stopped = Vec::with_capacity(all.len());
        for (number, child) in all {
            let _ = child.mailbox.send(Message::Stop);
            // No other child ends here: this one is the only one that is asked to.
            if tokio::time::timeout(LIMIT, self.tasks.join_next()).await.is_err() {
                child.task.abort();
                self.tasks.join_next().await;
            }
            self.numbers.remove(&child.task.id());
            stopped.push((number, child.up));
        }
        stopped
    }

    async fn stop_all(&mut self) {
        if self.strategy != Strategy::Dynamic {
            self.stop_in_order().await;
            return;
        }
        for child in self.children.values() {
            let _ = child.mailbox.send(Message::Stop);
        }
        let tasks = &mut self.tasks;
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LIMIT, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}
