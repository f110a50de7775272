//! The key that chooses a partition.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::base::Pid;

/// The key that chooses a partition. Integers, strings and pids convert into a key; for any other
/// value, use [`PartitionKey::of`].
///
/// ```
/// use regrow::PartitionKey;
///
/// assert_eq!(PartitionKey::from(-7), PartitionKey::from(7u64));
/// assert_eq!(PartitionKey::of(&("eu", 3)), PartitionKey::of(&("eu", 3)));
/// assert_ne!(PartitionKey::from("eu"), PartitionKey::from("us"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartitionKey(u128);

impl PartitionKey {
    /// Returns the key of a value that can be hashed.
    pub fn of(value: &(impl Hash + ?Sized)) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        PartitionKey(u128::from(hasher.finish()))
    }

    /// Chooses among the partitions so that one more partition takes an equal share of the keys from
    /// each of the others, and no key moves between those. Jump consistent hash, of Lamping and Veach.
    pub(super) fn consistent_index(self, partitions: usize) -> usize {
        // Integers are small and close to each other.
        let mut random = mixed(self.0 as u64 ^ (self.0 >> 64) as u64);
        let (mut chosen, mut next) = (0, 0);
        // Each jump leads to the next larger number of partitions at which the key moves.
        while next < partitions {
            chosen = next;
            random = mixed(random);
            let share = 1.0 - (random >> 11) as f64 / (1_u64 << 53) as f64;
            next = ((chosen + 1) as f64 / share) as usize;
        }
        chosen
    }

    pub(super) fn index(self, partitions: usize) -> usize {
        // The remainder is smaller than `partitions`, so it fits into a `usize`.
        (self.0 % partitions as u128) as usize
    }
}

/// One step of the generator SplitMix64.
fn mixed(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

macro_rules! integers {
    ($($signed:ty)+; $($unsigned:ty)+) => {
        $(impl From<$signed> for PartitionKey {
            fn from(key: $signed) -> Self {
                PartitionKey(key.unsigned_abs() as u128)
            }
        })+
        $(impl From<$unsigned> for PartitionKey {
            fn from(key: $unsigned) -> Self {
                PartitionKey(key as u128)
            }
        })+
    };
}

integers!(i8 i16 i32 i64 i128 isize; u8 u16 u32 u64 u128 usize);

impl From<&str> for PartitionKey {
    fn from(key: &str) -> Self {
        PartitionKey::of(key)
    }
}

impl From<&String> for PartitionKey {
    fn from(key: &String) -> Self {
        PartitionKey::of(key.as_str())
    }
}

impl From<Pid> for PartitionKey {
    fn from(pid: Pid) -> Self {
        PartitionKey::from(pid.raw())
    }
}
