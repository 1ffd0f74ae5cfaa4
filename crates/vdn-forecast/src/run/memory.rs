//! An estimate of a run's memory, computed before the run allocates any.
//!
//! A valid configuration can need more memory than there is, because samples, units, windows and
//! lengths multiply. From the sizes of the run alone, the estimate counts the values that are alive
//! at the same time in each stage:
//!
//! ```text
//! total = program + data + weights + max( training step + validation,
//!                                         evaluation + scores of whole forecasts,
//!                                         probe of the units, ridge baseline )
//! ```
//!
//! The measured peaks for comparison are in `docs/numerics.md`.

use crate::baselines::ridge::check_size;
use crate::evaluate::PATHS;
use crate::evaluate::wholes::residual::MOST_RESIDUALS;
use crate::forecaster::{Dependence, ForecasterConfig, Variant};
use std::fmt;
use vdn_tensor::parallel;
use vdn_train::TrainError;
use vdn_train::evaluate::EVALUATION_BATCH;
use vdn_train::memory::{MemoryEstimate, MemoryPart};

/// The bytes of a number of the model; `DOUBLE` is for data, baselines and predictions.
const SINGLE: f64 = 4.0;
const DOUBLE: f64 = 8.0;

/// The memory that every run needs: the program, its threads and their scratch memory.
const PROGRAM: f64 = 30e6;

/// The number of windows whose inputs the ridge regression has in memory at a time.
const RIDGE_PORTION: f64 = 4096.0;

/// The number of output-sized values that the score of limited targets has in memory, including
/// their means and residuals.
const LIMITED_VALUES: f64 = 8.0;

/// The number of rows of hidden activities that a probe of single units computes at a time.
const PROBE_ROWS: f64 = 16.0 * 1024.0;

/// The sizes of a run other than those of its model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunSizes {
    /// The number of rows of the table.
    pub rows: usize,
    /// The number of series of the table.
    pub series: usize,
    /// The numbers of training, validation and test windows.
    pub windows: [usize; 3],
    /// The number of windows of a training step.
    pub batch: usize,
    /// The number of windows of an evaluation pass.
    pub evaluation_batch: usize,
    /// The maximum number of epochs: every unit is recorded in each.
    pub epochs: usize,
    /// Whether series have a lower limit. Their score needs more values on the tape.
    pub limited: bool,
    /// Whether values are missing. The series are then in memory twice, with and without filled
    /// gaps.
    pub masked: bool,
    /// Whether controllers need the KL of each row.
    pub kl_rows: bool,
    /// Whether an average of the weights is kept.
    pub averaged: bool,
    /// The number of windows of the probe set; 0: no probe.
    pub probe_windows: usize,
    /// The number of samples of each window in interventions on single units.
    pub probe_samples: usize,
    /// Whether the units are also probed during training.
    pub probed_in_training: bool,
}

/// The expected memory of a run in bytes, by stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunMemory {
    /// The program itself.
    pub program: f64,
    /// The series, and the indices of the windows.
    pub data: f64,
    /// The parameters with the optimiser's moments, the average, the gradient and the best weights
    /// so far, and the records of every unit.
    pub weights: f64,
    /// The tape of a training step: the values of the encoder, the layers, the head and all
    /// samples, and their gradients.
    pub training: f64,
    /// The tape of a validation pass, which exists together with the tape of training.
    pub validation: f64,
    /// The tape of a test pass, in which latents may be swapped, and its predictions.
    pub evaluation: f64,
    /// The additional memory of the scores of whole forecasts in a test pass: paths and residuals.
    pub wholes: f64,
    /// The interventions on single units.
    pub probe: f64,
    /// The matrices of the ridge regression, and the windows that it processes at a time.
    pub ridge: f64,
    probed_in_training: bool,
}

