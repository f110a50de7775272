//! What the targets act on: a runtime whose processes have no tasks.

use std::future::poll_fn;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::driver::process_future::ProcessFuture;
use crate::exit::reason::ExitReason;
use crate::interleavings::{block_on, thread};
use crate::kernel::admission::{NewProcess, NotAdmitted};
use crate::kernel::closing::End;
use crate::kernel::{Kernel, NameEntry, Vacancy};
use crate::mailbox::receive::Mailbox;
use crate::mailbox::record::Process;
use crate::message::received::{Envelope, Received};
use crate::process::{AnyProcess, Monitored, Registrations, Relations, Stage};
use crate::runtime::Runtime;
use crate::runtime::info::Leftovers;

/// A runtime, and all processes there ever were in it, by their pids.
#[derive(Clone)]
pub(crate) struct World {
    runtime: Runtime,
    /// No lock of the checker's: it is never held while another thread may run.
    made: Arc<Mutex<Vec<Made>>>,
}

struct Made {
    process: Arc<Process<Envelope>>,
    /// Elsewhere while somebody reads.
    mailbox: Option<Mailbox<Envelope>>,
}

impl Deref for World {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        &self.runtime
    }
}

/// Coming and going.
impl World {
    pub(crate) fn new() -> Self {
        World { runtime: Runtime::new(), made: Arc::default() }
    }

    pub(crate) fn with_mailbox_capacity(capacity: usize) -> Self {
        World { runtime: Runtime::with_mailbox_capacity(capacity), ..World::new() }
    }

    /// A live process.
    pub(crate) fn process(&self) -> Pid {
        let (pid, born) = self.bear(&NewProcess::default());
        born.expect("nothing is in its way");
        pid
    }

    /// A live process that traps exits.
    pub(crate) fn trapping(&self) -> Pid {
        let pid = self.process();
        self.set_trap_exit(pid, true);
        pid
    }

    /// A live process that holds the name.
    pub(crate) fn named(&self, name: &str) -> Pid {
        let pid = self.process();
        assert!(self.register(name, pid));
        pid
    }

    /// What `Runtime` does to make a process, up to the task.
    pub(crate) fn bear(&self, new_process: &NewProcess) -> (Pid, Result<(), NotAdmitted>) {
        let kernel = &self.runtime.kernel;
        let process = Process::<Envelope>::new(Arc::clone(kernel), new_process.relations(kernel));
        let mailbox = Some(Mailbox::new(Arc::clone(&process)));
        let any: Arc<dyn AnyProcess> = process.clone();
        let pid = any.pid();
        self.all(|made| made.push(Made { process, mailbox }));
        (pid, kernel.admit(&any, new_process))
    }

    /// The process returns, because it was told to.
    pub(crate) fn end(&self, pid: Pid, reason: ExitReason) {
        self.kernel.tear_down(&*self.process_of(pid), End::Told(reason));
    }

    /// The process' task notices that it was condemned.
    pub(crate) fn notice(&self, pid: Pid) {
        self.kernel.tear_down(&*self.process_of(pid), End::Dropped);
    }

