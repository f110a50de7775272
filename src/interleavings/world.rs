//! The fixture of the targets: a runtime whose processes have no tasks.

use std::future::poll_fn;
use std::ops::Deref;
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};

use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::base::small_map::SmallMap;
use crate::base::sync::PlainMutex;
use crate::driver::host;
use crate::driver::process_future::ProcessFuture;
use crate::exit::reason::ExitReason;
use crate::interleavings::{block_on, thread};
use crate::kernel::admission::NewProcess;
use crate::kernel::final_reason::End;
use crate::kernel::name_table::NotAdmitted;
use crate::kernel::{Kernel, NameEntry, Vacancy};
use crate::mailbox::receive::Mailbox;
use crate::mailbox::record::Process;
use crate::message::received::{Envelope, Received};
use crate::process::{AnyProcess, MonitorEntry, Registrations, Relations};
use crate::runtime::Runtime;
use crate::runtime::info::Leftovers;

/// A runtime, and all processes that were created in it.
#[derive(Clone)]
pub(crate) struct World {
    runtime: Runtime,
    /// No thread switch happens while this lock is held, since the checkers do not know it.
    made: Arc<PlainMutex<Vec<TestProcess>>>,
}

struct TestProcess {
    process: Arc<Process<Envelope>>,
    /// `None` while a thread reads the mailbox.
    mailbox: Option<Mailbox<Envelope>>,
}

impl Deref for World {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        &self.runtime
    }
}

/// Creating and ending processes.
impl World {
    pub(crate) fn new() -> Self {
        World { runtime: Runtime::new(), made: Arc::default() }
    }

    /// Creates a process.
    pub(crate) fn process(&self) -> Pid {
        self.admit(&NewProcess::default())
    }

    /// Creates a process with this initial state.
    pub(crate) fn admit(&self, new_process: &NewProcess) -> Pid {
        let (pid, admitted) = self.create(new_process);
        admitted.expect("nothing is in its way");
        pid
    }

    /// Creates a process that traps exits.
    pub(crate) fn trapping(&self) -> Pid {
        let pid = self.process();
        self.set_trap_exit(pid, true);
        pid
    }

    /// Creates a process that holds this name.
    pub(crate) fn named(&self, name: &str) -> Pid {
        let pid = self.process();
        assert!(self.register(name, pid));
        pid
    }

    /// Creates a process as `Runtime` does, but without a task, and returns whether it was admitted.
    pub(crate) fn create(&self, new_process: &NewProcess) -> (Pid, Result<(), NotAdmitted>) {
        let kernel = &self.runtime.kernel;
        let process = Process::<Envelope>::new(Arc::clone(kernel), new_process.relations(kernel));
        let mailbox = Some(Mailbox::new(Arc::clone(&process)));
        let any: Arc<dyn AnyProcess> = process.clone();
        let pid = any.pid();
        self.all(|made| made.push(TestProcess { process, mailbox }));
        (pid, kernel.admit(&any, new_process))
    }

    /// Ends a process as if its body had returned after a request to stop.
    pub(crate) fn end(&self, pid: Pid, reason: ExitReason) {
        self.kernel.tear_down(&*self.process_of(pid), End::Stopped(reason));
    }

    /// Ends a process as if its task had been dropped, for example after an accepted exit signal.
    pub(crate) fn drop_task(&self, pid: Pid) {
        self.kernel.tear_down(&*self.process_of(pid), End::Dropped);
    }

    /// Runs the task of a process to its end. The body receives items until the message `stop`, and
    /// the function returns the items before that message.
    pub(crate) fn run_task(&self, pid: Pid) -> Vec<Received> {
        let mut mailbox = self.take_mailbox(pid);
        mailbox.process.head.spin.allow_announcing();
        let (kept, log) = mpsc::channel();
        let process = self.process_of(pid);
        let body = host(process, async move {
            loop {
                poll_fn(|cx| mailbox.poll_some(cx)).await;
                let received = mailbox.take().received;
                if received == Received::Message(b"stop".to_vec()) {
                    return End::Returned(ExitReason::Normal);
                }
                kept.send(received).expect("the receiver exists");
            }
        });
        block_on(ProcessFuture::new(body));
        log.try_iter().collect()
    }
}