impl RunMemory {
    /// Returns the estimate for a model and the sizes of its run.
    ///
    /// ```
    /// use vdn_forecast::forecaster::ForecasterConfig;
    /// use vdn_forecast::run::{RunMemory, RunSizes};
    /// let sizes = RunSizes {
    ///     rows: 17_544,
    ///     series: 862,
    ///     windows: [5_000_000, 600_000, 600_000],
    ///     batch: 128,
    ///     evaluation_batch: 128,
    ///     ..RunSizes::default()
    /// };
    /// let memory = RunMemory::of(&ForecasterConfig::default(), &sizes);
    /// assert!(memory.check(64e9).is_ok());
    /// let dependence = vdn_forecast::forecaster::Dependence::Sampled;
    /// let base = ForecasterConfig { units: 1024, dependence, ..ForecasterConfig::default() };
    /// let large = ForecasterConfig { evaluate_samples: 100_000, ..base };
    /// let error = RunMemory::of(&large, &sizes).check(64e9).unwrap_err().to_string();
    /// assert!(error.contains("evaluation") && error.contains("model.evaluate_samples"), "{error}");
    /// ```
    #[must_use]
    pub fn of(model: &ForecasterConfig, sizes: &RunSizes) -> Self {
        let variational = model.variant == Variant::Variational;
        let [_, validation, test] = sizes.windows.map(|count| count as f64);
        let [length, horizon] = [model.input_len as f64, model.horizon as f64];
        let beside = (model.covariates + model.categories) as f64;
        let batch = |most: usize, windows: f64| (most.max(1) as f64).min(windows);
        let samples = |samples: usize| if variational { samples as f64 } else { 1.0 };

        let train_rows = batch(sizes.batch, sizes.windows[0] as f64);
        let mut train = Pass::of(model, samples(model.samples), train_rows);
        let evaluate = samples(model.evaluate_samples);
        let mut at_validation =
            Pass::of(model, evaluate, batch(sizes.evaluation_batch, validation));
        let at_test = Pass::of(model, evaluate, batch(sizes.evaluation_batch, test));

        // The KL of each row.
        train.layers += if sizes.kl_rows { train.posteriors } else { 0.0 };
        if sizes.limited {
            for pass in [&mut train, &mut at_validation] {
                pass.output_values += LIMITED_VALUES;
            }
        }

        // Double-precision values: all predictions of a batch, and their rows during scoring.
        let predictions = 2.0 * DOUBLE * (at_test.outputs + at_test.loadings);
        // The scores of whole forecasts need, for one series, the sorted residuals of its
        // validation windows with their sums, and the point forecasts and targets of its test
        // windows. Each thread also needs the paths of one window, and their transpose.
        let each = 1.0 / sizes.series.max(1) as f64;
        let residuals = 4.0 * (each * validation).min(MOST_RESIDUALS as f64);
        let paths = 2.0 * parallel::threads() as f64 * PATHS as f64;
        let wholes = DOUBLE * horizon * (residuals + 3.0 * each * test + paths);
        let probed = if variational { sizes.probe_windows as f64 } else { 0.0 };
        let windows: f64 = sizes.windows.iter().map(|&count| count as f64).sum();
        let copies_of_series = if sizes.masked { 2.0 } else { 1.0 };
        let parameters = parameters(model);
        let copies = 6.0 + if sizes.averaged { 2.0 } else { 0.0 };
        let units: f64 = (0..model.depth).map(|layer| model.width(layer) as f64).sum();
        Self {
            program: PROGRAM,
            data: DOUBLE * sizes.rows as f64 * (copies_of_series * sizes.series as f64 + 4.0)
                + 2.0 * 8.0 * windows,
            weights: SINGLE * (copies * parameters + 11.0 * units * sizes.epochs as f64),
            training: SINGLE * (train.values() + train.dropped() + train.gradients()),
            validation: SINGLE * at_validation.values(),
            evaluation: SINGLE * (at_test.values() + at_test.swapped()) + predictions,
            wholes,
            probe: probe(model, sizes, probed.min(validation)),
            ridge: ridge([length + beside, horizon], [validation, test]),
            probed_in_training: sizes.probed_in_training,
        }
    }

    /// Returns the estimate for a forecast of the test windows of `sizes` by a stored model,
    /// without training and baselines.
    pub(crate) fn of_forecast(model: &ForecasterConfig, sizes: &RunSizes) -> Self {
        Self { wholes: 0.0, ridge: 0.0, probe: 0.0, ..Self::of(model, sizes) }
    }

    /// Returns the estimate for scoring stored weights, without training. By moments no sample is
    /// drawn, and units are not probed.
    pub(crate) fn of_scores(self, by_samples: bool) -> Self {
        let kept = |bytes: f64| if by_samples { bytes } else { 0.0 };
        let (evaluation, wholes) = (kept(self.evaluation), kept(self.wholes));
        let probe = kept(self.probe);
        Self { training: 0.0, validation: 0.0, evaluation, wholes, probe, ..self }
    }

    /// Returns the peak of the whole run, in bytes.
    #[must_use]
    pub fn total(&self) -> f64 {
        let beside = if self.probed_in_training { self.probe } else { 0.0 };
        let training = self.training + self.validation.max(beside);
        let evaluation = self.evaluation + self.wholes;
        let stage = training.max(evaluation).max(self.probe).max(self.ridge);
        self.program + self.data + self.weights + stage
    }

