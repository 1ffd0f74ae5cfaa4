//! The negative log-density of whole windows under a normal distribution (or Student's t) whose
//! covariance is a low-rank part plus a diagonal, as one fused operation.
//!
//! ```text
//! y_h = mean_h + sum_n weight_hn scale_n eps_n + sigma_h e_h
//! y_h = mean_h + sigma_h (sum_n weight_hn scale_n eps_n + e_h)         relative
//! ```
//!
//! All steps of a window share the `N` causes `eps`, as they share the units of a forecaster. `e`
//! is the noise of single steps. A window costs `H N min(H, N)` multiplications, and twice as many
//! for the gradient. Arithmetic is in `f64` for every type of tape, because the factor of a
//! covariance needs the digits if `sigma` is small.

mod row;
mod vectors;

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use row::{Found, Row, Sizes};
use vdn_tensor::math::gamma::ln_gamma;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut, parallel, with_scratch};

const NAME: &str = "low_rank_nll";
/// The number of windows per parallel task. The gradient of the weights is summed within a task,
/// then over tasks in order.
const TOGETHER: usize = 8;

/// The settings of [`Tape::low_rank_nll`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LowRankNll {
    /// Whether the weights are in units of each step's `sigma`; if false, they are in units of `y`.
    pub relative: bool,
    /// The degrees of freedom `nu` of a multivariate Student's t with one scale for all steps of a
    /// window, finite and above 0; `None` for the normal distribution. With Student's t, the
    /// low-rank matrix is the scale matrix; for `nu > 2` the covariance is larger by the factor
    /// `nu / (nu - 2)`.
    pub degrees_of_freedom: Option<f64>,
}

/// The results of [`Tape::low_rank_nll`].
#[derive(Clone, Copy, Debug)]
pub struct LowRankOutputs {
    /// The mean over windows in nats per time step, a scalar.
    pub nll: Var,
    /// The negative log-density of each window in nats per window, `[batch]`.
    pub windows: Var,
}

/// The inputs are the mean, the scales, the weights, sigma and y.
struct LowRankOp {
    options: LowRankNll,
}

/// The inputs of a pass.
struct Windows<'a, T> {
    batch: usize,
    sizes: Sizes,
    mean: &'a [T],
    scales: &'a [T],
    weights: &'a [T],
    sigma: &'a [T],
    y: &'a [T],
    options: LowRankNll,
}

/// The layout of a task's results in the backward pass. For each window: the slopes of the mean
/// `[H]`, of sigma `[H]` and of the scales `[N]`. Then, summed over the windows of the task: the
/// slopes of the weights, `[H, N]` in the order of [`Sizes::at`].
#[derive(Clone, Copy)]
struct Record {
    sizes: Sizes,
}

impl Record {
    fn of_window(self) -> usize {
        2 * self.sizes.steps + self.sizes.rank
    }

    fn len(self) -> usize {
        TOGETHER * self.of_window() + self.sizes.steps * self.sizes.rank
    }
}

impl<'a, T: Element> Windows<'a, T> {
    fn new(options: LowRankNll, inputs: &[View<'a, T>]) -> Self {
        let [mean, scales, weights, sigma, y] = std::array::from_fn(|i| inputs[i].data());
        let [steps, rank] = [inputs[2].shape().dims()[0], inputs[2].shape().dims()[1]];
        let batch = inputs[0].shape().dims()[0];
        Self { batch, sizes: Sizes { steps, rank }, mean, scales, weights, sigma, y, options }
    }

    fn tasks(&self) -> usize {
        self.batch.div_ceil(TOGETHER)
    }

    fn windows_of(&self, task: usize) -> std::ops::Range<usize> {
        task * TOGETHER..self.batch.min((task + 1) * TOGETHER)
    }

    fn sigma_of(&self, window: usize) -> &'a [T] {
        let steps = self.sizes.steps;
        if self.sigma.len() == steps { self.sigma } else { &self.sigma[window * steps..][..steps] }
    }

