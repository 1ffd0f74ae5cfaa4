//! The mean of a folded normal, `g(z) = E|Z + z| = 2 pdf(z) + z (2 cdf(z) - 1)`, tabulated.
//!
//! This is the inner loop of evaluation. The exact CRPS of a mixture over `S` samples needs
//! `S (S + 1) / 2` values of `g` for every scalar target. Inverting the mixture's distribution
//! function needs `S` values of `g' = 2 cdf - 1` and `g'' = 2 pdf` in each step of the solver.
//!
//! `g` is even and smooth. On `[0, 9)` it is expanded to the seventh order around the midpoints of
//! cells of width 1/32. The coefficients come from [`super::normal`] and the recurrence of the
//! Hermite polynomials, `pdf^(k+1) = -z pdf^(k) - k pdf^(k-1)`, once per process.
//!
//! Absolute errors, from Taylor's remainder with `h = 1/64` and `|g^(8)| <= 2 |pdf^(6)| <= 12`: `g`
//! 12 h^8/8! = 1e-18, `g'` 12 h^7/7! = 5e-16, `g''` 12 h^6/6! = 2.5e-13. Beyond 9,
//! `g(z) - |z| < 1e-19`. A test compares them with `normal`.

use crate::metrics::normal;
use std::sync::OnceLock;

/// Cells per unit of `z`.
const CELLS_PER_UNIT: f64 = 32.0;
/// The number of cells of the table, which covers `[0, 9)`.
const CELLS: usize = 9 * 32;

/// The table; [`table`] creates it once.
pub(super) struct FoldedTable {
    cells: Box<[[f64; 8]; CELLS]>,
}

/// The shared table.
pub(super) fn table() -> &'static FoldedTable {
    static TABLE: OnceLock<FoldedTable> = OnceLock::new();
    TABLE.get_or_init(FoldedTable::new)
}

impl FoldedTable {
    fn new() -> Self {
        let mut cells = Box::new([[0.0; 8]; CELLS]);
        for (index, cell) in cells.iter_mut().enumerate() {
            let z = (index as f64 + 0.5) / CELLS_PER_UNIT;
            let density = normal::pdf(z);
            cell[1] = 1.0 - 2.0 * normal::upper_tail(z);
            cell[0] = 2.0 * density + z * cell[1];
            // The derivatives of the density of order k - 1 and k. Coefficient k + 2 is 2 pdf^(k) /
            // (k + 2)!.
            let (mut before, mut now) = (0.0, density);
            let mut factorial = 1.0;
            for k in 0..6 {
                factorial *= (k + 2) as f64;
                cell[k + 2] = 2.0 * now / factorial;
                (before, now) = (now, -z * now - k as f64 * before);
            }
        }
        Self { cells }
    }

    /// The cell of `z >= 0` and the offset from its midpoint; `None` beyond the table.
    #[inline]
    fn locate(&self, z: f64) -> Option<(&[f64; 8], f64)> {
        let scaled = z * CELLS_PER_UNIT;
        let index = scaled as usize;
        self.cells.get(index).map(|cell| (cell, (scaled - index as f64 - 0.5) / CELLS_PER_UNIT))
    }

    /// `E|Z + z|`, with an absolute error of about 1e-15 (rounding). Inputs were checked, so NaN is
    /// not expected.
    #[inline]
    pub(super) fn mean(&self, z: f64) -> f64 {
        let z = z.abs();
        let Some((c, t)) = self.locate(z) else { return z };
        let square = t * t;
        let low = (c[0] + c[1] * t) + (c[2] + c[3] * t) * square;
        let high = (c[4] + c[5] * t) + (c[6] + c[7] * t) * square;
        low + high * (square * square)
    }

    /// `(cdf(z), pdf(z))`; absolute errors about 1e-15 and 3e-13.
    #[inline]
    pub(super) fn cdf_pdf(&self, z: f64) -> (f64, f64) {
        let Some((c, t)) = self.locate(z.abs()) else {
            return (if z < 0.0 { 0.0 } else { 1.0 }, 0.0);
        };
        let slope = c[1]
            + t * (2.0 * c[2]
                + t * (3.0 * c[3]
                    + t * (4.0 * c[4] + t * (5.0 * c[5] + t * (6.0 * c[6] + t * 7.0 * c[7])))));
        let curvature = 2.0 * c[2]
            + t * (6.0 * c[3]
                + t * (12.0 * c[4] + t * (20.0 * c[5] + t * (30.0 * c[6] + t * 42.0 * c[7]))));
        (0.5 + 0.5 * slope.copysign(z), 0.5 * curvature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_agrees_with_the_direct_formulas() {
        let table = table();
        let mut worst = [0.0f64; 3];
        for k in -200_000..=200_000 {
            let z = f64::from(k) * 5e-5;
            let (cdf, pdf) = table.cdf_pdf(z);
            let direct = 2.0 * normal::pdf(z) + z * (1.0 - 2.0 * normal::cdf(-z));
            worst[0] = worst[0].max((table.mean(z) - direct).abs() / direct);
            worst[1] = worst[1].max((cdf - normal::cdf(z)).abs());
            worst[2] = worst[2].max((pdf - normal::pdf(z)).abs());
        }
        // Truncation as derived at the head of the module, plus a few roundings of numbers up to 1
        // (relative for the mean).
        assert!(worst[0] < 1e-15, "mean {}", worst[0]);
        assert!(worst[1] < 1e-15, "cdf {}", worst[1]);
        assert!(worst[2] < 5e-13, "pdf {}", worst[2]);
        assert_eq!(table.mean(-1e300), 1e300);
        assert_eq!(table.cdf_pdf(f64::INFINITY), (1.0, 0.0));
    }
}
