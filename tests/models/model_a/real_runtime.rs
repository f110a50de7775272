//! The real side of the comparison: a runtime with processes that interpret commands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use regrow::{Context, Ended, MonitorRef, Pid, Received, Runtime};
use tokio::sync::mpsc::unbounded_channel;

use super::commands::{Act, Answer, Command, Id, Mailboxes, OUTSIDE, Op, To};
use super::process_body::{Mourner, obey};
use super::records::{Books, Step, name_of};

pub(crate) struct World {
    pub(crate) rt: Runtime,
    books: Mutex<Books>,
}

fn message(from: Id, id: Id, tag: u8) -> Vec<u8> {
    let mut bytes = [from.to_le_bytes(), id.to_le_bytes()].concat();
    bytes.push(tag);
    bytes
}

fn yes(answer: bool) -> Answer {
    vec![u32::from(answer)]
}

impl World {
    pub(crate) fn new(mailboxes: Mailboxes) -> Arc<World> {
        let rt = match mailboxes {
            Mailboxes::Plain => Runtime::new(),
            Mailboxes::Counted => Runtime::with_mailbox_depth(),
            Mailboxes::Bounded(capacity) => Runtime::with_mailbox_capacity(capacity),
        };
        Arc::new(World { rt, books: Mutex::default() })
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes a command: in the driver, or by sending it to its process. A command for an ended
    /// process is not sent.
    pub(crate) async fn issue(self: &Arc<Self>, command: Command) {
        match command.op {
            Op::Advance(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.done(command.id, Answer::new());
            }
            Op::Arm { act: Act::Tick(_), .. } => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.perform(command);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            _ if command.by == OUTSIDE => self.perform(command),
            _ => {
                if let Some(job) = self.books().jobs.get(&command.by) {
                    // The send fails if the process has ended.
                    let _ = job.send(command);
                }
            }
        }
    }

    pub(crate) fn done(&self, id: Id, answer: Answer) {
        let mut books = self.books();
        books.steps.push(Step::Ran(id));
        books.answers.insert(id, answer);
    }

    pub(crate) fn perform(self: &Arc<Self>, command: Command) {
        let answer = self.act(command);
        self.done(command.id, answer);
    }

    #[allow(clippy::too_many_lines)] // an arm for each command
    fn act(self: &Arc<Self>, command: Command) -> Answer {
        let rt = &self.rt;
        let pid = |id: Id| self.books().pid(id);
        let id = command.id;
        match command.op {
            Op::Spawn { eager } => self.spawn(id, eager),
            Op::SpawnLink { parent } => self.spawn_link(id, parent),
            Op::SpawnMonitor { watcher } => self.spawn_monitor(id, watcher),
            Op::WhereisOrSpawn { name } => return self.whereis_or_spawn(id, name),
            Op::Link(a, b) => return yes(rt.link(pid(a), pid(b))),
            Op::Unlink(a, b) => rt.unlink(pid(a), pid(b)),
            Op::Monitor { watcher, target } => {
                self.watched(id, rt.monitor(pid(watcher), pid(target)));
            }
            Op::MonitorName { watcher, name } => {
                self.watched(id, rt.monitor_name(pid(watcher), &name_of(name)));
            }
            Op::MonitorGroup { watcher, group } => {
                let (monitor, members) = rt.monitor_group(pid(watcher), &name_of(group));
                self.watched(id, monitor);
                return self.books().ids(members);
            }
            Op::Demonitor { monitor, flush } => return self.demonitor(monitor, flush),
            Op::Send(to, tag) => {
                let message = message(command.by, id, tag);
                return yes(match to {
                    To::Process(to) => rt.send(pid(to), message),
                    To::Name(name) => rt.send_named(&name_of(name), message),
                });
            }
            Op::Exit(to, reason) => return yes(rt.exit(pid(to), reason.to_exit())),
            Op::Kill(to) => return yes(rt.kill(pid(to))),
            Op::KillGroup(group) => return vec![rt.kill_tag(&name_of(group)) as u32],
            Op::Trap(p, trap) => {
                let old = rt.set_trap_exit(pid(p), trap);
                return old.map(u32::from).into_iter().collect();
            }
            Op::Register(name, p) => return yes(rt.register(name_of(name), pid(p))),
            Op::Unregister(name) => return yes(rt.unregister(&name_of(name))),
            Op::Join(group, p) => return yes(rt.register_tag(name_of(group), pid(p))),
            Op::Leave(group, p) => return yes(rt.unregister_tag(&name_of(group), pid(p))),
            Op::Arm { to, act, ms } => self.arm(id, to, act, ms),
            Op::Cancel(timer) => {
                let timer = self.books().timers.get(&timer).cloned();
                return yes(timer.is_some_and(|timer| timer.cancel()));
            }
            Op::Snapshot => return self.books().ids(rt.list()),
            Op::Panic | Op::Return | Op::Receive(_) | Op::Advance(_) => {}
        }
        Answer::new()
    }

    fn spawn(self: &Arc<Self>, id: Id, eager: bool) {
        let handle = self.rt.spawn(self.body(id, eager));
        self.born(id, handle.pid(), handle.join());
    }

    fn spawn_link(self: &Arc<Self>, id: Id, parent: Id) {
        let parent = self.books().pid(parent);
        let handle = self.rt.spawn_link(parent, self.body(id, false));
        self.born(id, handle.pid(), handle.join());
    }

    fn spawn_monitor(self: &Arc<Self>, id: Id, watcher: Id) {
        let watcher = self.books().pid(watcher);
        let (handle, monitor) = self.rt.spawn_monitor(watcher, self.body(id, false));
        self.born(id, handle.pid(), handle.join());
        self.watched(id, monitor);
    }

    fn whereis_or_spawn(self: &Arc<Self>, id: Id, name: u8) -> Answer {
        let pid = self.rt.whereis_or_spawn(name_of(name), self.body(id, false));
        if !self.books().ids.contains_key(&pid) {
            self.born(id, pid, self.rt.ended(pid));
        }
        vec![self.books().id(pid)]
    }

    fn born(&self, id: Id, pid: Pid, end: Ended) {
        let mut books = self.books();
        books.pids.insert(id, pid);
        books.ids.insert(pid, id);
        books.ends.insert(id, (pid, end));
    }

    fn watched(&self, id: Id, monitor: MonitorRef) {
        let mut books = self.books();
        books.monitors.insert(id, monitor);
        books.monitor_ids.insert(monitor.raw(), id);
    }

    fn demonitor(&self, monitor: Id, flush: bool) -> Answer {
        let monitor = self.books().monitors.get(&monitor).copied();
        let Some(monitor) = monitor else { return yes(false) };
        yes(if flush { self.rt.demonitor_flush(monitor) } else { self.rt.demonitor(monitor) })
    }

    fn arm(&self, id: Id, to: To, act: Act, ms: u64) {
        let to: regrow::Dest = match to {
            To::Process(p) => self.books().pid(p).into(),
            To::Name(name) => name_of(name).into(),
        };
        let after = Duration::from_millis(ms);
        let timer = match act {
            Act::Send(tag) => self.rt.send_after(to, after, message(OUTSIDE, id, tag)),
            Act::Tick(tag) => self.rt.send_interval(to, after, message(OUTSIDE, id, tag)),
            Act::Exit(reason) => self.rt.exit_after(to, after, reason.to_exit()),
            Act::Kill => self.rt.kill_after(to, after),
        };
        self.books().timers.insert(id, timer);
    }

    pub(crate) fn hear(&self, id: Id, received: Received) {
        let mut books = self.books();
        let item = books.item(received);
        books.heard.entry(id).or_default().push(item);
    }

    /// Returns the body of a process. It executes commands, and receives from its mailbox only on
    /// command, unless it is eager.
    fn body(
        self: &Arc<Self>,
        id: Id,
        eager: bool,
    ) -> impl FnOnce(Context) -> BoxedBody + Send + 'static {
        let (job, jobs) = unbounded_channel();
        self.books().jobs.insert(id, job);
        let mourner = Mourner(Arc::clone(self), id);
        move |ctx| Box::pin(obey(ctx, jobs, mourner, eager))
    }
}

type BoxedBody = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
