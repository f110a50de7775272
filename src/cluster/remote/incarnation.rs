//! One incarnation of another node, and the pids of its processes.
//!
//! The lower 48 bits of a pid identify the process at its node. If the serial is below 2¹⁵, the 32
//! bits of the id and the 15 bits of the serial are these bits. Otherwise bit 47 is set, and the
//! other bits are an index into a table of the incarnation.

use crate::base::random::Map;
use crate::base::{Pid, PlainMutex};
use crate::cluster::node_name::NodeName;
use crate::cluster::term::{Atom, ExternalPid, NodeIds};

/// The serials that are stored in a pid.
const SERIALS: u32 = 1 << 15;
/// Set in a pid whose lower bits are an index.
const IN_TABLE: u64 = 1 << 47;
/// The processes of an incarnation that are in its table.
const MOST_IN_TABLE: usize = 1 << 16;

/// One incarnation of another node.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub(crate) number: u16,
    pub(crate) name: NodeName,
    pub(crate) creation: u32,
    /// The name as a term has it.
    atom: Atom,
    pub(crate) ids: NodeIds,
    table: PlainMutex<LongPids>,
}

/// The ids and serials that don't fit into a pid.
#[derive(Debug, Default)]
struct LongPids {
    parts: Vec<(u32, u32)>,
    places: Map<(u32, u32), u32>,
}

impl Incarnation {
    pub(crate) fn new(number: u16, name: NodeName, creation: u32) -> Self {
        let atom = Atom::of(name.as_str());
        let ids = NodeIds::new(name.as_str(), creation);
        Incarnation { number, name, creation, atom, ids, table: PlainMutex::default() }
    }

    /// Whether a pid belongs to this incarnation.
    pub(crate) fn has(&self, pid: Pid) -> bool {
        pid.raw() >> Pid::NUMBER_BITS == u64::from(self.number)
    }

    /// Returns a pid of this incarnation as a term; `None` if no term gave this pid.
    pub(crate) fn external(&self, pid: Pid) -> Option<ExternalPid> {
        let (id, serial) = self.parts(pid)?;
        Some(ExternalPid::new(self.atom.clone(), id, serial, self.creation))
    }

    /// Returns the pid of a process; `None` if the table is full.
    pub(crate) fn pid(&self, id: u32, serial: u32) -> Option<Pid> {
        let lower = if serial < SERIALS {
            u64::from(serial) << 32 | u64::from(id)
        } else {
            IN_TABLE | u64::from(self.place((id, serial))?)
        };
        Some(Pid::from_raw(u64::from(self.number) << Pid::NUMBER_BITS | lower))
    }

    fn place(&self, parts: (u32, u32)) -> Option<u32> {
        let mut table = self.table.lock();
        if let Some(place) = table.places.get(&parts) {
            return Some(*place);
        }
        if table.parts.len() >= MOST_IN_TABLE {
            return None;
        }
        let place = u32::try_from(table.parts.len()).ok()?;
        table.parts.push(parts);
        table.places.insert(parts, place);
        Some(place)
    }

    /// Returns the id and the serial of a pid of this incarnation; `None` if no term gave this pid.
    pub(crate) fn parts(&self, pid: Pid) -> Option<(u32, u32)> {
        let lower = pid.raw() & ((1 << Pid::NUMBER_BITS) - 1);
        let low = u32::try_from(lower & u64::from(u32::MAX)).ok()?;
        if lower & IN_TABLE == 0 {
            return Some((low, u32::try_from(lower >> 32).ok()?));
        }
        let place = usize::try_from(lower ^ IN_TABLE).ok()?;
        self.table.lock().parts.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Incarnation, MOST_IN_TABLE};
    use crate::base::Pid;
    use crate::cluster::node_name::NodeName;

    fn incarnation() -> Incarnation {
        Incarnation::new(7, NodeName::parse("a@host").unwrap(), 1)
    }

    #[test]
    fn ids_and_serials_are_stored_in_the_pid_or_in_the_table() {
        let node = incarnation();
        assert_eq!(node.pid(85, 0), Some(Pid::from_raw(7 << 48 | 85)));
        for parts in [(0, 0), (u32::MAX, 0x7fff), (1, 0x8000), (u32::MAX, u32::MAX)] {
            let pid = node.pid(parts.0, parts.1).unwrap();
            assert!(pid.is_foreign());
            assert_eq!((node.parts(pid), node.pid(parts.0, parts.1)), (Some(parts), Some(pid)));
        }
        assert_eq!(node.parts(Pid::from_raw(7 << 48 | 1 << 47 | 2)), None);
        assert_eq!(node.parts(Pid::from_raw(7 << 48 | 0xffff << 32)), None);
    }

    #[test]
    fn the_table_has_a_bound() {
        let node = incarnation();
        let all: Vec<_> = (0..MOST_IN_TABLE as u32).map(|id| node.pid(id, u32::MAX)).collect();
        assert!(all.iter().all(Option::is_some));
        assert_eq!(node.pid(u32::MAX, u32::MAX), None);
        assert_eq!(node.pid(3, u32::MAX), all[3]);
        assert!(node.pid(u32::MAX, 1).is_some());
    }
}
