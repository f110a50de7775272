//! A process that takes payloads and keeps count of their destructors.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason::Killed;
use crate::exit::signal::ExitKind;
use crate::interleavings::block_on;
use crate::interleavings::world::World;
use crate::kernel::Mailboxes;
use crate::kernel::admission::NewProcess;
use crate::kernel::closing::End;
use crate::kernel::exits::ExitSignal;
use crate::mailbox::inbox::Item;
use crate::mailbox::queued_send::QueuedSend;
use crate::mailbox::receive::Mailbox;
use crate::mailbox::record::{Process, Sent};
use crate::message::received::Envelope;
use crate::process::any::Refused;
use crate::process::overflow::Overflow;
use crate::process::{AnyProcess, IfFull};

/// A payload that says when it is dropped.
pub(crate) struct Probe {
    number: usize,
    drops: Arc<[AtomicUsize; 2]>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.drops[self.number].fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) enum Parcel {
    Signal(Envelope),
    Probe(Probe),
}

impl Item for Parcel {
    fn from_envelope(envelope: Envelope) -> Self {
        Parcel::Signal(envelope)
    }

    fn envelope(&self) -> Option<&Envelope> {
        match self {
            Parcel::Signal(envelope) => Some(envelope),
            Parcel::Probe(_) => None,
        }
    }

    fn envelope_mut(&mut self) -> Option<&mut Envelope> {
        match self {
            Parcel::Signal(envelope) => Some(envelope),
            Parcel::Probe(_) => None,
        }
    }

    fn is_user(&self) -> bool {
        matches!(self, Parcel::Probe(_))
    }

    fn from_tick(_: u64) -> Option<Self> {
        None
    }
}

/// One process that takes parcels.
pub(crate) struct Post {
    pub(crate) process: Arc<Process<Parcel>>,
    pub(crate) drops: Arc<[AtomicUsize; 2]>,
}

impl Post {
    pub(crate) fn new(world: &World) -> Arc<Self> {
        Self::born(world, &NewProcess::default())
    }

    /// One that holds so many, as a server does.
    pub(crate) fn bounded(world: &World, capacity: usize, overflow: Overflow) -> Arc<Self> {
        let mailbox = Some(Mailboxes::bounded(capacity, overflow));
        Self::born(world, &NewProcess { mailbox, ..NewProcess::default() })
    }

    fn born(world: &World, new_process: &NewProcess) -> Arc<Self> {
        let kernel = &world.kernel;
        let process = Process::<Parcel>::new(Arc::clone(kernel), new_process.relations(kernel));
        let any: Arc<dyn AnyProcess> = process.clone();
        world.kernel.admit(&any, new_process).expect("nothing is in its way");
        Arc::new(Post { process, drops: Arc::default() })
    }

    /// Sends a payload of this number; whether it was taken.
    pub(crate) fn send(&self, number: usize) -> bool {
        let probe = Probe { number, drops: Arc::clone(&self.drops) };
        match self.process.send(Parcel::Probe(probe)) {
            Ok(()) => true,
            Err((refused, _)) => {
                assert_eq!(self.drops[number].load(Ordering::Relaxed), 0, "it was given back");
                drop(refused);
                false
            }
        }
    }

    /// Sends a payload, and waits in line if there is no room.
    pub(crate) fn line_up(&self, number: usize) -> Result<Option<QueuedSend<Parcel>>, ()> {
        let probe = Probe { number, drops: Arc::clone(&self.drops) };
        match self.process.send_with(Parcel::Probe(probe), IfFull::Wait) {
            Ok(Sent::Accepted) => Ok(None),
            Ok(Sent::InSendQueue(number)) => {
                Ok(Some(QueuedSend::new(Arc::clone(&self.process), number)))
            }
            Err((_, refused)) => {
                assert_eq!(refused, Refused::Dead);
                Err(())
            }
        }
    }

    /// The same, until it is in or comes back; whether it is in.
    pub(crate) fn send_and_wait(&self, number: usize) -> bool {
        match self.line_up(number) {
            Ok(None) => true,
            Ok(Some(place)) => block_on(place).is_ok(),
            Err(()) => false,
        }
    }

    pub(crate) fn kill(&self) {
        let signal = ExitSignal { from: Pid::OUTSIDE, reason: &Killed, kind: ExitKind::Kill };
        self.process.kernel.signal_exit(&*self.process, signal);
    }

    /// The numbers of what is received until nothing is there.
    pub(crate) fn read(&self) -> Vec<usize> {
        let mut mailbox = Mailbox::new(Arc::clone(&self.process));
        let mut cx = Context::from_waker(Waker::noop());
        let mut numbers = Vec::new();
        while mailbox.poll_some(&mut cx).is_ready() {
            match mailbox.take() {
                Parcel::Probe(probe) => numbers.push(probe.number),
                Parcel::Signal(signal) => panic!("{signal:?}"),
            }
        }
        numbers
    }

    /// The same; then the process ends.
    pub(crate) fn read_and_end(&self) -> Vec<usize> {
        let numbers = self.read();
        self.end();
        numbers
    }

    pub(crate) fn end(&self) {
        self.process.kernel.tear_down(&*self.process, End::Dropped);
    }

    /// What counts, and what there is of it.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let mut state = self.process.state.lock();
        let (counts, queued) =
            (*state.core.counts().expect("it is bounded"), state.mail.inbox.len());
        assert_eq!(counts.depth, queued);
        (counts.users, queued)
    }

    /// How often each payload was dropped.
    pub(crate) fn drops(&self) -> [usize; 2] {
        [0, 1].map(|number| self.drops[number].load(Ordering::Relaxed))
    }
}