    /// The weights in the order of [`Sizes::at`].
    fn ordered_weights(&self, to: &mut [f64]) {
        let Sizes { steps, rank } = self.sizes;
        for step in 0..steps {
            for cause in 0..rank {
                to[self.sizes.at(step, cause)] = self.weights[step * rank + cause].to_f64();
            }
        }
    }

    /// Computes the residuals of a window and solves, with `weights` in order.
    fn solve(&self, window: usize, weights: &[f64], row: &mut Row<'_>) -> Found {
        let Sizes { steps, rank } = self.sizes;
        let scales = &self.scales[window * rank..][..rank];
        row.scales.iter_mut().zip(scales).for_each(|(to, scale)| *to = scale.to_f64());
        let sigma = self.sigma_of(window);
        for step in 0..steps {
            let deviation = sigma[step].to_f64();
            let at = window * steps + step;
            row.residual[step] = (self.y[at].to_f64() - self.mean[at].to_f64()) / deviation;
            row.units[step] = if self.options.relative { 1.0 } else { 1.0 / deviation };
        }
        row.solve(weights)
    }

    /// Returns the negative log-density of a window in nats.
    fn nll(&self, window: usize, found: Found) -> f64 {
        let steps = self.sizes.steps as f64;
        let log_sigma: f64 = self.sigma_of(window).iter().map(|s| s.to_f64().ln()).sum();
        let scale = 0.5 * found.log_determinant + log_sigma;
        match self.options.degrees_of_freedom {
            None => scale + 0.5 * (found.distance + steps * std::f64::consts::TAU.ln()),
            Some(nu) => {
                let half = 0.5 * (nu + steps);
                let norm = ln_gamma(0.5 * nu) - ln_gamma(half)
                    + 0.5 * steps * (nu * std::f64::consts::PI).ln();
                scale + norm + half * (found.distance / nu).ln_1p()
            }
        }
    }

    /// Returns twice the derivative of a window's negative log-density with respect to its
    /// distance.
    fn distance_slope(&self, distance: f64) -> f64 {
        let steps = self.sizes.steps as f64;
        self.options.degrees_of_freedom.map_or(1.0, |nu| (nu + steps) / (nu + distance))
    }

    /// Computes the slopes of a window times `factor`. The slopes of the weights are added in
    /// order; the others are written.
    fn slopes(
        &self,
        (window, factor): (usize, f64),
        weights: &[f64],
        row: &mut Row<'_>,
        own: &mut [f64],
        d_weights: &mut [f64],
    ) {
        let steps = self.sizes.steps;
        let found = self.solve(window, weights, row);
        let slope = self.distance_slope(found.distance);
        row.slopes(slope, factor, weights, d_weights);
        let (d_mean, own) = own.split_at_mut(steps);
        let (d_sigma, d_scales) = own.split_at_mut(steps);
        let sigma = self.sigma_of(window);
        for step in 0..steps {
            let deviation = sigma[step].to_f64();
            let pull = slope * row.pull[step];
            d_mean[step] = -factor * pull / deviation;
            let mut by_sigma = 1.0 - pull * row.residual[step];
            if !self.options.relative {
                by_sigma -= row.by_step[step] * row.units[step];
            }
            d_sigma[step] = factor * by_sigma / deviation;
        }
        d_scales.iter_mut().zip(&*row.by_cause).for_each(|(to, slope)| *to = factor * slope);
    }
}

