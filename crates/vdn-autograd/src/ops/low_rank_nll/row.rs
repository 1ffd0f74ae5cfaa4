//! One window under a low-rank covariance: factorisation, distance, determinant and slopes, in
//! `f64`.
//!
//! In units of the independent deviations the covariance is `K = I + W W'` with `W` `[H, N]`. All
//! computations use the smaller of the two Gram matrices. Let `p = min(H, N)` and `r = max(H, N)`,
//! and let `V` `[p, r]` be `W'` for `N <= H` and `W` otherwise. The Gram matrix is `G = I + V V'`;
//! its determinant is the determinant of `K`. By Woodbury's identity:
//!
//! ```text
//! N <= H    c = G^-1 W' e     q = e - W c        K^-1 W = (G^-1 V)'
//! N >  H    q = G^-1 e        c = W' q           K^-1 W = G^-1 V
//! ```
//!
//! `q = K^-1 e`, and `c` is the mean of the `N` causes given `e`. The distance is
//! `e' K^-1 e = q'q + c'c`. It is the minimum over `c` of `|e - W c|^2 + |c|^2`, so an error of `c`
//! enters squared. The formula `e'e - e' W c` would lose all digits to cancellation if `W` is
//! large.
//!
//! `V` is the product of three factors: the weights, which all windows share; the scales of the
//! causes; and the units of the steps. The scales and units multiply rows or columns, in the order
//! of `V`.

use crate::ops::low_rank_nll::vectors::{ROWS, dot, dots, scale, subtract, subtract_all};
use vdn_tensor::dispatch;

/// The sizes, and the orientation that follows from them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Steps, `H`.
    pub(super) steps: usize,
    /// The number of causes that the steps share, `N`.
    pub(super) rank: usize,
}

/// The memory of a window.
pub(super) struct Row<'a> {
    sizes: Sizes,
    /// `e`, `[H]`.
    pub(super) residual: &'a mut [f64],
    /// The factor of each step's loadings, `[H]`.
    pub(super) units: &'a mut [f64],
    /// The factor of each cause's loadings, `[N]`.
    pub(super) scales: &'a mut [f64],
    /// `q`, `[H]`; a result.
    pub(super) pull: &'a mut [f64],
    /// `c`, `[N]`; a result.
    causes: &'a mut [f64],
    /// The sum over causes of slope, weight and scale, `[H]`; a result.
    pub(super) by_step: &'a mut [f64],
    /// The sum over steps of slope, weight and unit, `[N]`; a result.
    pub(super) by_cause: &'a mut [f64],
    /// `V`, `[p, r]`.
    loadings: &'a mut [f64],
    /// `U` of `G = U'U`, `[p, p]`; what is below its diagonal is not used.
    factor: &'a mut [f64],
    /// The inverses of the diagonal of `U`, `[p]`.
    inverses: &'a mut [f64],
    /// `G^-1 V`, then the slopes of `V`, `[p, r]`.
    solved: &'a mut [f64],
}

/// A distance and a log-determinant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// `e' K^-1 e`.
    pub(super) distance: f64,
    /// `ln det K`.
    pub(super) log_determinant: f64,
}

impl Sizes {
    /// `p`.
    fn few(self) -> usize {
        self.steps.min(self.rank)
    }

    /// `r`.
    fn many(self) -> usize {
        self.steps.max(self.rank)
    }

    /// Returns whether a row of `V` is a cause; otherwise it is a step.
    fn rows_are_causes(self) -> bool {
        self.rank <= self.steps
    }

    /// Returns the position of a step's loading on a cause.
    pub(super) fn at(self, step: usize, cause: usize) -> usize {
        match self.rows_are_causes() {
            true => cause * self.steps + step,
            false => step * self.rank + cause,
        }
    }

    /// Returns the count of numbers that [`Row::in_memory`] needs.
    pub(super) fn memory(self) -> usize {
        let p = self.few();
        2 * self.steps * self.rank + 4 * self.steps + 3 * self.rank + p * p + p
    }
}