    /// The whole life of the process, in its own task: it receives until it is told
    /// `stop`, or ends otherwise.
    pub(crate) fn live(&self, pid: Pid) -> Vec<Received> {
        let mut mailbox = self.take_mailbox(pid);
        mailbox.idle_wait.allow_announcing();
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        let body = Box::pin(async move {
            loop {
                poll_fn(|cx| mailbox.poll_some(cx)).await;
                let received = mailbox.take().received;
                if received == Received::Message(b"stop".to_vec()) {
                    return End::Returned(ExitReason::Normal);
                }
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(received);
            }
        });
        block_on(ProcessFuture::new(self.process_of(pid), body));
        std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reading.
impl World {
    /// All that the process finds in its mailbox now.
    pub(crate) fn received(&self, pid: Pid) -> Vec<Received> {
        let mut mailbox = self.take_mailbox(pid);
        let mut cx = Context::from_waker(Waker::noop());
        let mut received = Vec::new();
        while mailbox.poll_some(&mut cx).is_ready() {
            received.push(mailbox.take().received);
        }
        self.give_back(pid, mailbox);
        received
    }

    /// Waits for the next item.
    pub(crate) fn receive(&self, pid: Pid) -> Received {
        let mut mailbox = self.take_mailbox(pid);
        block_on(poll_fn(|cx| mailbox.poll_some(cx)));
        let received = mailbox.take().received;
        self.give_back(pid, mailbox);
        received
    }

    fn take_mailbox(&self, pid: Pid) -> Mailbox<Envelope> {
        self.look_up(pid, |made| made.mailbox.take()).expect("one reads at a time")
    }

    fn give_back(&self, pid: Pid, mailbox: Mailbox<Envelope>) {
        self.look_up(pid, |made| made.mailbox = Some(mailbox));
    }

    /// How many items lie in the mailbox, tickets or not.
    pub(crate) fn queued(&self, pid: Pid) -> usize {
        self.process_of(pid).state.lock().mail.inbox.len()
    }

    /// The reason that the process ended with, or will end with.
    pub(crate) fn fate(&self, pid: Pid) -> Option<ExitReason> {
        self.process_of(pid).state.lock().core.reason.clone()
    }

    pub(crate) fn has_ended(&self, pid: Pid) -> bool {
        self.process_of(pid).state.lock().core.stage == Stage::Ended
    }

    pub(crate) fn links(&self, pid: Pid) -> Vec<Pid> {
        self.relations(pid, |relations| relations.links.iter().map(|(&peer, _)| peer).collect())
    }

    pub(crate) fn process_of(&self, pid: Pid) -> Arc<Process<Envelope>> {
        self.look_up(pid, |made| Arc::clone(&made.process))
    }

    fn relations<R: Default>(&self, pid: Pid, look: impl FnOnce(&Relations) -> R) -> R {
        let process = self.process_of(pid);
        let state = process.state.lock();
        state.core.relations.as_deref().map(look).unwrap_or_default()
    }

    fn registrations<R: Default>(&self, pid: Pid, look: impl FnOnce(&Registrations) -> R) -> R {
        self.relations(pid, |relations| {
            relations.registrations.as_deref().map(look).unwrap_or_default()
        })
    }

    fn all<R>(&self, act: impl FnOnce(&mut Vec<Made>) -> R) -> R {
        act(&mut self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn look_up<R>(&self, pid: Pid, act: impl FnOnce(&mut Made) -> R) -> R {
        self.all(|all| {
            let made = all.iter_mut().find(|made| made.process.pid() == pid);
            act(made.expect("a process of this world"))
        })
    }
}

/// Doing things at once.
impl World {
    pub(crate) fn both<A, B>(
        &self,
        first: impl FnOnce(&World) -> A + Send + 'static,
        second: impl FnOnce(&World) -> B,
    ) -> (A, B)
    where
        A: Send + 'static,
    {
        let first = self.aside(first);
        let second = second(self);
        (first.join().expect(NO_PANIC), second)
    }

    pub(crate) fn three<A, B, C>(
        &self,
        first: impl FnOnce(&World) -> A + Send + 'static,
        second: impl FnOnce(&World) -> B + Send + 'static,
        third: impl FnOnce(&World) -> C,
    ) -> (A, B, C)
    where
        A: Send + 'static,
        B: Send + 'static,
    {
        let first = self.aside(first);
        let second = self.aside(second);
        let third = third(self);
        (first.join().expect(NO_PANIC), second.join().expect(NO_PANIC), third)
    }

    /// On a thread of its own.
    pub(crate) fn aside<R: Send + 'static>(
        &self,
        act: impl FnOnce(&World) -> R + Send + 'static,
    ) -> thread::JoinHandle<R> {
        let world = self.clone();
        thread::spawn(move || act(&world))
    }
}

const NO_PANIC: &str = "nothing panics in a target's threads";

/// What holds whenever nothing is under way.
impl World {
    /// Both ends of each link and monitor agree, and so do names and groups with their
    /// holders; and when all have ended, nothing is left.
    pub(crate) fn at_rest(&self) {
        let live = self.list();
        for &pid in &live {
            self.check_links(pid, &live);
            self.check_monitors(pid, &live);
            self.check_names(pid);
        }
        self.check_entries(&live);
        live.into_iter().for_each(|pid| self.notice(pid));
        assert_eq!(self.leftovers(), Leftovers::default());
        assert_eq!(self.spawned(), self.finished());
    }

    fn check_links(&self, pid: Pid, live: &[Pid]) {
        for peer in self.links(pid) {
            assert!(live.contains(&peer), "{pid} is linked to {peer}, which is dead");
            assert!(self.links(peer).contains(&pid), "{pid} is linked to {peer}, but not back");
        }
    }

    fn check_monitors(&self, pid: Pid, live: &[Pid]) {
        let held: Vec<(u64, Pid)> = self.relations(pid, |relations| {
            let held = relations.monitors.iter().filter_map(|(&id, held)| match held {
                Monitored::Process(target) => Some((id, *target)),
                _ => None,
            });
            held.collect()
        });
        for (id, target) in held {
            assert!(live.contains(&target), "{pid} watches {target}, which is dead");
            let listed = self.relations(target, |relations| {
                relations.watchers.as_ref().is_some_and(|watchers| watchers.contains(&id))
            });
            assert!(listed, "{pid} watches {target}, which doesn't know");
        }
        let watchers: Vec<(u64, Pid)> = self.relations(pid, |relations| {
            let all = relations.watchers.iter().flat_map(|watchers| watchers.iter());
            all.map(|(&id, watcher)| (id, watcher.pid)).collect()
        });
        for (id, watcher) in watchers {
            let holds = self.relations(watcher, |relations| relations.monitors.contains(&id));
            assert!(holds, "{pid} is to tell {watcher}, which doesn't wait");
        }
    }

    fn check_names(&self, pid: Pid) {
        let (names, tags): (Vec<SharedStr>, Vec<SharedStr>) =
            self.registrations(pid, |registrations| {
                let names = registrations.names.iter().map(|(name, ())| name.clone()).collect();
                (names, registrations.tags.iter().map(|(tag, ())| tag.clone()).collect())
            });
        for name in names {
            assert_eq!(self.whereis(&name), Some(pid), "{pid} holds {name}");
        }
        for tag in tags {
            assert!(self.whereis_tag(&tag).contains(&pid), "{pid} is in {tag}");
        }
    }

    fn check_entries(&self, live: &[Pid]) {
        let kernel: &Kernel = &self.kernel;
        for (name, entry) in kernel.names.collect(|name, entry| Some((name.clone(), *entry))) {
            let (NameEntry::Held(pid) | NameEntry::Vacant(Vacancy { supervisor: pid, .. })) = entry;
            assert!(live.contains(&pid), "{name} is left to {pid}, which is dead");
            let known = self.registrations(pid, |registrations| match entry {
                NameEntry::Held(_) => registrations.names.contains(&name),
                NameEntry::Vacant(_) => registrations.vacated(&name).is_some(),
            });
            assert!(known, "{pid} has {name}, but doesn't know");
        }
        let groups = kernel.groups.collect(|tag, group| {
            let members: Vec<Pid> = group.members.iter().map(|(&pid, ())| pid).collect();
            let watchers: Vec<Pid> = group.watchers.iter().map(|(_, &pid)| pid).collect();
            Some((tag.clone(), members, watchers))
        });
        for (tag, members, watchers) in groups {
            assert!(members.len() + watchers.len() > 0, "{tag} is empty, and still there");
            for member in members {
                assert!(live.contains(&member), "{member} is dead, and still in {tag}");
                assert!(
                    self.registrations(member, |registrations| registrations.tags.contains(&tag))
                );
            }
            for watcher in watchers {
                assert!(live.contains(&watcher), "{watcher} is dead, and still watches {tag}");
            }
        }
    }
}

pub(crate) fn message(text: &str) -> Received {
    Received::Message(text.into())
}

pub(crate) fn exit(from: Pid, reason: ExitReason) -> Received {
    Received::Exit { from, reason }
}

pub(crate) fn down(reference: MonitorRef, pid: Pid, reason: ExitReason) -> Received {
    Received::Down { reference, pid, reason }
}
