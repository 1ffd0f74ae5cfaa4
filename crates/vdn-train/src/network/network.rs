//! [`Network`], the interface of a network to the trainer, and [`Terms`], the result of a batch.

use crate::optim::ParameterGroup;
use vdn_autograd::{Tape, Var};
use vdn_model::core::{Bindings, Graph, ModelError, Parameters};
use vdn_model::objective::{
    BetweenWindows, LayerTerms, LocalObjectives, Objective, UnitMeasures, check_local_objectives,
    record_local_objective,
};
use vdn_model::units::{LayerOutputs, Layers, MAX_DEPTH, non_finite_report};
use vdn_tensor::Element;

/// A network that can be trained.
///
/// Two methods are required: the loss of a batch, and the layers of units. The trainer does the
/// rest: it makes steps, controls every layer, measures and judges the units, averages the weights,
/// selects an epoch, and writes checkpoints and the history. The example `own_network` of the crate
/// `vdn` implements this trait.
pub trait Network<T: Element> {
    /// The type of a batch; see [`Examples`](crate::data::Examples).
    type Batch<'a>;

    /// Records the loss of a batch with targets. [`Locals::terms`] does all of it except the score.
    ///
    /// # Errors
    /// Returns an error if the batch does not fit the network, or if a local objective belongs to
    /// another layer.
    fn loss(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Self::Batch<'_>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError>;

    /// The layers of units, from the input up, in the order of [`Terms::outputs`].
    ///
    /// The layers of a stack are `stack.layers().into()`, a
    /// [`SequenceLayer`](vdn_model::sequence::SequenceLayer) is `(&layer).into()`, and [`Layers`]
    /// joins several.
    fn layers(&self) -> Layers<'_>;

    /// Records the scores of a batch with targets for validation. The default takes them from the
    /// loss. A network whose loss costs more than its score can override this with a cheaper
    /// computation.
    ///
    /// # Errors
    /// Returns the errors of [`Network::loss`].
    fn scores(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Self::Batch<'_>,
    ) -> Result<Terms, ModelError> {
        self.loss(graph, batch, &Locals::default())
    }

    /// Initialises parameters from the first batch, which has no targets. The default does nothing.
    ///
    /// # Errors
    /// Returns an error if the batch does not fit the network.
    fn initialize(
        &self,
        _parameters: &mut Parameters<T>,
        _batch: &Self::Batch<'_>,
    ) -> Result<(), ModelError> {
        Ok(())
    }

    /// The weight of the KL of layer number `layer` (from 0) if no controller sets it. The default,
    /// 1, gives the evidence lower bound.
    fn kl_weight(&self, _layer: usize) -> f64 {
        1.0
    }

    /// Parameters that learn at their own rate; by default none. The groups of
    /// [`Trainer::groups`](crate::train::Trainer::groups) multiply these rates. An optimiser that
    /// is passed to a session has its own groups and must be given these groups, too.
    fn parameter_groups(&self) -> Vec<ParameterGroup> {
        Vec::new()
    }

    /// The objective, which says who sets the weights of the KL. Under [`Objective::Vib`], the
    /// default, controllers may set them.
    fn objective(&self) -> Objective {
        Objective::Vib
    }

    /// The settings that the loss depends on; by default empty. To be resumed, a checkpoint must
    /// agree with them and with the shapes of the parameters.
    fn settings(&self) -> String {
        String::new()
    }

    /// The layers (from 0) whose posteriors a pass computes; by default the layers with
    /// distributional units.
    fn distributional_layers(&self) -> Vec<usize> {
        let layers = self.layers().iter().enumerate();
        layers.filter(|(_, layer)| layer.distributional() > 0).map(|(index, _)| index).collect()
    }
}

/// The additional terms of a step's loss that the trainer asks for.
#[derive(Clone, Copy, Debug)]
pub struct Locals<'a> {
    /// The local objective of each layer, which replaces its weighted KL.
    pub objectives: LocalObjectives<'a>,
    /// The definition of a unit's energy, for the band penalty.
    pub measures: UnitMeasures,
    /// Whether the squared error is wanted, too, if the network has one.
    pub want_mse: bool,
}