/// Reading mailboxes and records.
impl World {
    /// Receives all items that are in the mailbox now.
    pub(crate) fn received(&self, pid: Pid) -> Vec<Received> {
        self.read(pid, |mailbox| {
            let mut cx = Context::from_waker(Waker::noop());
            let mut received = Vec::new();
            while mailbox.poll_some(&mut cx).is_ready() {
                received.push(mailbox.take().received);
            }
            received
        })
    }

    /// Receives the next item, and waits for it if there is none.
    pub(crate) fn receive(&self, pid: Pid) -> Received {
        self.read(pid, |mailbox| {
            block_on(poll_fn(|cx| mailbox.poll_some(cx)));
            mailbox.take().received
        })
    }

    fn take_mailbox(&self, pid: Pid) -> Mailbox<Envelope> {
        self.look_up(pid, |made| made.mailbox.take()).expect("only one thread reads")
    }

    fn read<R>(&self, pid: Pid, read: impl FnOnce(&mut Mailbox<Envelope>) -> R) -> R {
        let mut mailbox = self.take_mailbox(pid);
        let outcome = read(&mut mailbox);
        self.look_up(pid, |made| made.mailbox = Some(mailbox));
        outcome
    }

    /// The number of items in the inbox, including revoked signals.
    pub(crate) fn queued(&self, pid: Pid) -> usize {
        self.process_of(pid).state.lock().mail.inbox.len()
    }

    /// The exit reason of the process, if an exit signal was accepted or the teardown has begun.
    pub(crate) fn exit_reason(&self, pid: Pid) -> Option<ExitReason> {
        self.process_of(pid).state.lock().core.reason.clone()
    }

    pub(crate) fn has_ended(&self, pid: Pid) -> bool {
        self.process_of(pid).state.lock().core.has_ended()
    }

    pub(crate) fn links(&self, pid: Pid) -> Vec<Pid> {
        self.relations(pid, |relations| relations.links.keys().copied().collect())
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
        self.relations(pid, |own| own.registrations.as_deref().map(look).unwrap_or_default())
    }

    fn all<R>(&self, act: impl FnOnce(&mut Vec<TestProcess>) -> R) -> R {
        act(&mut self.made.lock())
    }

    fn look_up<R>(&self, pid: Pid, act: impl FnOnce(&mut TestProcess) -> R) -> R {
        self.all(|all| {
            let made = all.iter_mut().find(|made| made.process.pid() == pid);
            act(made.expect("a process of this world"))
        })
    }
}

/// Running operations at the same time.
impl World {
    pub(crate) fn both<A: Send + 'static, B>(
        &self,
        first: impl FnOnce(&World) -> A + Send + 'static,
        second: impl FnOnce(&World) -> B,
    ) -> (A, B) {
        let first = self.on_thread(first);
        let second = second(self);
        (first.join().expect("it does not panic"), second)
    }

    pub(crate) fn three<A: Send + 'static, B: Send + 'static, C>(
        &self,
        first: impl FnOnce(&World) -> A + Send + 'static,
        second: impl FnOnce(&World) -> B + Send + 'static,
        third: impl FnOnce(&World) -> C,
    ) -> (A, B, C) {
        let first = self.on_thread(first);
        let (second, third) = self.both(second, third);
        (first.join().expect("it does not panic"), second, third)
    }

    /// Runs an operation on a thread of its own.
    pub(crate) fn on_thread<R: Send + 'static>(
        &self,
        operation: impl FnOnce(&World) -> R + Send + 'static,
    ) -> thread::JoinHandle<R> {
        let world = self.clone();
        thread::spawn(move || operation(&world))
    }
}

