//! [`TaskNetwork`]: an encoder, one layer of units, a head, and a likelihood.
//!
//! ```text
//! h        = encoder(x)                             [batch, width]
//! z_s      ~ q(z | h)                               [samples, batch, units]
//! f(z_s)   = B h + C x + A gelu(W [h, z_s])         [samples, batch, outputs]
//! scale_s  = softplus(D h + E gelu(W [h, z_s])) + least            for counts: exp instead
//! y | z_s  ~ likelihood(f(z_s), scale_s)
//! ```
//!
//! The prediction is the mixture over samples. The encoder reaches the head beside the units, so
//! the units need not carry the mean of a target. Rates of a fraction of a nat would blur this
//! mean. The units contribute the shape of the predictive distribution, which varies with the
//! inputs. The output noise alone is normal.
//!
//! The deterministic twin is the same network with the units' means instead of samples.

mod config;
mod counts;
mod effects;
mod encoder;
mod likelihood;
mod loss;
mod observation;
mod prediction;
mod start;

use encoder::{Encoder, dropped};

pub use config::{Likelihood, NetworkConfig, Variant};
pub(crate) use effects::{brier, log_mean_exp, mean_probabilities};
pub use observation::Observation;
pub(crate) use observation::draws;
pub use prediction::Prediction;

use vdn_autograd::{Error, ObservationFamily, Tape, Var};
use vdn_model::core::{
    Bindings, Builder, Graph, Init, Mode, ModelError, ParameterId, Parameters, Purpose, Stream,
};
use vdn_model::modules::Linear;
use vdn_model::units::{
    Intervention, LayerOutputs, MAX_DEPTH, Stack, StackOutput, StackPass, TwinUnits,
};
use vdn_tensor::Element;
use vdn_tensor::families::StudentT;
use vdn_tensor::noise::NoiseKey;
use vdn_train::data::RowBatch;

/// The argument `ln(e - 1)` at which softplus is 1.
const SOFTPLUS_ONE: f64 = 0.541_324_854_612_918_1;

/// The smallest dispersion of counts. It adds a deviation of a millionth of the mean to the Poisson
/// noise.
const LEAST_DISPERSION: f64 = 1e-12;

/// The network. Its weights are in [`Parameters`].
#[derive(Clone, Debug)]
pub struct TaskNetwork {
    config: NetworkConfig,
    variant: Variant,
    /// The widths of the inputs and of the head's outputs.
    widths: [usize; 2],
    encoder: Encoder,
    stack: Stack,
    head: Head,
    scale: Option<Scale>,
    student_t: StudentT,
    /// The factor and floor of the scales, or the temperature. They are not trained, and only used
    /// in evaluation.
    calibration: [ParameterId; 2],
}

/// The correction of the spread of predictions, fitted on rows that were not used for training. For
/// each target it is `scale -> sqrt((factor * scale)^2 + floor^2)`. For classes the logits are
/// divided by the single factor.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// One factor per target, or one for all classes; above 0.
    pub factor: Vec<f64>,
    /// One floor per target in deviations of the target, at least 0; 0 for classes.
    pub floor: Vec<f64>,
}

/// The part of the network that computes outputs from the encoder's context and the units.
#[derive(Clone, Debug)]
struct Head {
    from_context: Option<Linear>,
    from_units: Linear,
    delta: Linear,
    base: Option<Linear>,
    skip: Option<Linear>,
    dropout: Stream,
}

/// The part of the network that computes the scales of the output noise, or the dispersions of the
/// counts.
#[derive(Clone, Debug)]
struct Scale {
    from_context: Linear,
    from_hidden: Option<Linear>,
}

/// One recorded forward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    /// The locations, log-rates or logits of each sample, `[samples, batch, outputs]`.
    pub(crate) location: Var,
    /// The scales or dispersions, `[samples, batch, targets]`; `None` if the likelihood has none.
    pub(crate) scale: Option<Var>,
    /// The outputs of the layer of units; empty in a twin.
    pub(crate) layers: LayerOutputs,
    /// The units' input of the head, `[samples, batch, units]`.
    pub(crate) z: Var,
    /// The context, the input of the head beside the units, `[batch, width]`.
    pub(crate) context: Var,
    /// The inputs, `[batch, width]`.
    pub(crate) x: Var,
}