    /// Returns the parts with their names and the settings that reduce them.
    #[must_use]
    pub fn estimate(&self) -> MemoryEstimate {
        let parts = [
            ("data", self.data, "data.columns"),
            ("weights", self.weights, "model.units, model.hidden or model.head_hidden"),
            ("training step", self.training, "train.batch, model.samples or model.units"),
            ("validation", self.validation, "model.evaluate_samples or model.units"),
            ("evaluation", self.evaluation, "model.evaluate_samples or model.units"),
            ("whole forecasts", self.wholes, "data.horizon, data.max_validation or data.max_test"),
            ("probe", self.probe, "diagnostics.samples or diagnostics.windows"),
            ("ridge", self.ridge, "data.input_len, data.max_validation or data.max_test"),
        ];
        let parts = parts.map(|(name, bytes, settings)| MemoryPart::new(name, bytes, settings));
        MemoryEstimate::new(self.total(), parts)
    }

    /// Rejects a run that is expected to need more than `limit` bytes.
    ///
    /// # Errors
    /// Fails with one line that contains the estimate, the limit, the largest part and the setting
    /// to change.
    pub fn check(&self, limit: f64) -> Result<(), TrainError> {
        self.estimate().check(limit)
    }
}

/// One line, such as `memory    about 1.2 GB: evaluation 0.9 GB, training step 0.2 GB, ...`.
impl fmt::Display for RunMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.estimate().fmt(f)
    }
}

/// The counts of numbers that a pass of the model records.
struct Pass {
    /// The encoder and its projection, and the output deviation.
    encoder: f64,
    /// The part of `encoder` that has no gradient.
    inputs: f64,
    /// The posteriors, statistics and contexts of the layers.
    layers: f64,
    /// One value for each posterior; 0 for a twin.
    posteriors: f64,
    /// All activities that the layers pass on.
    activities: f64,
    /// The activities of the last layer, `[samples, batch, channels]`.
    latent: f64,
    /// The head's own copy of `latent`; a joint head has none.
    seen: f64,
    /// One hidden value of the head for every sample, `[samples, batch, head_hidden]`.
    hidden: f64,
    /// One output for every sample, `[samples, batch, horizon]`.
    outputs: f64,
    /// The number of recorded values of the size of `outputs`.
    output_values: f64,
    dropout: bool,
    /// The loadings of a joint head's prediction, `[batch, horizon, units]`.
    loadings: f64,
}

impl Pass {
    /// Counts a pass of `rows` windows with this number of samples for each.
    fn of(model: &ForecasterConfig, samples: f64, rows: f64) -> Self {
        let [length, horizon, context] =
            [model.input_len, model.horizon, model.hidden].map(|size| size as f64);
        let all = samples * rows;
        let beside = model.covariates as f64;
        let parts = 3.0 * f64::from(u8::from(model.covariates > 0 || model.categories > 0));
        let (mut layers, mut activities, mut latent, mut posteriors) = (0.0, 0.0, 0.0, 0.0);
        for (index, layer) in model.stack().iter().enumerate() {
            let seen = if index == 0 { rows } else { all };
            let below = latent;
            let dims = layer.layer.units as f64 * layer.layer.latent_dims as f64;
            latent = all * layer.layer.units as f64 * layer.channels_per_unit() as f64;
            // Means and log-variances. A mixed layer joins the halves of its units.
            let posterior = match model.variant {
                Variant::Variational | Variant::GatedTwin => 2.0,
                Variant::Twin | Variant::ReferenceTwin => 0.0,
            };
            layers += posterior * seen * dims;
            posteriors += if posterior > 0.0 { seen * dims } else { 0.0 };
            activities += latent;
            if index > 0 {
                // The activities of the layer below: activated and, if configured, normalised or
                // added.
                layers += below * (1.0 + f64::from(u8::from(layer.layer_norm)));
                activities += if layer.residual { latent } else { 0.0 };
            }
            let mixed = layer.distributional() > 0 && layer.distributional() < layer.layer.units;
            activities += if mixed { latent } else { 0.0 };
        }
        let joint = model.resolved_dependence() != Dependence::Sampled;
        // The units' deviations, from log-variances to squares.
        layers += if joint { 3.0 * rows * model.width(0) as f64 } else { 0.0 };
        let gate = match (joint, model.gated) {
            // Shares, gain, and the two parts of the score.
            (true, _) => 6.0,
            (false, true) => 3.0,
            (false, false) => 0.0,
        };
        let added = [model.skip, !model.instance_norm().is_identity()];
        let scaled = if model.divide_by_deviation { 1.0 } else { 0.0 };
        Self {
            encoder: rows * (2.0 * length + beside + 16.0 * context + 6.0 * horizon)
                + parts * rows * (context + horizon)
                + 3.0 * length * context,
            inputs: rows * (2.0 * length + beside) + 2.0 * length * context,
            layers,
            activities,
            latent,
            posteriors,
            seen: if joint { 0.0 } else { latent },
            hidden: if joint { 0.0 } else { all * model.head_hidden as f64 },
            outputs: if joint { rows } else { all } * horizon,
            output_values: 3.0
                + gate
                + added.map(|is| f64::from(u8::from(is))).iter().sum::<f64>()
                + scaled,
            dropout: model.dropout > 0.0,
            loadings: if joint { rows * horizon * model.width(0) as f64 } else { 0.0 },
        }
    }