compiled_once!(LowRankOp);
impl<T: Element> Definition<T> for LowRankOp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let refuse = |reason: &str| Err(ShapeError::new(NAME, inputs, reason));
        let (&[batch, steps], &[windows, rank]) = (inputs[0].dims(), inputs[1].dims()) else {
            return refuse("the mean needs the shape [batch, horizon], the scales [batch, rank]");
        };
        if batch * steps * rank == 0 {
            return refuse("there is nothing to score");
        }
        if windows != batch {
            return refuse("the scales need the shape [batch, rank]");
        }
        if inputs[2].dims() != [steps, rank] {
            return refuse("the weights need the shape [horizon, rank]");
        }
        if ![&[steps] as &[usize], &[batch, steps]].contains(&inputs[3].dims()) {
            return refuse("sigma needs the shape [horizon] or [batch, horizon]");
        }
        if inputs[4].dims() != [batch, steps] {
            return refuse("y needs the shape [batch, horizon]");
        }
        outputs.push(Shape::SCALAR);
        outputs.push(Shape::from([batch]));
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let windows = Windows::new(self.options, inputs);
        let [nll, rows] = outputs else { return };
        let sizes = windows.sizes;
        with_scratch(windows.batch + sizes.steps * sizes.rank, |memory: &mut [f64]| {
            let (all, weights) = memory.split_at_mut(windows.batch);
            windows.ordered_weights(weights);
            let weights = &*weights;
            parallel::for_each_chunk(all, TOGETHER, |task, to| {
                with_scratch(sizes.memory(), |memory: &mut [f64]| {
                    let mut row = Row::in_memory(sizes, memory);
                    for (window, to) in windows.windows_of(task).zip(to) {
                        *to = windows.nll(window, windows.solve(window, weights, &mut row));
                    }
                });
            });
            for (to, nll) in rows.data_mut().iter_mut().zip(&*all) {
                *to = T::from_f64(*nll);
            }
            let numbers = (windows.batch * sizes.steps) as f64;
            nll.data_mut()[0] = T::from_f64(all.iter().sum::<f64>() / numbers);
        });
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let windows = Windows::new(self.options, inputs);
        let (sizes, record) = (windows.sizes, Record { sizes: windows.sizes });
        let Sizes { steps, rank } = sizes;
        // Every window contributes its share of the mean, and its own output.
        let numbers = (windows.batch * steps) as f64;
        let of_mean = d_outputs[0].map_or(0.0, |d| d.data()[0].to_f64() / numbers);
        let factor =
            |window: usize| of_mean + d_outputs[1].map_or(0.0, |d| d.data()[window].to_f64());
        let all = windows.tasks() * record.len();
        with_scratch(all + steps * rank, |memory: &mut [f64]| {
            let (records, weights) = memory.split_at_mut(all);
            windows.ordered_weights(weights);
            let weights = &*weights;
            parallel::for_each_chunk(records, record.len(), |task, to| {
                let (each, d_weights) = to.split_at_mut(TOGETHER * record.of_window());
                d_weights.fill(0.0);
                with_scratch(sizes.memory(), |memory: &mut [f64]| {
                    let mut row = Row::in_memory(sizes, memory);
                    let each = each.chunks_exact_mut(record.of_window());
                    for (window, own) in windows.windows_of(task).zip(each) {
                        let own_factor = (window, factor(window));
                        windows.slopes(own_factor, weights, &mut row, own, d_weights);
                    }
                });
            });
            let records = &*records;
            let of_window = |window: usize| {
                let (task, place) = (window / TOGETHER, window % TOGETHER);
                &records[task * record.len() + place * record.of_window()..][..record.of_window()]
            };
            let [d_mean, d_scales, d_weights, d_sigma, d_y] = d_inputs else { return };
            for (d, sign) in [(d_mean, 1.0), (d_y, -1.0)] {
                let Some(d) = d else { continue };
                for (window, to) in d.data_mut().chunks_exact_mut(steps).enumerate() {
                    write(to, sign, &of_window(window)[..steps]);
                }
            }
            if let Some(d) = d_scales {
                for (window, to) in d.data_mut().chunks_exact_mut(rank).enumerate() {
                    write(to, 1.0, &of_window(window)[2 * steps..]);
                }
            }
            if let Some(d) = d_sigma {
                let own = |window| &of_window(window)[steps..2 * steps];
                match d.data().len() == steps {
                    true => with_scratch(steps, |total: &mut [f64]| {
                        add(total, (0..windows.batch).map(own));
                        write(d.data_mut(), 1.0, total);
                    }),
                    false => {
                        for (window, to) in d.data_mut().chunks_exact_mut(steps).enumerate() {
                            write(to, 1.0, own(window));
                        }
                    }
                }
            }
            if let Some(d) = d_weights {
                let of_task = |task: usize| {
                    &records[task * record.len() + TOGETHER * record.of_window()..][..steps * rank]
                };
                let to = d.data_mut();
                with_scratch(steps * rank, |total: &mut [f64]| {
                    add(total, (0..windows.tasks()).map(of_task));
                    for step in 0..steps {
                        for cause in 0..rank {
                            to[step * rank + cause] = T::from_f64(total[sizes.at(step, cause)]);
                        }
                    }
                });
            }
        });
    }
}

