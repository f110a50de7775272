//! A map from numbers to values that is optimized for numbers that were given one after the other.
//!
//! The entries are in a vector, sorted by number. While no number in between is missing, the index of
//! an entry is the distance of its number from the first one. Otherwise the entry is found by a binary
//! search.
//!
//! A removal leaves its place empty, so that no other entry moves. When more than half of the places
//! are empty, all empty places are removed at once. So a removal takes constant time on average, and
//! there are never more than about twice as many places as entries.

/// The least number of places for which empty ones are removed.
const FEW: usize = 16;

#[derive(Debug, Clone)]
pub(crate) struct PositionMap<V> {
    /// The last place is not empty.
    places: Vec<(u64, Option<V>)>,
    len: usize,
}

impl<V> Default for PositionMap<V> {
    fn default() -> Self {
        PositionMap { places: Vec::new(), len: 0 }
    }
}

impl<V> PositionMap<V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn get(&self, number: u64) -> Option<&V> {
        let at = self.find(number).ok()?;
        self.places[at].1.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut V> {
        let at = self.find(number).ok()?;
        self.places[at].1.as_mut()
    }

    /// Adds an entry, or replaces the value of one. Returns the old value. A number that is not the
    /// greatest moves all entries after it.
    pub(crate) fn insert(&mut self, number: u64, value: V) -> Option<V> {
        let before = match self.find(number) {
            Ok(at) => self.places[at].1.replace(value),
            Err(at) => {
                self.places.insert(at, (number, Some(value)));
                None
            }
        };
        self.len += usize::from(before.is_none());
        before
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<V> {
        let at = self.find(number).ok()?;
        let removed = self.places[at].1.take()?;
        self.len -= 1;
        while self.places.last().is_some_and(|(_, value)| value.is_none()) {
            self.places.pop();
        }
        if self.places.len() > FEW.max(2 * self.len) {
            self.places.retain(|(_, value)| value.is_some());
        }
        Some(removed)
    }

    /// Removes all entries for which `keeps` returns false.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&V) -> bool) {
        self.places.retain(|(_, value)| value.as_ref().is_some_and(&mut keeps));
        self.len = self.places.len();
    }

    /// Returns the entries in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &V)> {
        self.from(0)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.from(0).map(|(_, value)| value)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut V)> {
        self.places.iter_mut().filter_map(|(number, value)| Some((*number, value.as_mut()?)))
    }

    /// Returns the entries in this range of numbers, in order.
    pub(crate) fn range(
        &self,
        range: std::ops::RangeInclusive<u64>,
    ) -> impl Iterator<Item = (u64, &V)> {
        let (Ok(at) | Err(at)) = self.find(*range.start());
        self.from(at).take_while(move |(number, _)| number <= range.end())
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.places.last().map(|(number, _)| *number)
    }

    fn from(&self, at: usize) -> impl Iterator<Item = (u64, &V)> {
        let places = self.places.get(at..).unwrap_or_default();
        places.iter().filter_map(|(number, value)| Some((*number, value.as_ref()?)))
    }

    /// The index of the place with this number, or the index at which the place would be inserted.
    #[inline]
    fn find(&self, number: u64) -> Result<usize, usize> {
        let Some((first, _)) = self.places.first() else { return Err(0) };
        let distance = number.wrapping_sub(*first);
        match usize::try_from(distance).ok().and_then(|at| Some((at, self.places.get(at)?))) {
            Some((at, (found, _))) if *found == number => Ok(at),
            _ => self.search(number),
        }
    }

    #[cold]
    #[inline(never)]
    fn search(&self, number: u64) -> Result<usize, usize> {
        self.places.binary_search_by_key(&number, |(number, _)| *number)
    }
}

/// Collects entries whose numbers differ.
impl<V> FromIterator<(u64, V)> for PositionMap<V> {
    fn from_iter<I: IntoIterator<Item = (u64, V)>>(entries: I) -> Self {
        let mut places: Vec<_> =
            entries.into_iter().map(|(number, value)| (number, Some(value))).collect();
        places.sort_by_key(|(number, _)| *number);
        PositionMap { len: places.len(), places }
    }
}

#[cfg(test)]
mod tests {
    use super::PositionMap;
    use crate::base::random::Random;
    use std::collections::BTreeMap;

    #[test]
    fn it_behaves_as_a_sorted_map() {
        let (mut random, mut next) = (Random::seeded(7), 5);
        let (mut map, mut model) = (PositionMap::default(), BTreeMap::new());
        let mut below = |most: u64| (random.unit() * most as f64) as u64;
        for round in 0..20_000 {
            let (number, grows) = (below(next + 2), (round / 1_000) % 2 == 0);
            match below(8) {
                0 | 1 if grows => {
                    next += 1 + below(10) / 9;
                    assert_eq!(map.insert(next, round), model.insert(next, round));
                }
                2 => assert_eq!(map.insert(number, round), model.insert(number, round)),
                3 => {
                    assert_eq!(map.get_mut(number), model.get_mut(&number));
                    assert_eq!(map.get(number), model.get(&number));
                }
                4 => {
                    let last = map.last();
                    assert_eq!(last, model.last_key_value().map(|(number, _)| *number));
                    let last = last.unwrap_or_default();
                    assert_eq!(map.remove(last), model.remove(&last));
                }
                5 if round % 1_000 == 0 => {
                    map.retain(|value| value % 3 != 0);
                    model.retain(|_, value| *value % 3 != 0);
                }
                6 => {
                    let range = number..=number + 10;
                    let all = map.range(range.clone()).map(|(number, value)| (number, *value));
                    assert!(all.eq(model.range(range).map(|(number, value)| (*number, *value))));
                }
                _ => assert_eq!(map.remove(number), model.remove(&number)),
            }
            assert_eq!(map.len(), model.len());
            assert!(map.places.len() <= 16.max(2 * map.len()), "few places are empty");
        }
        assert!(map.values().eq(model.values()));
        assert!(map.iter().map(|(number, value)| (number, *value)).eq(model));
    }
}
