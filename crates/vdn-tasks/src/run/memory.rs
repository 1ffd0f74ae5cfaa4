//! An estimate of the memory of a run of a task, before the run allocates any.
//!
//! ```text
//! total = program + data + max( trainings side by side, with what they hold of held-out rows,
//!                               one training + validation, evaluation, probe of the units )
//! ```
//!
//! Tests in this module compare the estimated sizes of tapes with the sizes of real tapes.

use crate::config::TaskConfig;
use crate::network::{Likelihood, NetworkConfig, Observation};
use crate::run::calibration::MOST_ROWS;
use vdn_tensor::parallel;
use vdn_train::evaluate::EVALUATION_BATCH;
use vdn_train::memory::{MemoryEstimate, MemoryPart};

/// The bytes of a number of the network, and of a number of the data and predictions.
const SINGLE: f64 = 4.0;
const DOUBLE: f64 = 8.0;

/// The memory of every run: the program, its threads and their scratch memory.
const PROGRAM: f64 = 30e6;

/// The sizes of a run that do not follow from its settings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct TaskSizes {
    /// The widths of the inputs and of the head's outputs.
    pub(crate) widths: [usize; 2],
    /// The numbers of training, validation and test rows.
    pub(crate) rows: [usize; 3],
    /// The number of bytes of an input in memory.
    pub(crate) input_bytes: usize,
    /// The number of published splits that are run side by side; 0 for a single run.
    pub(crate) splits: usize,
    /// Whether anything is trained.
    pub(crate) trains: bool,
}

/// The expected bytes of a run, by stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TaskMemory {
    data: f64,
    /// Per training: parameters, moments, the average, the gradient and the best weights so far,
    /// and the records of every unit.
    weights: f64,
    /// Per training: the tape of a step with values and gradients.
    training: f64,
    /// Per training: the tape of a validation pass.
    validation: f64,
    /// The predictions of held-out rows, of all parts by which the number of epochs is chosen.
    held_out: f64,
    /// The tape of a test pass, and its predictions.
    evaluation: f64,
    /// Interventions on single units.
    probe: f64,
    /// The number of networks that choose the number of epochs side by side.
    choosing: f64,
    /// The number of splits side by side.
    splits: f64,
    probed_in_training: bool,
}

impl TaskMemory {
    /// The estimate for a configuration and the sizes of its run.
    pub(crate) fn of(config: &TaskConfig, sizes: &TaskSizes) -> Self {
        let network = &config.model;
        let [train, validation, test] = sizes.rows.map(|count| count as f64);
        let [inputs, outputs] = sizes.widths.map(|width| width as f64);
        let rows = train + validation + test;
        let threads = parallel::threads() as f64;
        let folds = if config.choice.refit {
            config.choice.parts(sizes.rows[0].saturating_add(sizes.rows[1])).max(1) as f64
        } else {
            1.0
        };
        let splits = (sizes.splits as f64).min(threads).max(1.0);
        // Splits use one thread each.
        let choosing = if splits > 1.0 || !sizes.trains { 1.0 } else { folds.min(threads) };

        let of = |samples: usize, most: usize, rows: f64, training: bool| {
            let rows = rows.min(most.max(1) as f64);
            Pass::of(network, sizes.widths, samples as f64, rows, training)
        };
        let batch = config.train.averages().batch;
        let step = of(config.model.samples, config.train.batch, train + validation, true);
        let validated = of(config.model.evaluate_samples, batch, validation.max(1.0), false);
        let tested = of(config.model.evaluate_samples, batch, test, false);

        let columns = match network.likelihood {
            Likelihood::Categorical => 1.0,
            _ => outputs,
        };
        let columns_and_inputs = inputs * sizes.input_bytes as f64 + DOUBLE * columns;
        // The rows as they were read, as they are encoded, as one part, and of each training.
        let copies = 3.0 + if sizes.trains { choosing.max(splits) } else { 0.0 };
        let parameters = parameters(network, sizes.widths);
        let average = if config.train.ema_decay > 0.0 { 2.0 } else { 0.0 };
        let record = 11.0 * config.model.units as f64 * config.train.epochs as f64;
        let weights = match sizes.trains {
            true => SINGLE * ((6.0 + average) * parameters + record),
            false => SINGLE * 2.0 * parameters,
        };
        let trained = |bytes: f64| if sizes.trains { bytes } else { 0.0 };
        // The distribution of each sample, or the logits of all classes.
        let sample = match network.likelihood {
            Likelihood::Categorical => DOUBLE * outputs + 24.0,
            _ => columns * size_of::<Observation>() as f64,
        };
        let held = (folds * MOST_ROWS as f64).min(train + validation);
        let held = held * config.model.evaluate_samples as f64 * sample;
        let probed = &config.diagnostics;
        Self {
            data: rows * (copies * columns_and_inputs + 6.0 * DOUBLE),
            weights,
            training: trained(SINGLE * (step.values() + step.gradients())),
            validation: trained(SINGLE * validated.values()),
            held_out: if config.choice.refit { trained(held) } else { 0.0 },
            evaluation: SINGLE * (tested.values() + 2.0 * tested.latent)
                + 2.0 * DOUBLE * tested.outputs,
            probe: probe(network, sizes, [probed.windows, probed.samples]),
            choosing,
            splits,
            probed_in_training: probed.every > 0,
        }
    }

