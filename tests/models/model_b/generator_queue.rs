//! Generates the requests and exits that arrive while a supervisor is busy.

use super::generator::Draw;
use super::plan::{End, Queued, Request, What};

/// The unit of time, in milliseconds: each start and stop of a worker takes a multiple of it.
const BEAT: u64 = 10;

impl Draw {
    /// Generates items in the order of their times. The handling of an item ends whole beats later,
    /// and no two instants of a queue are whole beats apart. So nothing else happens at the instant
    /// of an item.
    pub(crate) fn queue(&mut self, children: &[u32]) -> Vec<Queued> {
        let mut phases: Vec<u64> = (1..BEAT).collect();
        let mut instants = vec![0];
        let busy = self.rng.pick(&[4, 8, 16]);
        for _ in 0..1 + self.rng.below(7) {
            let phase = phases.swap_remove(self.rng.below(phases.len()));
            instants.push(self.rng.below(busy) as u64 * BEAT + phase);
        }
        instants.sort_unstable();
        let mut items = Vec::new();
        for at in instants {
            let ends = if at == 0 { 80 } else { 25 };
            if !children.is_empty() && self.rng.percent(ends) {
                let what = What::End(self.rng.pick(children), self.quiet_end());
                items.push(Queued { at, what });
                continue;
            }
            for _ in 0..1 + self.rng.below(3) {
                items.push(Queued { at, what: What::Ask(self.request(children)) });
            }
        }
        items
    }

    fn quiet_end(&mut self) -> End {
        self.rng.weighted(&[(4, End::Crash), (1, End::Normal), (1, End::Shutdown)])
    }

    fn request(&mut self, children: &[u32]) -> Request {
        let id = match children.is_empty() || self.rng.percent(5) {
            true => self.rng.below(self.next as usize + 1) as u32,
            false => self.rng.pick(children),
        };
        match self.rng.below(10) {
            0..3 => Request::Terminate(id),
            3..6 => Request::Restart(id),
            6 => Request::Delete(id),
            7 => Request::Add(self.add(children)),
            _ => Request::Which,
        }
    }
}
