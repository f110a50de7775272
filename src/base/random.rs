//! Random numbers that need not be secret.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A xorshift generator, which is small and fast. Generators with equal seeds return equal numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        // The multiplication makes the first numbers of small seeds differ. `| 1` avoids the state
        // 0.
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A generator with an unpredictable seed.
    pub(crate) fn fresh() -> Self {
        Random::seeded(RandomState::new().build_hasher().finish())
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

#[cfg(test)]
mod tests {
    use super::Random;

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