    /// The estimate for predictions, which do not probe units.
    pub(crate) fn without_probe(self) -> Self {
        Self { probe: 0.0, ..self }
    }

    /// The peak of the whole run, in bytes.
    pub(crate) fn total(&self) -> f64 {
        let beside = if self.probed_in_training { self.probe } else { 0.0 };
        let one = self.weights + self.training + self.validation.max(beside);
        let choice = self.choosing * one + self.held_out;
        let after = self.weights + self.evaluation.max(self.probe);
        PROGRAM + self.data + self.splits * choice.max(after)
    }

    /// The estimate with the names of its parts.
    pub(crate) fn estimate(&self) -> MemoryEstimate {
        let trainings = self.splits * self.choosing;
        let parts = [
            ("data", self.data, "table (data.ignore)"),
            ("weights", trainings * self.weights, "model.units, model.hidden or model.head_hidden"),
            (
                "training step",
                trainings * self.training,
                "train.batch, model.samples, model.units or model.head_hidden",
            ),
            (
                "validation",
                trainings * self.validation,
                "model.evaluate_samples, model.units or model.head_hidden",
            ),
            ("held-out rows", self.splits * self.held_out, "model.evaluate_samples"),
            (
                "evaluation",
                self.splits * self.evaluation,
                "model.evaluate_samples, model.units or model.head_hidden",
            ),
            ("probe", self.splits * self.probe, "diagnostics.samples or diagnostics.windows"),
        ];
        let parts = parts.map(|(name, bytes, settings)| MemoryPart::new(name, bytes, settings));
        MemoryEstimate::new(self.total(), parts)
    }
}

/// The numbers that a pass of the network records.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    /// The inputs, which have no gradient.
    inputs: f64,
    /// The encoder, and the parts of the outputs that all samples share.
    shared: f64,
    /// The part of `shared` whose gradients only exist while other gradients do not exist yet.
    passed_on: f64,
    /// The means, log-variances and samples of the units.
    units: f64,
    /// One value per sample of a unit, `[samples, rows, units]`.
    latent: f64,
    /// One value per sample of the head's hidden layer, `[samples, rows, head_hidden]`.
    hidden: f64,
    /// The number of recorded values of that size.
    hidden_values: f64,
    /// One output per sample, `[samples, rows, outputs]`.
    outputs: f64,
    /// The number of recorded values of that size.
    output_values: f64,
}