    /// Returns all values of a pass without gradients. The head normalises its input and activates
    /// its hidden layer.
    fn values(&self) -> f64 {
        let head = self.seen + 2.0 * self.hidden + self.output_values * self.outputs;
        self.encoder + self.layers + self.activities + head
    }

    /// Returns the additional values of dropout in training.
    fn dropped(&self) -> f64 {
        if self.dropout { self.hidden } else { 0.0 }
    }

    /// Returns the gradients that exist at the same time, including memory that waits for reuse.
    /// Inputs have no gradients.
    fn gradients(&self) -> f64 {
        let head = 3.0 * self.seen + 2.0 * self.hidden + self.output_values * self.outputs;
        head + self.layers + self.encoder - self.inputs
    }

    /// Returns the swapped latents, and the copy that they are taken from.
    fn swapped(&self) -> f64 {
        2.0 * self.latent
    }
}

/// Returns the approximate number of parameters.
fn parameters(model: &ForecasterConfig) -> f64 {
    let [length, horizon, context, hidden] =
        [model.input_len, model.horizon, model.hidden, model.head_hidden].map(|size| size as f64);
    let mut inputs = context;
    let beside = (model.covariates + model.categories) as f64;
    let mut count = beside * (context + horizon)
        + 2.0 * length * context
        + 5.0 * context * context
        + context * horizon;
    for layer in model.stack() {
        let dims = layer.layer.units as f64 * layer.layer.latent_dims as f64;
        count += 2.0 * inputs * dims;
        inputs = layer.layer.units as f64 * layer.channels_per_unit() as f64;
    }
    let outputs = if model.gated { 2.0 } else { 1.0 };
    if model.resolved_dependence() != Dependence::Sampled {
        return count + 2.0 * inputs * horizon + length * horizon;
    }
    count + inputs * (hidden + horizon) + outputs * hidden * horizon + length * horizon
}

/// Returns the bytes of a probe of single units on this number of windows.
fn probe(model: &ForecasterConfig, sizes: &RunSizes, windows: f64) -> f64 {
    if windows == 0.0 {
        return 0.0;
    }
    let rows = windows.min(EVALUATION_BATCH as f64);
    let pass = Pass::of(model, sizes.probe_samples as f64, rows);
    // The tape contains the head's normalised input and its hidden layer a second time, and latents
    // from the prior in addition to those from the posteriors.
    let tape = SINGLE * (pass.values() + 2.0 * pass.latent + pass.hidden);
    let units = (0..model.depth).map(|layer| model.width(layer) as f64).fold(0.0, f64::max);
    // For each unit and window: value and distance, and means and log-variances, current and
    // earlier.
    let tables = DOUBLE * windows * units * (4.0 + 4.0 * model.latent_dims as f64);
    if model.resolved_dependence() != Dependence::Sampled {
        // The loadings of a prediction, their copy by window, and the contribution of means to each
        // step.
        let pass = Pass::of(model, 1.0, rows);
        return SINGLE * pass.values() + 3.0 * DOUBLE * pass.loadings + tables;
    }
    // Activities of the base, from the prior, and redrawn; the inputs and outputs of the head.
    let kept = SINGLE * (3.0 * pass.latent + pass.hidden) + DOUBLE * pass.outputs;
    let all = sizes.probe_samples as f64 * rows;
    let replaced = (PROBE_ROWS / all.max(1.0)).floor().max(1.0) * all;
    let [horizon, hidden] = [model.horizon as f64, model.head_hidden as f64];
    let measured = replaced * (2.0 * SINGLE * hidden + (5.0 * SINGLE + DOUBLE) * horizon);
    kept + tables + tape.max(measured + DOUBLE * pass.outputs)
}

/// Returns the bytes of the ridge regression; 0 if it is too large to be solved.
fn ridge([length, horizon]: [f64; 2], [validation, test]: [f64; 2]) -> f64 {
    if check_size(length as usize, horizon as usize).is_err() {
        return 0.0;
    }
    let [square, cross] = [length * length, length * horizon];
    let windows = |count: f64| count * (length + horizon);
    let summing = square + cross + windows(RIDGE_PORTION);
    let solving = 3.0 * (square + cross) + windows(validation) + 2.0 * validation * horizon;
    let testing = square + cross + windows(validation) + windows(test) + 2.0 * test * horizon;
    DOUBLE * summing.max(solving).max(testing)
}

#[cfg(test)]
mod tests;