impl TaskNetwork {
    /// Builds the network for rows of `widths[0]` inputs, and its initial parameters, which depend
    /// only on the configuration and the seed. `widths[1]` is the number of targets or classes.
    ///
    /// # Errors
    /// Returns an error if a setting is outside its domain or if a width is 0.
    pub fn new<T: Element>(
        config: NetworkConfig,
        variant: Variant,
        widths: [usize; 2],
        seed: u64,
    ) -> Result<(Self, Parameters<T>), ModelError> {
        config.validate()?;
        if widths.contains(&0) {
            let reason = format!("widths {widths:?} of inputs and outputs have to be at least 1");
            return Err(ModelError::Batch(reason));
        }
        let [inputs, outputs] = widths;
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, seed);
        let encoder = Encoder::new(&mut builder, &config, inputs)?;
        let fan_in = encoder.width();
        let stack = Stack::new(&mut builder, "neuron", &[config.layer()])?;
        let (channels, hidden) = (stack.channels(), config.head_hidden);
        let mut scope = builder.scope("head");
        let head = Head {
            from_context: config.beside.then(|| Linear::new(&mut scope, "context", fan_in, hidden)),
            from_units: Linear::new(&mut scope, "units", channels, hidden),
            delta: Linear::new(&mut scope, "delta", hidden, outputs),
            base: config.beside.then(|| Linear::new(&mut scope, "base", fan_in, outputs)),
            skip: config.skip.then(|| Linear::zero(&mut scope, "skip", inputs, outputs)),
            dropout: scope.stream(Purpose::Dropout)?,
        };
        let scale = config.likelihood.has_width().then(|| {
            // Scales and dispersions start at 1: softplus of `SOFTPLUS_ONE`, or exp of 0.
            let start = if config.likelihood.has_scale() { SOFTPLUS_ONE } else { 0.0 };
            let init = [0.0, start].map(Init::Constant);
            let mut scope = builder.scope("scale");
            Scale {
                from_context: Linear::initialised(&mut scope, "context", [fan_in, outputs], init),
                from_hidden: config
                    .scale_by_units
                    .then(|| Linear::zero(&mut scope, "hidden", hidden, outputs)),
            }
        });
        let student_t = StudentT::new(config.degrees_of_freedom).ok_or_else(|| {
            ModelError::domain("degrees_of_freedom", config.degrees_of_freedom, "above 2")
        })?;
        let columns = if config.likelihood == Likelihood::Categorical { 1 } else { outputs };
        let mut scope = builder.scope("calibration");
        let calibration = [("factor", 1.0), ("floor", 0.0)]
            .map(|(name, value)| scope.add(name, [columns], Init::Constant(value)));
        let own =
            Self { config, variant, widths, encoder, stack, head, scale, student_t, calibration };
        Ok((own, parameters))
    }

    /// Sets the calibration, which is only used in evaluation.
    ///
    /// # Errors
    /// Returns an error if the number of targets differs or if a number is outside its domain.
    pub fn calibrate<T: Element>(
        &self,
        parameters: &mut Parameters<T>,
        calibration: &Calibration,
    ) -> Result<(), ModelError> {
        let Calibration { factor, floor } = calibration;
        let columns = self.target_columns();
        let domains = factor.iter().all(|&x| x > 0.0 && x.is_finite())
            && floor.iter().all(|&x| x >= 0.0 && x.is_finite());
        if factor.len() != columns || floor.len() != columns || !domains {
            let reason = format!(
                "a calibration needs {columns} factors above 0 and floors from 0 on, not {factor:?} \
                 and {floor:?}"
            );
            return Err(ModelError::Batch(reason));
        }
        for (id, values) in self.calibration.into_iter().zip([factor, floor]) {
            let to = parameters.data_mut(id.index());
            to.iter_mut().zip(values).for_each(|(to, &x)| *to = T::from_f64(x));
        }
        Ok(())
    }

    /// The settings from which it was built.
    #[must_use]
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// The kind of its units.
    #[must_use]
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// The widths of its inputs and outputs.
    #[must_use]
    pub fn widths(&self) -> [usize; 2] {
        self.widths
    }

    /// The layer of units.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The number of parameters that are used. A twin does not use the deviations of its units.
    #[must_use]
    pub fn used_parameters<T: Element>(&self, parameters: &Parameters<T>) -> usize {
        let twin = self.variant == Variant::Twin;
        let unused = |name: &str| twin && name.contains(".log_sigma");
        parameters.iter().filter(|p| !unused(p.name())).map(|p| p.tensor().shape().numel()).sum()
    }

    /// The number of target columns of a batch: one per target, or one for the class.
    #[must_use]
    pub fn target_columns(&self) -> usize {
        if self.config.likelihood == Likelihood::Categorical { 1 } else { self.widths[1] }
    }

    pub(crate) fn family(&self) -> ObservationFamily {
        ObservationFamily::StudentT(self.student_t)
    }

    pub(crate) fn student_t(&self) -> StudentT {
        self.student_t
    }

    /// Checks a batch, and returns its number of rows.
    pub(crate) fn rows<T>(&self, batch: &RowBatch<'_, T>) -> Result<usize, ModelError> {
        let (rows, columns) = (batch.rows, self.target_columns());
        let good = rows > 0
            && batch.inputs.len() == rows * self.widths[0]
            && (batch.targets.is_empty() || batch.targets.len() == rows * columns);
        if good {
            return Ok(rows);
        }
        let lengths = [batch.inputs.len(), batch.targets.len()];
        Err(ModelError::Batch(format!(
            "{rows} rows of {} inputs and {columns} targets do not fit lengths {lengths:?}",
            self.widths[0]
        )))
    }

    /// Records the locations and scales for latents `z` `[samples, batch, units]` and a context.
    pub(crate) fn outputs<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        z: Var,
        [context, x]: [Var; 2],
    ) -> Result<(Var, Option<Var>), Error> {
        graph.labelled("head", |graph| {
            let head = &self.head;
            let mut hidden = head.from_units.forward(graph, z)?;
            if let Some(map) = &head.from_context {
                let own = map.forward(graph, context)?;
                hidden = graph.tape.add(hidden, own)?;
            }
            let hidden = graph.tape.gelu(hidden)?;
            let hidden = dropped(graph, hidden, (self.config.dropout, head.dropout))?;
            let mut y = head.delta.forward(graph, hidden)?;
            for (map, from) in [(&head.base, context), (&head.skip, x)] {
                if let Some(map) = map {
                    let own = map.forward(graph, from)?;
                    y = graph.tape.add(y, own)?;
                }
            }
            let evaluates = graph.mode() == Mode::Evaluate;
            let Some(Scale { from_context, from_hidden }) = &self.scale else {
                if evaluates && self.config.likelihood == Likelihood::Categorical {
                    let temperature = graph.parameter(self.calibration[0]);
                    y = graph.tape.div(y, temperature)?;
                }
                return Ok((y, None));
            };
            let mut raw = from_context.forward(graph, context)?;
            if let Some(map) = from_hidden {
                let own = map.forward(graph, hidden)?;
                raw = graph.tape.add(own, raw)?;
            }
            let (positive, least) = match self.config.likelihood.has_scale() {
                true => (graph.tape.softplus(raw)?, self.config.least_scale),
                false => (graph.tape.exp(raw)?, LEAST_DISPERSION),
            };
            let scale = graph.tape.add_scalar(positive, T::from_f64(least))?;
            if !evaluates {
                return Ok((y, Some(scale)));
            }
            let [factor, floor] = self.calibration.map(|id| graph.parameter(id));
            let scaled = graph.tape.mul(scale, factor)?;
            let squares = [scaled, floor].map(|x| graph.tape.square(x));
            let [scaled, floor] = squares;
            let sum = graph.tape.add(scaled?, floor?)?;
            Ok((y, Some(graph.tape.sqrt(sum)?)))
        })
    }

    /// Records one forward pass. `pass` sets how the units draw, `intervention` how their latents
    /// are replaced.
    pub(crate) fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &RowBatch<'_, T>,
        intervention: Intervention,
        pass: StackPass,
    ) -> Result<Pass, ModelError> {
        let rows = self.rows(batch)?;
        let x = graph.tape.constant([rows, self.widths[0]], batch.inputs)?;
        let x = self.encoder.disturbed(graph, x)?;
        let context = self.encoder.forward(graph, x)?;
        let output = match self.variant {
            Variant::Variational => {
                let pass = StackPass { replaced: intervention.replaced(), ..pass };
                self.stack.forward_with(graph, context, pass)?
            }
            Variant::Twin => {
                let z = self.stack.twin(graph, context, TwinUnits::Mean)?;
                StackOutput { z, layers: [None; MAX_DEPTH], activities: [None; MAX_DEPTH] }
            }
        };
        let StackOutput { mut z, layers, .. } = output;
        if intervention == Intervention::Permute {
            z = self.stack.swapped(graph, z)?;
        }
        let (location, scale) = self.outputs(graph, z, [context, x])?;
        Ok(Pass { location, scale, layers, z, context, x })
    }

    /// Data-dependent initialisation from a first batch, after which every unit starts inside its
    /// rate interval.
    pub(crate) fn start<T: Element>(
        &self,
        parameters: &mut Parameters<T>,
        batch: &RowBatch<'_, T>,
    ) -> Result<(), ModelError> {
        if self.config.initial_energy == 0.0 {
            return Ok(());
        }
        let rows = self.rows(batch)?;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let context = tape.no_grad(|tape| -> Result<Vec<T>, ModelError> {
            let (mode, key) = (Mode::Evaluate, NoiseKey::new(0, 0, 0));
            let mut graph = Graph::new(tape, parameters, &mut bindings, mode, key);
            let x = graph.tape.constant([rows, self.widths[0]], batch.inputs)?;
            let context = self.encoder.forward(&mut graph, x)?;
            Ok(graph.tape.value(context).data().to_vec())
        })?;
        drop(tape);
        Ok(self.stack.initialize(parameters, &context, self.config.initial_energy)?)
    }
}
