//! Compact storage of long lists of numbers that mostly increase by equal amounts.

/// A list stored as arithmetic progressions. The times and lines of a regular file take a few
/// bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progressions {
    /// For each run: the index of its first number, that number, and the difference to the next
    /// one.
    runs: Vec<(usize, i64, i64)>,
    length: usize,
}

impl Progressions {
    pub(crate) fn push(&mut self, value: i64) {
        let index = self.length;
        self.length += 1;
        if let Some((first, start, difference)) = self.runs.last_mut() {
            let count = (index - *first) as i64;
            if count == 1 {
                *difference = value.wrapping_sub(*start);
                return;
            }
            if start.wrapping_add(difference.wrapping_mul(count)) == value {
                return;
            }
        }
        self.runs.push((index, value, 0));
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn get(&self, index: usize) -> Option<i64> {
        let after = self.runs.partition_point(|&(first, ..)| first <= index);
        let (first, start, difference) = *self.runs.get(after.checked_sub(1)?)?;
        let value = start.wrapping_add(difference.wrapping_mul((index - first) as i64));
        (index < self.length).then_some(value)
    }

    pub(crate) fn to_vec(&self) -> Vec<i64> {
        let mut all = Vec::with_capacity(self.length);
        for (place, &(first, start, difference)) in self.runs.iter().enumerate() {
            let end = self.runs.get(place + 1).map_or(self.length, |&(next, ..)| next);
            let count = (end - first) as i64;
            all.extend((0..count).map(|i| start.wrapping_add(difference.wrapping_mul(i))));
        }
        all
    }
}

impl FromIterator<i64> for Progressions {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> Self {
        let mut this = Self::default();
        values.into_iter().for_each(|value| this.push(value));
        this
    }
}

#[cfg(test)]
mod tests {
    use super::Progressions;

    #[test]
    fn every_number_is_where_it_was_put() {
        let mut state = 7_u64;
        for length in 0..200_usize {
            let mut value = 0;
            let numbers: Vec<i64> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    value += if state >> 61 == 0 { (state >> 40) as i64 - 1000 } else { 3600 };
                    value
                })
                .collect();
            let list: Progressions = numbers.iter().copied().collect();
            assert_eq!((list.to_vec(), list.len()), (numbers.clone(), length));
            for (index, &number) in numbers.iter().enumerate() {
                assert_eq!(list.get(index), Some(number));
            }
            assert_eq!(list.get(length), None);
        }
        let hours: Progressions = (0..1000).map(|hour| 3600 * hour).collect();
        assert_eq!(hours.runs.len(), 1);
    }
}
