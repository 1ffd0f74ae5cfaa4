//! One window under a low-rank covariance: factorisation, distance, determinant and slopes, in
//! `f64`.
//!
//! In units of the independent deviations the covariance is `K = I + W W'` with `W` `[H, N]`.
//! Everything is done with the smaller of the two Gram matrices. With `p = min(H, N)`, `r = max(H,
//! N)` and `V` `[p, r]`, which is `W'` for `N <= H` and `W` otherwise, it is `G = I + V V'`, whose
//! determinant is that of `K`. By Woodbury's identity:
//!
//! ```text
//! N <= H    c = G^-1 W' e     q = e - W c        K^-1 W = (G^-1 V)'
//! N >  H    q = G^-1 e        c = W' q           K^-1 W = G^-1 V
//! ```
//!
//! `q = K^-1 e`, and `c` is the mean of the `N` causes given `e`. The distance is `e' K^-1 e = q'q
//! + c'c`: it is the minimum over `c` of `|e - W c|^2 + |c|^2`, so an error of `c` enters squared,
//! where `e'e - e' W c` would lose all digits to cancellation when `W` is large.

/// Sizes and the orientation that follows from them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Steps, `H`.
    pub(super) steps: usize,
    /// Causes that the steps share, `N`.
    pub(super) rank: usize,
}

/// What a window needs of memory; all but `loadings` and `residual` are results.
pub(super) struct Row<'a> {
    sizes: Sizes,
    /// `V`, `[p, r]`.
    pub(super) loadings: &'a mut [f64],
    /// `e`, `[H]`.
    pub(super) residual: &'a mut [f64],
    /// `q`, `[H]`.
    pub(super) pull: &'a mut [f64],
    /// `c`, `[N]`.
    pub(super) causes: &'a mut [f64],
    /// The factor of `G`, `[p, p]`.
    factor: &'a mut [f64],
    /// `G^-1 V`, `[p, r]`.
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
    fn few(self) -> usize {
        self.steps.min(self.rank)
    }

    /// Where the loading of a step on a cause is.
    pub(super) fn at(self, step: usize, cause: usize) -> usize {
        if self.rank <= self.steps { cause * self.steps + step } else { step * self.rank + cause }
    }

    /// The numbers that [`Row::in_memory`] wants.
    pub(super) fn memory(self) -> usize {
        let p = self.few();
        2 * self.steps * self.rank + 2 * self.steps + self.rank + p * p
    }
}

impl<'a> Row<'a> {
    pub(super) fn in_memory(sizes: Sizes, memory: &'a mut [f64]) -> Self {
        let (steps, rank, p) = (sizes.steps, sizes.rank, sizes.few());
        let (loadings, memory) = memory.split_at_mut(steps * rank);
        let (solved, memory) = memory.split_at_mut(steps * rank);
        let (residual, memory) = memory.split_at_mut(steps);
        let (pull, memory) = memory.split_at_mut(steps);
        let (causes, memory) = memory.split_at_mut(rank);
        let factor = &mut memory[..p * p];
        Self { sizes, loadings, residual, pull, causes, factor, solved }
    }

    /// Forms `q`, `c`, the distance and the determinant.
    pub(super) fn solve(&mut self) -> Found {
        let Sizes { steps, rank } = self.sizes;
        let wide = steps.max(rank);
        let log_determinant = self.factorise();
        if rank <= steps {
            for (cause, row) in self.causes.iter_mut().zip(self.loadings.chunks_exact(wide)) {
                *cause = dot(row, self.residual);
            }
            self.substitute(Of::Causes);
            self.pull.copy_from_slice(self.residual);
            for (cause, row) in self.causes.iter().zip(self.loadings.chunks_exact(wide)) {
                subtract(self.pull, *cause, row);
            }
        } else {
            self.pull.copy_from_slice(self.residual);
            self.substitute(Of::Pull);
            self.causes.fill(0.0);
            for (pull, row) in self.pull.iter().zip(self.loadings.chunks_exact(wide)) {
                subtract(self.causes, -pull, row);
            }
        }
        let distance = dot(self.pull, self.pull) + dot(self.causes, self.causes);
        Found { distance, log_determinant }
    }

    /// The derivative of `(distance weight + log-determinant) / 2` with respect to the loadings, in
    /// their order: `K^-1 W - weight q c'`; to be called after [`Row::solve`].
    pub(super) fn loading_slopes(&mut self, weight: f64) {
        let Sizes { steps, rank } = self.sizes;
        let wide = steps.max(rank);
        self.solved.copy_from_slice(self.loadings);
        self.substitute(Of::Loadings);
        let (few, many): (&[f64], &[f64]) = match rank <= steps {
            true => (self.causes, self.pull),
            false => (self.pull, self.causes),
        };
        for (row, few) in self.solved.chunks_exact_mut(wide).zip(few) {
            subtract(row, weight * few, many);
        }
    }

    /// What [`Row::loading_slopes`] has found.
    pub(super) fn slopes(&self) -> &[f64] {
        self.solved
    }

    /// Cholesky's factor of `G`; gives the log-determinant. Every pivot is at least 1 (the identity
    /// is what a Schur complement of `G` keeps), so one that rounding has put below is 1; NaN stays
    /// NaN.
    fn factorise(&mut self) -> f64 {
        let (p, wide) = (self.sizes.few(), self.sizes.steps.max(self.sizes.rank));
        let mut log_determinant = 0.0;
        for i in 0..p {
            let own = &self.loadings[i * wide..][..wide];
            for j in 0..=i {
                self.factor[i * p + j] = dot(own, &self.loadings[j * wide..][..wide]);
            }
            self.factor[i * p + i] += 1.0;
            let (done, rest) = self.factor.split_at_mut(i * p);
            let row = &mut rest[..p];
            for j in 0..i {
                let other = &done[j * p..][..=j];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let pivot = row[i] - dot(&row[..i], &row[..i]);
            let pivot = if pivot < 1.0 { 1.0 } else { pivot };
            log_determinant += pivot.ln();
            row[i] = pivot.sqrt();
        }
        log_determinant
    }

    /// Replaces an array `[p, columns]` by `G^-1` times it.
    fn substitute(&mut self, of: Of) {
        let (p, wide) = (self.sizes.few(), self.sizes.steps.max(self.sizes.rank));
        let (b, columns): (&mut [f64], usize) = match of {
            Of::Causes => (self.causes, 1),
            Of::Pull => (self.pull, 1),
            Of::Loadings => (self.solved, wide),
        };
        for i in 0..p {
            let (done, rest) = b.split_at_mut(i * columns);
            let row = &mut rest[..columns];
            for (j, other) in done.chunks_exact(columns).enumerate() {
                subtract(row, self.factor[i * p + j], other);
            }
            divide(row, self.factor[i * p + i]);
        }
        for i in (0..p).rev() {
            let (rest, done) = b.split_at_mut((i + 1) * columns);
            let row = &mut rest[i * columns..];
            for (k, other) in done.chunks_exact(columns).enumerate() {
                subtract(row, self.factor[(i + 1 + k) * p + i], other);
            }
            divide(row, self.factor[i * p + i]);
        }
    }
}

/// Which array is solved for.
#[derive(Clone, Copy)]
enum Of {
    Causes,
    Pull,
    Loadings,
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

/// `sum_i a_i b_i` in eight partial sums: a fixed order, which vectorises.
fn dot(a: &[f64], b: &[f64]) -> f64 {
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