/// Properties that hold whenever no operation is under way.
impl World {
    /// Checks that the records of both sides of each link and monitor agree, and that the tables of
    /// names and groups agree with the records of the holders, members and watchers. Then ends all
    /// processes, and checks that no entry is left in any table.
    pub(crate) fn assert_consistent(&self) {
        let live = self.list();
        for &pid in &live {
            self.check_links(pid, &live);
            self.check_monitors(pid, &live);
            self.check_names(pid);
        }
        self.check_entries(&live);
        live.into_iter().for_each(|pid| self.drop_task(pid));
        assert_eq!(self.leftovers(), Leftovers::default());
        assert_eq!(self.spawned(), self.finished());
    }

    fn check_links(&self, pid: Pid, live: &[Pid]) {
        for peer in self.links(pid) {
            assert!(live.contains(&peer), "{pid} is linked to {peer}, which has ended");
            assert!(self.links(peer).contains(&pid), "{pid} is linked to {peer}, but not back");
        }
    }

    fn check_monitors(&self, pid: Pid, live: &[Pid]) {
        let held: Vec<(u64, Pid)> = self.relations(pid, |own| {
            let held = own.monitors.iter().filter_map(|(&id, held)| match held {
                MonitorEntry::Process(target) => Some((id, *target)),
                _ => None,
            });
            held.collect()
        });
        for (id, target) in held {
            assert!(live.contains(&target), "{pid} watches {target}, which has ended");
            let watchers = self.watchers(target);
            assert!(watchers.contains(&(id, pid)), "{target} does not list its watcher {pid}");
        }
        for (id, watcher) in self.watchers(pid) {
            let holds = self.relations(watcher, |own| own.monitors.contains(&id));
            assert!(holds, "{pid} lists the watcher {watcher}, which has no such monitor");
        }
    }

    fn watchers(&self, pid: Pid) -> Vec<(u64, Pid)> {
        self.relations(pid, |own| {
            let all = own.watchers.iter().flat_map(|watchers| watchers.iter());
            all.map(|(&id, watcher)| (id, watcher.pid())).collect()
        })
    }

    fn check_names(&self, pid: Pid) {
        let keys = |map: &SmallMap<SharedStr, ()>| Vec::from_iter(map.keys().cloned());
        for name in self.registrations(pid, |own| keys(&own.names)) {
            assert_eq!(self.whereis(&name), Some(pid), "{pid} holds {name}");
        }
        for tag in self.registrations(pid, |own| keys(&own.tags)) {
            assert!(self.whereis_tag(&tag).contains(&pid), "{pid} is in {tag}");
        }
    }

    fn check_entries(&self, live: &[Pid]) {
        let kernel: &Kernel = &self.kernel;
        for (name, entry) in kernel.names.collect(|name, entry| Some((name.clone(), *entry))) {
            let (NameEntry::Held(pid) | NameEntry::Vacant(Vacancy { supervisor: pid, .. })) = entry;
            assert!(live.contains(&pid), "{name} belongs to {pid}, which has ended");
            let is_listed = self.registrations(pid, |own| match entry {
                NameEntry::Held(_) => own.names.contains(&name),
                NameEntry::Vacant(_) => own.vacated(&name).is_some(),
            });
            assert!(is_listed, "{name} belongs to {pid}, which does not list it");
        }
        let groups = kernel.groups.collect(|tag, group| {
            let members = Vec::from_iter(group.members.keys().copied());
            let watchers = Vec::from_iter(group.watchers.iter().map(|(_, &pid)| pid));
            Some((tag.clone(), members, watchers))
        });
        for (tag, members, watchers) in groups {
            assert!(members.len() + watchers.len() > 0, "{tag} is empty, and still there");
            for member in members {
                assert!(live.contains(&member), "{member} has ended, and is still in {tag}");
                assert!(self.registrations(member, |own| own.tags.contains(&tag)));
            }
            for watcher in watchers {
                assert!(live.contains(&watcher), "{watcher} has ended, and still watches {tag}");
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