impl<'a> Row<'a> {
    pub(super) fn in_memory(sizes: Sizes, mut memory: &'a mut [f64]) -> Self {
        let (steps, rank, p) = (sizes.steps, sizes.rank, sizes.few());
        let mut take = |len: usize| {
            let (part, rest) = std::mem::take(&mut memory).split_at_mut(len);
            memory = rest;
            part
        };
        Self {
            sizes,
            residual: take(steps),
            units: take(steps),
            scales: take(rank),
            pull: take(steps),
            causes: take(rank),
            by_step: take(steps),
            by_cause: take(rank),
            loadings: take(steps * rank),
            factor: take(p * p),
            inverses: take(p),
            solved: take(steps * rank),
        }
    }

    /// Computes loadings, `q`, `c`, the distance and the determinant from `weights` in the order of
    /// [`Sizes::at`].
    pub(super) fn solve(&mut self, weights: &[f64]) -> Found {
        dispatch!(_simd => self.solve_here(weights))
    }

    /// Adds to `d_weights` `factor` times the derivative of
    /// `(distance weight + log-determinant) / 2` with respect to the weights, and computes
    /// `by_step` and `by_cause` without the factor. Call it after [`Row::solve`]. The derivative
    /// with respect to the loadings is `K^-1 W - weight q c'`.
    pub(super) fn slopes(
        &mut self,
        weight: f64,
        factor: f64,
        weights: &[f64],
        d_weights: &mut [f64],
    ) {
        dispatch!(_simd => self.slopes_here(weight, factor, weights, d_weights));
    }

    #[inline(always)]
    fn solve_here(&mut self, weights: &[f64]) -> Found {
        let (p, r) = (self.sizes.few(), self.sizes.many());
        let causes_first = self.sizes.rows_are_causes();
        let (of_rows, of_columns): (&[f64], &[f64]) = match causes_first {
            true => (self.scales, self.units),
            false => (self.units, self.scales),
        };
        for i in 0..p {
            let (to, from) = (&mut self.loadings[i * r..][..r], &weights[i * r..][..r]);
            for j in 0..r {
                to[j] = from[j] * of_rows[i] * of_columns[j];
            }
        }
        let log_determinant = self.factorise();
        if causes_first {
            products(self.causes, self.loadings, self.residual);
            substitute(self.factor, self.inverses, self.causes);
            self.pull.copy_from_slice(self.residual);
            subtract_products(self.pull, self.causes, self.loadings);
        } else {
            self.pull.copy_from_slice(self.residual);
            substitute(self.factor, self.inverses, self.pull);
            self.causes.fill(0.0);
            subtract_products(self.causes, self.pull, self.loadings);
            scale(self.causes, -1.0);
        }
        let distance = dot(self.pull, self.pull) + dot(self.causes, self.causes);
        Found { distance, log_determinant }
    }

    #[inline(always)]
    fn slopes_here(&mut self, weight: f64, factor: f64, weights: &[f64], d_weights: &mut [f64]) {
        let (p, r) = (self.sizes.few(), self.sizes.many());
        self.solved.copy_from_slice(self.loadings);
        self.substitute_loadings();
        let causes_first = self.sizes.rows_are_causes();
        let (few, many, of_rows, of_columns): (&[f64], &[f64], &[f64], &[f64]) = match causes_first
        {
            true => (self.causes, self.pull, self.scales, self.units),
            false => (self.pull, self.causes, self.units, self.scales),
        };
        let (by_rows, by_columns) = match causes_first {
            true => (&mut *self.by_cause, &mut *self.by_step),
            false => (&mut *self.by_step, &mut *self.by_cause),
        };
        let (many, of_columns, by_columns) = (&many[..r], &of_columns[..r], &mut by_columns[..r]);
        by_columns.fill(0.0);
        for i in 0..p {
            let slopes = &mut self.solved[i * r..][..r];
            subtract(slopes, weight * few[i], many);
            let (from, to) = (&weights[i * r..][..r], &mut d_weights[i * r..][..r]);
            let of_row = of_rows[i];
            let to_row = factor * of_row;
            for j in 0..r {
                let by_product = slopes[j] * of_columns[j];
                by_columns[j] += slopes[j] * from[j] * of_row;
                to[j] += by_product * to_row;
                slopes[j] = by_product;
            }
            by_rows[i] = dot(slopes, from);
        }
    }