fn write<T: Element>(to: &mut [T], factor: f64, from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = T::from_f64(factor * from);
    }
}

/// Adds arrays in their order.
fn add<'a>(total: &mut [f64], from: impl Iterator<Item = &'a [f64]>) {
    total.fill(0.0);
    for from in from {
        total.iter_mut().zip(from).for_each(|(total, from)| *total += from);
    }
}

impl<T: Element> Tape<T> {
    /// The negative log-density of whole windows `y` under a normal distribution, or Student's t.
    /// The distribution has means, independent deviations, and causes that the steps of a window
    /// share: cause `n` moves step `h` of window `b` by `weights[h, n] scales[b, n]` times a
    /// standard normal; with [`LowRankNll::relative`] also times `sigma`.
    ///
    /// | input | shape |
    /// |---|---|
    /// | `mean`, `y` | `[batch, horizon]` |
    /// | `scales` | `[batch, rank]` |
    /// | `weights` | `[horizon, rank]` |
    /// | `sigma`, above 0 | `[horizon]` or `[batch, horizon]` |
    ///
    /// The smaller of the two Gram matrices, `[rank, rank]` or `[horizon, horizon]`, is factorised
    /// in `f64`.
    ///
    /// ```
    /// use vdn_autograd::{LowRankNll, Tape};
    /// let mut tape = Tape::<f64>::new();
    /// let mean = tape.constant([1, 2], &[0.0, 0.0])?;
    /// let scales = tape.constant([1, 1], &[1.0])?;
    /// let weights = tape.constant([2, 1], &[1.0, 1.0])?;
    /// let sigma = tape.constant([2], &[1.0, 1.0])?;
    /// let y = tape.constant([1, 2], &[1.0, 1.0])?;
    /// let found = tape.low_rank_nll(mean, scales, weights, sigma, y, LowRankNll::default())?;
    /// // The covariance is [[2, 1], [1, 2]], its determinant 3, and y' K^-1 y = 2/3.
    /// let want = std::f64::consts::TAU.ln() + 0.5 * 3_f64.ln() + 1.0 / 3.0;
    /// assert!((tape.scalar(found.nll)? - want / 2.0).abs() < 1e-15);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not fit, if the degrees of freedom are not finite and above 0, if a
    /// sigma is not above 0, or if a variable is stale.
    pub fn low_rank_nll(
        &mut self,
        mean: Var,
        scales: Var,
        weights: Var,
        sigma: Var,
        y: Var,
        options: LowRankNll,
    ) -> Result<LowRankOutputs, Error> {
        if let Some(nu) = options.degrees_of_freedom
            && !(nu > 0.0 && nu.is_finite())
        {
            let reason = format!("{nu} degrees of freedom: they have to be finite and above 0");
            return Err(Error::invalid(NAME, reason));
        }
        self.check(NAME, &[mean, scales, weights, sigma, y])?;
        self.check_above_zero(NAME, "sigma", sigma)?;
        let outputs = self.record(LowRankOp { options }, &[mean, scales, weights, sigma, y])?;
        Ok(LowRankOutputs { nll: outputs[0], windows: outputs[1] })
    }
}
