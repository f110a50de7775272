//! The seeds of a chaos test, and the environment variable that replaces them.

use std::ops::{Range, RangeInclusive};

/// The environment variable that replaces the seeds of a chaos test.
const VARIABLE: &str = "REGROW_CHAOS";

/// The seeds of [`chaos`](crate::testing::chaos()): one number, or a range of numbers.
///
/// ```
/// use regrow::testing::Seeds;
///
/// assert_eq!(Seeds::from(7), Seeds::from(7..8));
/// assert_eq!(Seeds::from(1..=1_000), Seeds::from(1..1_001));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeds {
    first: u64,
    count: u64,
}

impl From<u64> for Seeds {
    fn from(seed: u64) -> Self {
        Seeds { first: seed, count: 1 }
    }
}

impl From<Range<u64>> for Seeds {
    fn from(seeds: Range<u64>) -> Self {
        Seeds { first: seeds.start, count: seeds.end.saturating_sub(seeds.start) }
    }
}

impl From<RangeInclusive<u64>> for Seeds {
    fn from(seeds: RangeInclusive<u64>) -> Self {
        let (first, last) = seeds.into_inner();
        let count = if first > last { 0 } else { (last - first).saturating_add(1) };
        Seeds { first, count }
    }
}

impl Seeds {
    pub(super) fn iter(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |nth| self.first.wrapping_add(nth))
    }
}

/// What the environment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repeat {
    pub(super) seed: u64,
    /// The numbers of the faults; `None` for the whole plan.
    pub(super) faults: Option<Vec<usize>>,
}

impl Repeat {
    /// Reads the environment variable.
    ///
    /// # Panics
    ///
    /// If its value is neither a seed nor a seed and the numbers of faults.
    pub(super) fn from_environment() -> Option<Self> {
        let text = std::env::var(VARIABLE).ok()?;
        Some(Repeat::parse(&text).unwrap_or_else(|| {
            panic!("{VARIABLE} is {text:?}: give a seed, as 7, or a seed and its faults, as 7:2,5")
        }))
    }

    fn parse(text: &str) -> Option<Self> {
        let (seed, faults) = match text.split_once(':') {
            None => (text, None),
            Some((seed, "")) => (seed, Some(Vec::new())),
            Some((seed, faults)) => {
                let numbers = faults.split(',').map(|number| number.trim().parse());
                (seed, Some(numbers.collect::<Result<_, _>>().ok()?))
            }
        };
        Some(Repeat { seed: seed.trim().parse().ok()?, faults })
    }

    /// The command that repeats these faults of a seed. `test` is the name of the thread that the
    /// test runs on, which is the name of the test, unless tests run one by one.
    pub(super) fn command(&self, test: Option<&str>) -> String {
        let Repeat { seed, faults } = self;
        let faults = faults.as_ref().map(|faults| {
            let numbers: Vec<String> = faults.iter().map(usize::to_string).collect();
            format!(":{}", numbers.join(","))
        });
        let value = format!("{VARIABLE}={seed}{}", faults.unwrap_or_default());
        match test.filter(|name| *name != "main") {
            Some(test) => format!("{value} cargo test {test} -- --exact"),
            None => {
                let words = std::env::args().map(|word| quoted(&word));
                format!("{value} {}", words.collect::<Vec<_>>().join(" "))
            }
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=,+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Repeat, Seeds};

    #[test]
    fn the_command_of_a_repeat_is_read_as_the_same_repeat() {
        for faults in [None, Some(vec![]), Some(vec![3]), Some(vec![1, 2, 10])] {
            let repeat = Repeat { seed: 742, faults };
            let command = repeat.command(Some("bank::survives"));
            let value = command.split(['=', ' ']).nth(1).unwrap();
            assert_eq!(Repeat::parse(value), Some(repeat), "{command}");
            assert!(command.ends_with("cargo test bank::survives -- --exact"));
        }
        for wrong in ["", "x", "7:x", "7:1,,2", ":1", "-1"] {
            assert_eq!(Repeat::parse(wrong), None, "{wrong}");
        }
        assert_eq!(super::quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn empty_and_full_ranges_are_ranges_too() {
        assert_eq!(Seeds::from(3..3).iter().count(), 0);
        assert_eq!(Seeds::from(RangeInclusive::new(4, 3)).iter().count(), 0);
        assert_eq!(Seeds::from(u64::MAX..=u64::MAX).iter().collect::<Vec<_>>(), [u64::MAX]);
    }

    use std::ops::RangeInclusive;
}