    /// Computes Cholesky's factor of `G` and returns the log-determinant. Every pivot is at least
    /// 1, because every Schur complement of `G` contains the identity. A pivot that rounding put
    /// below 1 becomes 1; NaN stays NaN.
    #[inline(always)]
    fn factorise(&mut self) -> f64 {
        let (p, r) = (self.sizes.few(), self.sizes.many());
        for i in 0..p {
            let own = &self.loadings[i * r..][..r];
            let row = |j: usize| &self.loadings[j * r..][..r];
            let to = &mut self.factor[i * p..][..p];
            let mut j = i;
            while j + ROWS <= p {
                let found = dots(own, [row(j), row(j + 1), row(j + 2), row(j + 3)]);
                to[j..j + ROWS].copy_from_slice(&found);
                j += ROWS;
            }
            while j < p {
                to[j] = dot(own, row(j));
                j += 1;
            }
            to[i] += 1.0;
        }
        let mut log_determinant = 0.0;
        for i in 0..p {
            let (done, rest) = self.factor.split_at_mut(i * p);
            let row = &mut rest[i..p];
            let above = |k: usize| &done[k * p + i..(k + 1) * p];
            let mut k = 0;
            while k + ROWS <= i {
                let others = [above(k), above(k + 1), above(k + 2), above(k + 3)];
                let factors = [others[0][0], others[1][0], others[2][0], others[3][0]];
                subtract_all(row, factors, others);
                k += ROWS;
            }
            while k < i {
                subtract(row, above(k)[0], above(k));
                k += 1;
            }
            let pivot = if row[0] < 1.0 { 1.0 } else { row[0] };
            log_determinant += pivot.ln();
            let inverse = 1.0 / pivot.sqrt();
            self.inverses[i] = inverse;
            // The whole row: its first number becomes the root of the pivot.
            row[0] = pivot;
            scale(row, inverse);
        }
        log_determinant
    }

    /// Replaces `solved` by `G^-1` times it.
    #[inline(always)]
    fn substitute_loadings(&mut self) {
        let (p, r) = (self.sizes.few(), self.sizes.many());
        for i in 0..p {
            let (done, rest) = self.solved.split_at_mut(i * r);
            let row = &mut rest[..r];
            let factor = |k: usize| self.factor[k * p + i];
            subtract_rows(row, factor, done, i, r);
            scale(row, self.inverses[i]);
        }
        for i in (0..p).rev() {
            let (rest, done) = self.solved.split_at_mut((i + 1) * r);
            let row = &mut rest[i * r..];
            let factors = &self.factor[i * p..][..p];
            let factor = |k: usize| factors[i + 1 + k];
            subtract_rows(row, factor, done, p - i - 1, r);
            scale(row, self.inverses[i]);
        }
    }
}

/// `row -= sum_k factor(k) rows_k` over the first `count` rows `[count, r]`.
#[inline(always)]
fn subtract_rows(
    row: &mut [f64],
    factor: impl Fn(usize) -> f64,
    rows: &[f64],
    count: usize,
    r: usize,
) {
    let of = |k: usize| &rows[k * r..][..r];
    let mut k = 0;
    while k + ROWS <= count {
        let factors = [factor(k), factor(k + 1), factor(k + 2), factor(k + 3)];
        subtract_all(row, factors, [of(k), of(k + 1), of(k + 2), of(k + 3)]);
        k += ROWS;
    }
    while k < count {
        subtract(row, factor(k), of(k));
        k += 1;
    }
}

/// `to = rows x` of `rows [p, r]`.
#[inline(always)]
fn products(to: &mut [f64], rows: &[f64], x: &[f64]) {
    let r = x.len();
    for i in 0..to.len() {
        to[i] = dot(&rows[i * r..][..r], x);
    }
}

/// `to -= factors' rows` of `rows [p, r]`.
#[inline(always)]
fn subtract_products(to: &mut [f64], factors: &[f64], rows: &[f64]) {
    let r = to.len();
    subtract_rows(to, |k| factors[k], rows, factors.len(), r);
}

/// Replaces `b [p]` by `G^-1 b`, with the factor `U` of `G = U'U`.
#[inline(always)]
fn substitute(factor: &[f64], inverses: &[f64], b: &mut [f64]) {
    let p = b.len();
    for i in 0..p {
        let (own, later) = b[i..].split_at_mut(1);
        own[0] *= inverses[i];
        subtract(later, own[0], &factor[i * p + i + 1..(i + 1) * p]);
    }
    for i in (0..p).rev() {
        let (own, later) = b[i..].split_at_mut(1);
        own[0] = (own[0] - dot(&factor[i * p + i + 1..(i + 1) * p], later)) * inverses[i];
    }
}
