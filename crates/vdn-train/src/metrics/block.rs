//! Averages over windows, with standard errors that account for overlapping windows.
//!
//! Two windows of one series whose targets overlap have correlated scores. Therefore the deviation
//! of the scores over the root of their number understates the error of the mean, often several
//! times.
//!
//! Here the windows of each series, in time order, are cut into blocks of `b` consecutive windows.
//! The rest at the end of a series joins its last block; a series shorter than `b` is one block.
//! The blocks count as independent. With block totals `T_k` over `n_k` windows, `K` blocks, `n`
//! windows and mean `m`, the estimator is
//!
//! ```text
//! SE^2 = K / (K - 1) * sum_k (T_k - n_k m)^2 / n^2
//! ```
//!
//! This is the estimator of batch means, or of cluster-robust variance with segments of series as
//! clusters. Its assumptions and limits:
//!
//! * The blocks must be at least as long as the overlap, `ceil(horizon / spacing)` windows
//!   ([`overlap_block`]), and longer if scores are correlated beyond it.
//! * At a block length `b`, a correlation at lag `l` counts with weight `1 - l/b`, so short blocks
//!   bias the error downwards. Few blocks make it noisy (relative deviation `1/sqrt(2 (K - 1))`).
//! * Scores of different series at the same time are taken as independent, which is optimistic for
//!   the columns of one data set.
//!
//! For the difference of two models, pass the differences per window: pairing removes the
//! difficulty that both models share.

use crate::metrics::error::MetricError;

/// A mean and its block standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean over all windows.
    pub mean: f64,
    /// The standard error of the mean; `None` with fewer than two blocks.
    pub standard_error: Option<f64>,
}

/// The shortest block length for windows that are `spacing` time steps apart with targets of
/// `horizon` steps: `ceil(horizon / spacing)` windows, at least 1. A `spacing` of 0 counts as 1.
#[must_use]
pub fn overlap_block(horizon: usize, spacing: usize) -> usize {
    horizon.div_ceil(spacing.max(1)).max(1)
}

/// Sums over blocks of windows, for several columns (metrics) at once. Memory grows only with the
/// number of blocks.
///
/// ```
/// use vdn_train::metrics::BlockSums;
/// let mut sums = BlockSums::new(1, 2)?;
/// for value in [1.0, 3.0, 2.0, 6.0] {
///     sums.push(&[value])?;
/// }
/// let estimate = sums.estimate(0)?;
/// assert_eq!(estimate.mean, 3.0);
/// // Block totals 4 and 8: 2/1 * ((4 - 6)^2 + (8 - 6)^2) / 16 = 1.
/// assert_eq!(estimate.standard_error, Some(1.0));
/// # Ok::<(), vdn_train::metrics::MetricError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BlockSums {
    columns: usize,
    block: usize,
    /// `[blocks, columns]`.
    totals: Vec<f64>,
    /// The total weight of the windows in each block.
    weights: Vec<f64>,
    /// The number of windows in closed blocks.
    closed: usize,
    /// The block that is being filled. It is not yet in `totals`.
    open: Vec<f64>,
    open_count: usize,
    open_weight: f64,
    /// Whether `totals` has a block of the current series.
    series_has_block: bool,
}

impl BlockSums {
    /// Creates empty sums of `columns` values per window, in blocks of `block` windows.
    ///
    /// # Errors
    /// Returns an error when either is 0.
    pub fn new(columns: usize, block: usize) -> Result<Self, MetricError> {
        for (name, value) in [("columns", columns), ("block", block)] {
            if value == 0 {
                let (operation, expected) = ("block sums", "at least 1");
                return Err(MetricError::Setting { operation, name, value: 0.0, expected });
            }
        }
        Ok(Self {
            columns,
            block,
            totals: Vec::new(),
            weights: Vec::new(),
            closed: 0,
            open: vec![0.0; columns],
            open_count: 0,
            open_weight: 0.0,
            series_has_block: false,
        })
    }

    /// Adds the values of the next window of the current series, in time order.
    ///
    /// # Errors
    /// Returns an error when the number of values differs from the number of columns, or a value is
    /// not finite.
    pub fn push(&mut self, values: &[f64]) -> Result<(), MetricError> {
        self.push_weighted(values, 1.0)
    }

    /// Like [`BlockSums::push`], with a weight above 0 in the means.
    ///
    /// # Errors
    /// Returns the errors of [`BlockSums::push`].
    pub fn push_weighted(&mut self, values: &[f64], weight: f64) -> Result<(), MetricError> {
        if values.len() != self.columns {
            let detail = format!("values [{}], columns {}", values.len(), self.columns);
            return Err(MetricError::shape("block sums", detail));
        }
        if let Some(value) = values.iter().copied().find(|v| !v.is_finite()) {
            let window = self.windows();
            return Err(MetricError::Score { metric: "block sums", window, step: None, value });
        }
        for (sum, value) in self.open.iter_mut().zip(values) {
            *sum += weight * value;
        }
        self.open_weight += weight;
        self.open_count += 1;
        if self.open_count == self.block {
            self.totals.extend_from_slice(&self.open);
            self.weights.push(self.open_weight);
            self.clear_open();
            self.series_has_block = true;
        }
        Ok(())
    }

