//! An estimate of the memory that a run takes, before it takes any.
//!
//! A valid configuration can ask for more memory than there is: samples, units, windows and lengths
//! multiply. The estimate counts what is alive at the same time in each stage of a run, from the
//! sizes of its parts alone:
//!
//! ```text
//! total = program + data + weights + max( training step + validation,
//!                                         evaluation + scores of whole forecasts,
//!                                         probe of the units, ridge baseline )
//! ```
//!
//! The measured peaks that it is compared with are in `docs/numerics.md`.

use crate::baselines::ridge::check_size;
use crate::evaluate::PATHS;
use crate::evaluate::wholes::residual::MOST_RESIDUALS;
use crate::forecaster::{Dependence, ForecasterConfig, Variant};
use std::fmt;
use vdn_tensor::parallel;
use vdn_train::TrainError;
use vdn_train::evaluate::EVALUATION_BATCH;
use vdn_train::memory::{MemoryEstimate, MemoryPart};

/// Bytes of a number of the model, and of one of the data, baselines and predictions.
const SINGLE: f64 = 4.0;
const DOUBLE: f64 = 8.0;

/// Memory that every run takes: the program, its threads and their scratch memory.
const PROGRAM: f64 = 30e6;

/// Windows whose inputs the ridge regression has in memory at a time.
const RIDGE_PORTION: f64 = 4096.0;

/// Values of the size of the outputs that the score of limited targets has in memory, their means
/// and residuals.
const LIMITED_VALUES: f64 = 8.0;

/// Rows of hidden activities that a probe of single units forms at a time.
const PROBE_ROWS: f64 = 16.0 * 1024.0;

/// The sizes of a run beside those of its model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunSizes {
    /// Rows of the table.
    pub rows: usize,
    /// Series of the table.
    pub series: usize,
    /// Training, validation and test windows.
    pub windows: [usize; 3],
    /// Windows of a training step.
    pub batch: usize,
    /// Windows of an evaluation pass.
    pub evaluation_batch: usize,
    /// Epochs at most: every unit is recorded in each.
    pub epochs: usize,
    /// Whether series have a lower limit, whose score is recorded step by step.
    pub limited: bool,
    /// Whether values are missing: the series are there a second time, filled.
    pub masked: bool,
    /// Whether controllers ask for the KL of each row.
    pub kl_rows: bool,
    /// Whether an average of the weights is kept.
    pub averaged: bool,
    /// Windows of the probe set; 0: no probe.
    pub probe_windows: usize,
    /// Samples of each window in interventions on single units.
    pub probe_samples: usize,
    /// Whether the units are probed while training goes on.
    pub probed_in_training: bool,
}

/// Bytes that a run is expected to take, by stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunMemory {
    /// The program itself.
    pub program: f64,
    /// The series and the windows' indices.
    pub data: f64,
    /// The parameters with the optimiser's moments, the average, the gradient and the best so far;
    /// what is recorded of every unit.
    pub weights: f64,
    /// The tape of a training step: values of the encoder, the layers, the head and all samples,
    /// and their gradients.
    pub training: f64,
    /// The tape of a validation pass, which lives beside that of training.
    pub validation: f64,
    /// The tape of a test pass, in which latents may be swapped, and its predictions.
    pub evaluation: f64,
    /// What the scores of whole forecasts take beside a test pass: paths and residuals.
    pub wholes: f64,
    /// Interventions on single units.
    pub probe: f64,
    /// The matrices of the ridge regression and the windows that it sees at a time.
    pub ridge: f64,
    probed_in_training: bool,
}

impl RunMemory {
    /// The estimate for a model and the sizes of its run.
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

        // Values of double precision: all predictions of a batch and their rows as they are scored.
        let predictions = 2.0 * DOUBLE * (at_test.outputs + at_test.loadings);
        // Scores of whole forecasts: of one series, the residuals of its validation windows, sorted
        // with their sums, and the point forecasts and targets of its test windows; paths of one
        // window for each thread, and transposed.
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

    /// The estimate of a forecast by a stored model from the test windows of `sizes`: nothing is
    /// trained, and there are no baselines.
    pub(crate) fn of_forecast(model: &ForecasterConfig, sizes: &RunSizes) -> Self {
        Self { wholes: 0.0, ridge: 0.0, probe: 0.0, ..Self::of(model, sizes) }
    }

    /// Of the scores of stored weights: nothing is trained. Without samples, by moments, nothing is
    /// drawn, and units are not probed.
    pub(crate) fn of_scores(self, by_samples: bool) -> Self {
        let kept = |bytes: f64| if by_samples { bytes } else { 0.0 };
        let (evaluation, wholes) = (kept(self.evaluation), kept(self.wholes));
        let probe = kept(self.probe);
        Self { training: 0.0, validation: 0.0, evaluation, wholes, probe, ..self }
    }

