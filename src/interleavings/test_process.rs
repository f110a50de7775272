//! A process that receives payloads, and counts how often each is dropped.

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
use crate::kernel::exits::ExitSignal;
use crate::kernel::final_reason::End;
use crate::mailbox::inbox::Item;
use crate::mailbox::queued_send::QueuedSend;
use crate::mailbox::receive::Mailbox;
use crate::mailbox::record::{Process, Sent};
use crate::message::received::Envelope;
use crate::message::{MessageKind, Metadata};
use crate::process::any::Refused;
use crate::process::overflow_policy::Overflow;
use crate::process::{AnyProcess, IfFull};

/// A payload that counts its drops.
pub(crate) struct Payload {
    number: usize,
    drops: Arc<[AtomicUsize; 2]>,
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.drops[self.number].fetch_add(1, Ordering::Relaxed);
    }
}

impl Item for Payload {
    fn from_envelope(envelope: Envelope) -> Self {
        panic!("no target sends {envelope:?} to this process")
    }

    fn envelope(&self) -> Option<&Envelope> {
        None
    }

    fn envelope_mut(&mut self) -> Option<&mut Envelope> {
        None
    }

    fn is_user(&self) -> bool {
        true
    }

    fn description(&self) -> Option<(MessageKind, &'static str)> {
        Some((MessageKind::Message, "Payload"))
    }

    /// No target uses metadata.
    fn carrying(self, _: Metadata) -> Self {
        self
    }
}

/// A process that receives payloads.
#[derive(Clone)]
pub(crate) struct PayloadProcess {
    pub(crate) process: Arc<Process<Payload>>,
    drops: Arc<[AtomicUsize; 2]>,
}

impl PayloadProcess {
    pub(crate) fn new(world: &World) -> Self {
        Self::create(world, &NewProcess::default())
    }

    /// Creates a process with a bounded mailbox.
    pub(crate) fn bounded(world: &World, capacity: usize, overflow: Overflow) -> Self {
        let mailbox = Some(Mailboxes::bounded(capacity, overflow));
        Self::create(world, &NewProcess { mailbox, ..NewProcess::default() })
    }

    fn create(world: &World, new_process: &NewProcess) -> Self {
        let kernel = &world.kernel;
        let process = Process::<Payload>::new(Arc::clone(kernel), new_process.relations(kernel));
        let any: Arc<dyn AnyProcess> = process.clone();
        world.kernel.admit(&any, new_process).expect("nothing is in its way");
        PayloadProcess { process, drops: Arc::default() }
    }

    /// Returns an operation on this process, for [`World::both`] and [`World::three`].
    pub(crate) fn act<R, A>(&self, act: A) -> impl FnOnce(&World) -> R + use<R, A>
    where
        A: FnOnce(&Self) -> R,
    {
        let process = self.clone();
        move |_| act(&process)
    }

    fn payload(&self, number: usize) -> Payload {
        Payload { number, drops: Arc::clone(&self.drops) }
    }

    /// Sends a payload with this number. Returns whether it was queued.
    pub(crate) fn send(&self, number: usize) -> bool {
        let refused = self.process.send(self.payload(number)).err();
        assert!(refused.is_none() || self.drops()[number] == 0, "the payload was returned");
        refused.is_none()
    }

    /// Sends a payload with this number. Returns the waiting send if the mailbox is full.
    pub(crate) fn queue_send(&self, number: usize) -> Result<Option<QueuedSend<Payload>>, Refused> {
        match self.process.send_with(self.payload(number), IfFull::Wait) {
            Ok(Sent::Accepted) => Ok(None),
            Ok(Sent::InSendQueue(number)) => {
                Ok(Some(QueuedSend::new(Arc::clone(&self.process), number)))
            }
            Err((_, refused)) => Err(refused),
        }
    }

    /// Sends a payload with this number, and waits for room. Returns whether the payload was
    /// queued.
    pub(crate) fn send_and_wait(&self, number: usize) -> bool {
        match self.queue_send(number) {
            Ok(waiting) => waiting.is_none_or(|send| block_on(send).is_ok()),
            Err(refused) => {
                assert_eq!(refused, Refused::Dead);
                false
            }
        }
    }

    pub(crate) fn kill(&self) {
        let signal = ExitSignal { from: Pid::OUTSIDE, reason: &Killed, kind: ExitKind::Kill };
        self.process.kernel.signal_exit(&*self.process, signal);
    }

    /// Receives until the mailbox is empty, and returns the numbers of the payloads.
    pub(crate) fn read(&self) -> Vec<usize> {
        let mut mailbox = Mailbox::new(Arc::clone(&self.process));
        let mut cx = Context::from_waker(Waker::noop());
        let mut numbers = Vec::new();
        while mailbox.poll_some(&mut cx).is_ready() {
            numbers.push(mailbox.take().number);
        }
        numbers
    }

    /// Receives until the mailbox is empty, and ends the process.
    pub(crate) fn read_and_end(&self) -> Vec<usize> {
        let numbers = self.read();
        self.end();
        numbers
    }

    pub(crate) fn end(&self) {
        self.process.kernel.tear_down(&*self.process, End::Dropped);
    }

    /// The count of user items, and the number of items in the inbox.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let mut state = self.process.state.lock();
        let (counts, queued) =
            (*state.core.counts().expect("it is bounded"), state.mail.inbox.len());
        assert_eq!(counts.depth, queued);
        (counts.users, queued)
    }

    /// The number of drops of each payload.
    pub(crate) fn drops(&self) -> [usize; 2] {
        [0, 1].map(|number| self.drops[number].load(Ordering::Relaxed))
    }
}