impl Default for Locals<'_> {
    fn default() -> Self {
        Self {
            objectives: [None; MAX_DEPTH],
            measures: UnitMeasures::PerDimension,
            want_mse: false,
        }
    }
}

/// The recorded loss of a batch and its parts.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The loss that is minimised, a scalar.
    pub loss: Var,
    /// The score of the task alone, a scalar; for example a mean negative log-likelihood.
    pub score: Var,
    /// The mean squared error, a scalar, if it was requested and the network has one.
    pub mse: Option<Var>,
    /// The sum of the KL over all units of all layers, a scalar in nats; `None` without units.
    pub kl: Option<Var>,
    /// The outputs of each layer of units; `None` for a layer without distributional units.
    pub outputs: LayerOutputs,
    /// The recorded local objective of each layer that has one.
    pub locals: LayerTerms,
}

impl Locals<'_> {
    /// Completes a loss: adds to the `score` of a batch the local objective of each layer. For a
    /// layer without a local objective, it adds the layer's KL times [`Network::kl_weight`].
    ///
    /// # Errors
    /// Returns an error if a local objective belongs to another layer, or if one compares examples
    /// or steps with earlier ones: this needs [`Locals::terms_between`].
    pub fn terms<T: Element, N: Network<T> + ?Sized>(
        &self,
        graph: &mut Graph<'_, T>,
        network: &N,
        outputs: &LayerOutputs,
        score: Var,
    ) -> Result<Terms, ModelError> {
        self.terms_between(graph, network, outputs, &[BetweenWindows::default(); MAX_DEPTH], score)
    }

    /// Like [`Locals::terms`], for a network that compares examples or steps with earlier ones.
    /// `between` holds the comparisons that the network recorded for each layer.
    ///
    /// # Errors
    /// Returns an error if a local objective belongs to another layer, or asks for a comparison
    /// that was not recorded.
    pub fn terms_between<T: Element, N: Network<T> + ?Sized>(
        &self,
        graph: &mut Graph<'_, T>,
        network: &N,
        outputs: &LayerOutputs,
        between: &[BetweenWindows; MAX_DEPTH],
        score: Var,
    ) -> Result<Terms, ModelError> {
        check_local_objectives(network.layers(), &self.objectives)?;
        let mut terms = Terms {
            loss: score,
            score,
            mse: None,
            kl: None,
            outputs: *outputs,
            locals: [None; MAX_DEPTH],
        };
        let one = graph.tape.constant([], &[T::ONE])?;
        for (index, output) in outputs.iter().enumerate() {
            let units = network.layers().get(index).filter(|layer| layer.distributional() > 0);
            let (Some(output), Some(units)) = (output, units) else { continue };
            let BetweenWindows { ar, persistence } = between[index];
            let kl = graph.tape.weighted_kl(&output.units, one)?;
            terms.kl = Some(match terms.kl {
                Some(total) => graph.tape.add(total, kl)?,
                None => kl,
            });
            let own = match self.objectives[index] {
                Some(local)
                    if local.autoregression.is_some() && ar.is_none()
                        || local.persistence.is_some() && persistence.is_none() =>
                {
                    let reason =
                        "it compares examples with earlier ones, which this network has not";
                    return Err(ModelError::config("local objective", reason));
                }
                Some(local) => {
                    let of = (index, units);
                    let (measures, between) = (self.measures, between[index]);
                    let local =
                        record_local_objective(graph, of, output, local, measures, between)?;
                    terms.locals[index] = Some(local);
                    local.total
                }
                None => graph.tape.scale(kl, T::from_f64(network.kl_weight(index)))?,
            };
            terms.loss = graph.tape.add(terms.loss, own)?;
        }
        Ok(terms)
    }
}

/// Refuses a recorded number that is not finite. The error names the operation, layer and unit in
/// which the first such number appears.
pub(crate) fn finite<T: Element, N: Network<T> + ?Sized>(
    network: &N,
    tape: &Tape<T>,
    (parameters, bindings): (&Parameters<T>, &Bindings),
    values: &[f64],
    what: &str,
) -> Result<(), ModelError> {
    if values.iter().all(|x| x.is_finite()) {
        return Ok(());
    }
    let report = non_finite_report(network.layers(), tape, parameters, bindings, what);
    Err(ModelError::NonFinite(report))
}