    /// The peak of the whole run, in bytes.
    #[must_use]
    pub fn total(&self) -> f64 {
        let beside = if self.probed_in_training { self.probe } else { 0.0 };
        let training = self.training + self.validation.max(beside);
        let evaluation = self.evaluation + self.wholes;
        let stage = training.max(evaluation).max(self.probe).max(self.ridge);
        self.program + self.data + self.weights + stage
    }

    /// The parts with their names and the settings that make them smaller.
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

    /// Refuses a run that is expected to take more than `limit` bytes.
    ///
    /// # Errors
    /// A line with the estimate, the limit, the largest part and the setting to change.
    pub fn check(&self, limit: f64) -> Result<(), TrainError> {
        self.estimate().check(limit)
    }
}

/// One line: `memory    about 1.2 GB: evaluation 0.9 GB, training step 0.2 GB, ...`.
impl fmt::Display for RunMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.estimate().fmt(f)
    }
}

/// Numbers that a pass of the model records.
struct Pass {
    /// Of the encoder and its projection, and of the output deviation.
    encoder: f64,
    /// What of that has no gradient.
    inputs: f64,
    /// Posteriors, statistics and contexts of the layers.
    layers: f64,
    /// One value of each posterior; none of a twin.
    posteriors: f64,
    /// All activities that the layers send on.
    activities: f64,
    /// The activities of the last layer, `[samples, batch, channels]`.
    latent: f64,
    /// The head's own copy of them; a joint head has none.
    seen: f64,
    /// One hidden value of the head for every sample, `[samples, batch, head_hidden]`.
    hidden: f64,
    /// One output for every sample, `[samples, batch, horizon]`.
    outputs: f64,
    /// How many values of that size are recorded.
    output_values: f64,
    dropout: bool,
    /// Of a joint head's prediction: what its steps share, `[batch, horizon, units]`.
    loadings: f64,
}

impl Pass {
    /// Of `rows` windows with so many samples of each.
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
            // Means and log-variances, with a mixed layer's halves joined.
            let posterior = match model.variant {
                Variant::Variational | Variant::GatedTwin => 2.0,
                Variant::Twin | Variant::ReferenceTwin => 0.0,
            };
            layers += posterior * seen * dims;
            posteriors += if posterior > 0.0 { seen * dims } else { 0.0 };
            activities += latent;
            if index > 0 {
                // The activities below, activated, and normalised or added where that is asked for.
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

    /// All values of a pass without gradients: the head normalises its input, and activates its
    /// hidden layer.
    fn values(&self) -> f64 {
        let head = self.seen + 2.0 * self.hidden + self.output_values * self.outputs;
        self.encoder + self.layers + self.activities + head
    }

    /// What dropout adds in training.
    fn dropped(&self) -> f64 {
        if self.dropout { self.hidden } else { 0.0 }
    }

    /// Gradients that are alive together at most, and those whose memory waits to be used again.
    /// Inputs have none.
    fn gradients(&self) -> f64 {
        let head = 3.0 * self.seen + 2.0 * self.hidden + self.output_values * self.outputs;
        head + self.layers + self.encoder - self.inputs
    }

    /// Swapped latents, and the copy that they are taken from.
    fn swapped(&self) -> f64 {
        2.0 * self.latent
    }
}

/// The number of parameters, nearly.
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

/// Bytes of a probe of single units on so many windows.
fn probe(model: &ForecasterConfig, sizes: &RunSizes, windows: f64) -> f64 {
    if windows == 0.0 {
        return 0.0;
    }
    let rows = windows.min(EVALUATION_BATCH as f64);
    let pass = Pass::of(model, sizes.probe_samples as f64, rows);
    // The tape forms the head's normalised input and its hidden layer once more, and draws latents
    // from the prior beside those of the posteriors.
    let tape = SINGLE * (pass.values() + 2.0 * pass.latent + pass.hidden);
    let units = (0..model.depth).map(|layer| model.width(layer) as f64).fold(0.0, f64::max);
    // Value and distance of each unit and window, means and log-variances now and earlier.
    let tables = DOUBLE * windows * units * (4.0 + 4.0 * model.latent_dims as f64);
    if model.resolved_dependence() != Dependence::Sampled {
        // Loadings of a prediction, their copy by window, and what means add to each step.
        let pass = Pass::of(model, 1.0, rows);
        return SINGLE * pass.values() + 3.0 * DOUBLE * pass.loadings + tables;
    }
    // Activities of the base, from the prior and redrawn; what the head sees and says.
    let kept = SINGLE * (3.0 * pass.latent + pass.hidden) + DOUBLE * pass.outputs;
    let all = sizes.probe_samples as f64 * rows;
    let replaced = (PROBE_ROWS / all.max(1.0)).floor().max(1.0) * all;
    let [horizon, hidden] = [model.horizon as f64, model.head_hidden as f64];
    let measured = replaced * (2.0 * SINGLE * hidden + (5.0 * SINGLE + DOUBLE) * horizon);
    kept + tables + tape.max(measured + DOUBLE * pass.outputs)
}

/// Bytes of the ridge regression: nothing where it is refused.
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