    /// Starts another series with the next window. Blocks do not extend across series.
    pub fn start_series(&mut self) {
        if self.open_count > 0 {
            if self.series_has_block {
                let last = self.totals.len() - self.columns;
                for (sum, open) in self.totals[last..].iter_mut().zip(&self.open) {
                    *sum += open;
                }
                self.weights[last / self.columns] += self.open_weight;
            } else {
                self.totals.extend_from_slice(&self.open);
                self.weights.push(self.open_weight);
            }
            self.clear_open();
        }
        self.series_has_block = false;
    }

    fn clear_open(&mut self) {
        self.open.fill(0.0);
        self.closed += self.open_count;
        (self.open_count, self.open_weight) = (0, 0.0);
    }

    /// The number of windows that were pushed.
    #[must_use]
    pub fn windows(&self) -> usize {
        self.closed + self.open_count
    }

    /// The number of blocks.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.weights.len() + usize::from(self.open_count > 0 && !self.series_has_block)
    }

    /// The `(total, weight)` of each block in one column.
    fn column(&self, column: usize) -> Vec<(f64, f64)> {
        let totals = self.totals.chunks_exact(self.columns).map(|row| row[column]);
        let mut blocks: Vec<(f64, f64)> = totals.zip(self.weights.iter().copied()).collect();
        if self.open_count > 0 {
            match blocks.last_mut().filter(|_| self.series_has_block) {
                Some(last) => *last = (last.0 + self.open[column], last.1 + self.open_weight),
                None => blocks.push((self.open[column], self.open_weight)),
            }
        }
        blocks
    }

    fn check(&self, operation: &'static str, column: usize) -> Result<(), MetricError> {
        if column >= self.columns {
            return Err(MetricError::shape(
                operation,
                format!("column {column} of {}", self.columns),
            ));
        }
        if self.windows() == 0 { Err(MetricError::Empty { operation }) } else { Ok(()) }
    }

    /// The mean of a column and its block standard error.
    ///
    /// # Errors
    /// Returns an error when there is no such column or no window.
    pub fn estimate(&self, column: usize) -> Result<Estimate, MetricError> {
        self.check("block standard error", column)?;
        let blocks = self.column(column);
        let weights: f64 = blocks.iter().map(|(_, weight)| weight).sum();
        let mean = blocks.iter().map(|(total, _)| total).sum::<f64>() / weights;
        let residuals = blocks.iter().map(|(total, weight)| total - weight * mean);
        Ok(Estimate { mean, standard_error: standard_error(residuals, blocks.len(), weights) })
    }

    /// The ratio of two columns' sums, with the standard error of its linearisation (delta method
    /// over blocks).
    ///
    /// # Errors
    /// Returns an error when there is no such column, no window, or the denominator's sum is zero.
    pub fn ratio(&self, numerator: usize, denominator: usize) -> Result<Estimate, MetricError> {
        const OPERATION: &str = "ratio of block sums";
        self.check(OPERATION, numerator)?;
        self.check(OPERATION, denominator)?;
        let (above, below) = (self.column(numerator), self.column(denominator));
        let scale: f64 = below.iter().map(|(total, _)| total).sum();
        let mean = above.iter().map(|(total, _)| total).sum::<f64>() / scale;
        if !mean.is_finite() {
            let expected = "a sum other than 0";
            return Err(MetricError::Setting {
                operation: OPERATION,
                name: "denominator",
                value: scale,
                expected,
            });
        }
        let residuals = above.iter().zip(&below).map(|(a, b)| a.0 - mean * b.0);
        Ok(Estimate { mean, standard_error: standard_error(residuals, above.len(), scale) })
    }
}

/// `sqrt(K / (K - 1) sum_k r_k^2) / |scale|`.
fn standard_error(residuals: impl Iterator<Item = f64>, blocks: usize, scale: f64) -> Option<f64> {
    if blocks < 2 {
        return None;
    }
    let sum: f64 = residuals.map(|r| r * r).sum();
    let blocks = blocks as f64;
    Some((blocks / (blocks - 1.0) * sum).sqrt() / scale.abs())
}

/// The mean of the per-window `values` of one series in time order, with blocks of `block` windows.
///
/// # Errors
/// Returns an error when `block` is 0, there are no values, or one is not finite.
pub fn block_estimate(values: &[f64], block: usize) -> Result<Estimate, MetricError> {
    let mut sums = BlockSums::new(1, block)?;
    for value in values {
        sums.push(std::slice::from_ref(value))?;
    }
    sums.estimate(0)
}
