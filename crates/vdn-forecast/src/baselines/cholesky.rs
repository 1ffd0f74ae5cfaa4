//! Cholesky factorisation `A = L L^T` of a symmetric positive definite matrix in `f64`, and the
//! solution of `A X = B`.
//!
//! The algorithm is row-oriented (Cholesky-Banachiewicz). Every inner loop is a dot product of two
//! contiguous rows, or adds a multiple of one row of `B` to another, so both vectorise and stream.
//! The dot product keeps eight partial sums in a fixed order, which does not depend on the machine.

use crate::baselines::error::{BaselineError, check_finite};

/// The lower factor of a symmetric positive definite matrix.
///
/// ```
/// use vdn_forecast::baselines::Cholesky;
/// let factor = Cholesky::new(&[4.0, 2.0, 2.0, 5.0], 2)?;
/// let mut b = [8.0, 9.0];
/// factor.solve(&mut b, 1)?;
/// assert!((b[0] - 1.375).abs() < 1e-15 && (b[1] - 1.25).abs() < 1e-15);
/// # Ok::<(), vdn_forecast::baselines::BaselineError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cholesky {
    n: usize,
    /// The factor, `[n, n]` row-major; the part above the diagonal is not used.
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors `matrix [n, n]`. Only the lower triangle is read.
    ///
    /// # Errors
    /// Fails if the length is not `n * n` or `n = 0`, if an entry is not finite, or if a pivot is
    /// not above `n` times the rounding of the largest diagonal entry. In the last case the matrix
    /// is not positive definite in double precision.
    pub fn new(matrix: &[f64], n: usize) -> Result<Self, BaselineError> {
        Self::in_place(matrix.to_vec(), n)
    }

    /// [`Cholesky::new`] in the memory of the matrix.
    ///
    /// # Errors
    /// The errors of [`Cholesky::new`].
    pub fn in_place(matrix: Vec<f64>, n: usize) -> Result<Self, BaselineError> {
        const OPERATION: &str = "cholesky";
        if n == 0 || n.checked_mul(n) != Some(matrix.len()) {
            let detail = format!("matrix ({} values), n = {n}: expected [n, n]", matrix.len());
            return Err(BaselineError::shape(OPERATION, detail));
        }
        check_finite(OPERATION, "matrix", &matrix, n)?;
        let largest = (0..n).map(|i| matrix[i * n + i]).fold(0.0, f64::max);
        let threshold = n as f64 * f64::EPSILON * largest;
        let mut lower = matrix;
        for i in 0..n {
            let (done, rest) = lower.split_at_mut(i * n);
            let row = &mut rest[..n];
            for j in 0..i {
                let other = &done[j * n..j * n + j + 1];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let pivot = row[i] - dot(&row[..i], &row[..i]);
            if pivot.is_nan() || pivot <= threshold {
                return Err(BaselineError::NotPositiveDefinite { n, row: i, pivot });
            }
            row[i] = pivot.sqrt();
        }
        Ok(Self { n, lower })
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn n(&self) -> usize {
        self.n
    }

    /// Replaces `b [n, columns]` by the solution of `A X = B`.
    ///
    /// # Errors
    /// Fails if the length is not `n * columns`.
    pub fn solve(&self, b: &mut [f64], columns: usize) -> Result<(), BaselineError> {
        let n = self.n;
        if columns == 0 || n.checked_mul(columns) != Some(b.len()) {
            let detail = format!(
                "b ({} values), columns {columns}, factor [{n}, {n}]: expected b [n, columns]",
                b.len()
            );
            return Err(BaselineError::shape("cholesky solve", detail));
        }
        for i in 0..n {
            let (done, rest) = b.split_at_mut(i * columns);
            let row = &mut rest[..columns];
            for (j, other) in done.chunks_exact(columns).enumerate() {
                subtract(row, self.lower[i * n + j], other);
            }
            divide(row, self.lower[i * n + i]);
        }
        for i in (0..n).rev() {
            let (rest, done) = b.split_at_mut((i + 1) * columns);
            let row = &mut rest[i * columns..];
            for (k, other) in done.chunks_exact(columns).enumerate() {
                subtract(row, self.lower[(i + 1 + k) * n + i], other);
            }
            divide(row, self.lower[i * n + i]);
        }
        Ok(())
    }
}

/// `row -= factor * other`.
fn subtract(row: &mut [f64], factor: f64, other: &[f64]) {
    for (value, o) in row.iter_mut().zip(other) {
        *value -= factor * o;
    }
}

fn divide(row: &mut [f64], divisor: f64) {
    for value in row {
        *value /= divisor;
    }
}

/// Returns `sum_i a_i b_i` for slices of equal length, in eight partial sums.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_blocks, a_rest) = a.as_chunks::<8>();
    let (b_blocks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7])) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixed well-conditioned matrix `M M^T / n + I`, and its product with known solutions.
    fn system(n: usize, columns: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let value = |i: usize| ((i * 7919 + 13) % 1009) as f64 / 504.5 - 1.0;
        let m: Vec<f64> = (0..n * n).map(value).collect();
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                let product: f64 = (0..n).map(|k| m[i * n + k] * m[j * n + k]).sum();
                a[i * n + j] = product / n as f64 + f64::from(u8::from(i == j));
            }
        }
        let x: Vec<f64> = (0..n * columns).map(|i| value(i + 5)).collect();
        let mut b = vec![0.0; n * columns];
        for i in 0..n {
            for c in 0..columns {
                b[i * columns + c] = (0..n).map(|k| a[i * n + k] * x[k * columns + c]).sum();
            }
        }
        (a, x, b)
    }

    #[test]
    fn solutions_are_recovered() {
        for (n, columns) in [(1, 1), (2, 3), (7, 2), (9, 1), (64, 5), (130, 3)] {
            let (a, want, mut b) = system(n, columns);
            Cholesky::new(&a, n).unwrap().solve(&mut b, columns).unwrap();
            let worst = b.iter().zip(&want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
            // Backward stable: the error is about n * 1e-16 * condition number. The condition
            // number is below 1e3 here, because of the identity in A.
            assert!(worst < 1e-11, "n {n}, columns {columns}: {worst}");
        }
    }

    #[test]
    fn only_the_lower_triangle_is_read() {
        let (mut a, _, b) = system(5, 1);
        let mut first = b.clone();
        Cholesky::new(&a, 5).unwrap().solve(&mut first, 1).unwrap();
        for i in 0..5 {
            for j in i + 1..5 {
                a[i * 5 + j] = 1e9;
            }
        }
        let mut second = b;
        Cholesky::new(&a, 5).unwrap().solve(&mut second, 1).unwrap();
        assert_eq!(first, second);
    }

    #[test]
    fn what_has_no_factor_is_refused() {
        let singular = [1.0, 1.0, 1.0, 1.0];
        let error = Cholesky::new(&singular, 2).unwrap_err();
        assert!(matches!(error, BaselineError::NotPositiveDefinite { row: 1, .. }), "{error}");
        let indefinite = Cholesky::new(&[1.0, 2.0, 2.0, 1.0], 2);
        assert!(matches!(indefinite, Err(BaselineError::NotPositiveDefinite { .. })));
        assert!(matches!(Cholesky::new(&[0.0], 1), Err(BaselineError::NotPositiveDefinite { .. })));
        assert!(matches!(Cholesky::new(&[f64::NAN], 1), Err(BaselineError::NonFinite { .. })));
        assert!(Cholesky::new(&[1.0, 2.0], 2).is_err() && Cholesky::new(&[], 0).is_err());
        assert!(Cholesky::new(&[1.0], 1).unwrap().solve(&mut [1.0, 2.0], 1).is_err());
    }
}