impl Pass {
    /// A pass of `rows` rows with `samples` samples of each.
    fn of(
        network: &NetworkConfig,
        [inputs, outputs]: [usize; 2],
        samples: f64,
        rows: f64,
        training: bool,
    ) -> Self {
        let one = |is: bool| f64::from(u8::from(is));
        let [inputs, outputs] = [inputs as f64, outputs as f64];
        let dropped = one(training && network.dropout > 0.0);
        let hidden: f64 = network.hidden.iter().map(|&width| width as f64).sum();
        let [units, head] = [network.units as f64, network.head_hidden as f64];
        let all = samples * rows;
        let has_scale = network.likelihood.has_width();
        let by_units = one(has_scale && network.scale_by_units);
        // The scale: from the context, its sum with the scale from the units, softplus, the
        // smallest scale added. In evaluation also the factor, its square, the sum and the root.
        let scale = if training { 2.0 } else { 6.0 };
        let likelihood = match network.likelihood {
            Likelihood::Gaussian => 1.0,
            Likelihood::StudentT | Likelihood::NegativeBinomial => 2.0,
            Likelihood::Laplace => 7.0,
            Likelihood::Poisson => 1.0,
            Likelihood::Categorical => 2.0,
        };
        let spread = one(training && network.likelihood.has_scale() && network.mean_weight > 0.0);
        Self {
            inputs: rows * inputs,
            shared: rows * hidden * (2.0 + one(network.layer_norm) + dropped)
                + rows * one(network.beside) * (head + outputs)
                + rows * one(network.skip) * outputs
                + rows * outputs * one(has_scale) * (1.0 + (1.0 - by_units) * scale),
            passed_on: rows * hidden * (one(network.layer_norm) + dropped),
            units: 2.0 * rows * units + all * units,
            latent: all * units,
            hidden: all * head,
            hidden_values: 2.0 + one(network.beside) + dropped,
            outputs: all * outputs,
            output_values: 1.0
                + one(network.beside)
                + one(network.skip)
                + by_units * (2.0 + scale)
                + one(!training && network.likelihood == Likelihood::Categorical)
                + one(training) * (likelihood + 2.0 * spread),
        }
    }

    /// The number of all recorded values.
    fn values(&self) -> f64 {
        let head = self.hidden_values * self.hidden + self.output_values * self.outputs;
        self.inputs + self.shared + self.units + head
    }

    /// The number of gradients. The memory of a gradient is reused once it was passed on, so a
    /// chain of values of one size has two gradients at a time.
    fn gradients(&self) -> f64 {
        self.shared - self.passed_on + self.units + 2.0 * (self.hidden + self.outputs)
    }
}

/// The number of parameters.
fn parameters(network: &NetworkConfig, [inputs, outputs]: [usize; 2]) -> f64 {
    let one = |is: bool| f64::from(u8::from(is));
    let [inputs, outputs] = [inputs as f64, outputs as f64];
    let [units, head] = [network.units as f64, network.head_hidden as f64];
    let linear = |from: f64, to: f64| (from + 1.0) * to;
    let (mut count, mut context) = (0.0, inputs);
    for width in network.hidden.iter().map(|&width| width as f64) {
        count += linear(context, width) + 2.0 * width * one(network.layer_norm);
        context = width;
    }
    let scale = one(network.likelihood.has_width());
    count
        + 2.0 * linear(context, units)
        + linear(units, head)
        + linear(head, outputs)
        + one(network.beside) * (linear(context, head) + linear(context, outputs))
        + one(network.skip) * linear(inputs, outputs)
        + scale * linear(context, outputs)
        + scale * one(network.scale_by_units) * linear(head, outputs)
}

/// The bytes of a probe of single units on `windows` rows with `samples` samples of each.
fn probe(network: &NetworkConfig, sizes: &TaskSizes, [windows, samples]: [usize; 2]) -> f64 {
    let windows = windows.min(sizes.rows[1].max(sizes.rows[2])) as f64;
    if windows == 0.0 {
        return 0.0;
    }
    let rows = windows.min(EVALUATION_BATCH as f64);
    let pass = Pass::of(network, sizes.widths, samples as f64, rows, false);
    // Four sets of latents: of the base, from the prior, redrawn, and replaced. In double
    // precision: locations and scales before and after, one more for the comparison, densities of
    // every sample.
    let kept = SINGLE * 4.0 * pass.latent + DOUBLE * 5.0 * pass.outputs;
    let tape = SINGLE * (pass.values() + pass.latent);
    // The value and distance of each unit and row, means and log-variances.
    let tables = DOUBLE * windows * 8.0 * network.units as f64;
    tape + kept + tables
}

#[cfg(test)]
mod tests;
