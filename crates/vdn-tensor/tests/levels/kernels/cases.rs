//! The common parts of the cases: input numbers, comparisons, and the list of failures.

use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// All failing cases, reported together at the end.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) level: &'static str,
    failures: Vec<String>,
    checked: usize,
}

impl Report {
    /// Notes a failure unless `ok`.
    pub(crate) fn expect(&mut self, ok: bool, what: impl FnOnce() -> String) {
        self.checked += 1;
        if !ok {
            self.failures.push(format!("{}: {}", self.level, what()));
        }
    }

    /// Compares with an oracle: each number within its own `tolerance`, NaN with NaN, infinities
    /// exactly.
    pub(crate) fn compare<T: Element>(
        &mut self,
        name: &str,
        got: &[T],
        want: &[f64],
        tolerance: impl Fn(usize) -> f64,
    ) {
        assert_eq!(got.len(), want.len(), "{name}: the test compares different lengths");
        let wrong = |i: &usize| {
            let (got, want) = (got[*i].to_f64(), want[*i]);
            let close = (got - want).abs() <= tolerance(*i);
            !(close || got == want || got.is_nan() && want.is_nan())
        };
        let first = (0..got.len()).find(wrong);
        self.expect(first.is_none(), || {
            let i = first.unwrap_or(0);
            let tolerance = tolerance(i);
            format!(
                "{name} ({}): element {i} is {}, not {} +- {tolerance:e}",
                T::NAME,
                got[i],
                want[i]
            )
        });
    }

    /// Panics with all failures.
    pub(crate) fn finish(self) {
        assert!(self.checked > 100, "only {} cases were checked", self.checked);
        assert!(
            self.failures.is_empty(),
            "{} of {} cases failed:\n{}",
            self.failures.len(),
            self.checked,
            self.failures.join("\n")
        );
    }
}

/// Standard normal numbers that both element types hold exactly.
pub(crate) fn numbers<T: Element>(seed: u64, len: usize) -> Vec<T> {
    let mut x = vec![0.0_f64; len];
    NoiseKey::new(seed, 77, 0).fill_normal(0, &mut x);
    x.into_iter().map(|v| T::from_f64(f64::from(v as f32))).collect()
}

/// The same numbers as `f64`.
pub(crate) fn exact<T: Element>(x: &[T]) -> Vec<f64> {
    x.iter().map(|v| v.to_f64()).collect()
}

/// Half the distance from 1 to the next number: the largest relative error of one rounding.
pub(crate) fn unit<T: Element>() -> f64 {
    T::EPSILON.to_f64() / 2.0
}

/// Unspecified contents that a kernel has to overwrite.
pub(crate) fn garbage<T: Element>(len: usize) -> Vec<T> {
    vec![T::from_f64(f64::NAN); len]
}

/// The columns of `[outer, n, inner]`: for each number of `[outer, inner]`, the indices that reduce
/// to it.
pub(crate) fn columns((outer, n, inner): (usize, usize, usize)) -> Vec<Vec<usize>> {
    let column = |o: usize, j: usize| (0..n).map(|k| (o * n + k) * inner + j).collect();
    (0..outer).flat_map(|o| (0..inner).map(move |j| (o, j))).map(|(o, j)| column(o, j)).collect()
}
