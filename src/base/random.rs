//! Random numbers that need not be secret.

#[cfg(feature = "chaos")]
use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::{FoldHasher, SeedableRandomState};

/// A xorshift generator, which is small and fast. Generators with equal seeds return equal numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        // The multiplication makes the first numbers of small seeds differ. `| 1` avoids the state
        // 0.
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A generator with an unpredictable seed or, on a [seeded thread](seed_thread), with one that
    /// depends on the seed of the thread.
    pub(crate) fn fresh() -> Self {
        Random::seeded(next_seed().unwrap_or_else(|| RandomState::new().build_hasher().finish()))
    }

    /// Draws a number from 0, inclusive, to 1, exclusive.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.bits()) / (f64::from(u32::MAX) + 1.0)
    }

    /// Draws a number from 0, inclusive, to `end`, exclusive. `end` must not be 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.bits()).unwrap_or(usize::MAX) % end
    }

    fn bits(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 32).unwrap_or(u32::MAX)
    }
}

/// Draws a number that identifies something, below 2⁵³, so that JavaScript reads it exactly. It does
/// not depend on the seed of the thread: two runs with one seed are two things.
pub(crate) fn identifying_number() -> u64 {
    RandomState::new().build_hasher().finish() >> 11
}

/// The hasher of a map. Each map has a random seed or, on a [seeded thread](seed_thread), one that
/// depends on the seed of the thread. So the order of a map repeats by the seed of the thread.
#[derive(Debug, Clone)]
pub(crate) struct MapHasher(SeedableRandomState);

impl Default for MapHasher {
    fn default() -> Self {
        MapHasher(match next_seed() {
            None => SeedableRandomState::random(),
            Some(seed) => SeedableRandomState::with_seed(seed, SharedSeed::global_fixed()),
        })
    }
}

impl BuildHasher for MapHasher {
    type Hasher = FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> FoldHasher<'static> {
        self.0.build_hasher()
    }
}

/// A map with this hasher.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, MapHasher>;

#[cfg(feature = "chaos")]
thread_local! {
    /// The seed of the next generator or map that this thread makes; `None` if the thread has no
    /// seed.
    static NEXT_SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Gives this thread a seed: from now on, all generators and maps that the thread makes take their
/// seeds from it, in the order in which they are made.
#[cfg(feature = "chaos")]
pub(crate) fn seed_thread(seed: u64) {
    NEXT_SEED.set(Some(mixed(seed)));
}

/// Whether this thread has a seed.
pub(crate) fn is_thread_seeded() -> bool {
    #[cfg(feature = "chaos")]
    return NEXT_SEED.get().is_some();
    #[cfg(not(feature = "chaos"))]
    false
}

/// The seed of a new generator or map, if this thread has a seed.
fn next_seed() -> Option<u64> {
    #[cfg(feature = "chaos")]
    {
        let seed = NEXT_SEED.get()?;
        NEXT_SEED.set(Some(seed.wrapping_add(1)));
        Some(mixed(seed))
    }
    #[cfg(not(feature = "chaos"))]
    None
}

/// Spreads a seed over all bits, so that neighbouring seeds have nothing in common (SplitMix64).
#[cfg(feature = "chaos")]
pub(crate) fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[cfg(feature = "chaos")]
    use std::collections::HashMap;

    #[cfg(feature = "chaos")]
    #[test]
    fn generators_and_the_order_of_maps_repeat_by_the_seed_of_the_thread() {
        let on_thread = |seed| {
            let made = std::thread::spawn(move || {
                super::seed_thread(seed);
                let map: HashMap<u64, (), super::MapHasher> =
                    (0..50).map(|key| (key, ())).collect();
                let order: Vec<u64> = map.into_keys().collect();
                (order, Random::fresh().unit(), Random::fresh().unit())
            });
            made.join().unwrap()
        };
        let first = on_thread(7);
        assert_eq!(first, on_thread(7));
        assert_ne!(first.0, on_thread(8).0);
        assert_ne!(first.1, first.2);
    }

    #[test]
    fn numbers_lie_in_range_and_repeat_by_seed() {
        let draw = |seed| {
            let mut random = Random::seeded(seed);
            (0..1_000).map(|_| random.unit()).collect::<Vec<_>>()
        };
        let drawn = draw(7);
        assert!(drawn.iter().all(|unit| (0.0..1.0).contains(unit)));
        let mean = drawn.iter().sum::<f64>() / 1_000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        assert_eq!(drawn, draw(7));
        assert_ne!(drawn, draw(8));
        assert!(Random::fresh().unit() < 1.0);
    }
}
