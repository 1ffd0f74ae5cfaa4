//! The posteriors of a layer's units for the windows of a batch.

use crate::forecaster::{Batch, Forecaster};
use vdn_autograd::{LocationScale, Tape};
use vdn_model::core::{Bindings, Graph, Mode, ModelError, Parameters};
use vdn_model::diagnostics::Posteriors;
use vdn_model::units::{Intervention, StackPass, VariationalLayer};
use vdn_tensor::Element;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};
use vdn_tensor::noise::NoiseKey;

impl Forecaster {
    /// Returns the distributional units of layer `layer`, from 0.
    ///
    /// # Errors
    /// Fails for a layer without distributional units, a layer that does not exist, and a
    /// deterministic twin.
    pub(super) fn units_of(&self, layer: usize) -> Result<&VariationalLayer, ModelError> {
        let own = self.distributional_layers().contains(&layer);
        let units = self.stack.layers().get(layer).and_then(|layer| layer.units());
        units.filter(|_| own).ok_or_else(|| {
            let reason = format!("layer {} of the model has no distributional units", layer + 1);
            ModelError::Batch(reason)
        })
    }

    /// Returns the posteriors of the distributional units of layer `layer` (from 0) for a batch.
    /// The targets of the batch are not used.
    ///
    /// Above the first layer, the posteriors depend on one sample of each layer below, drawn with
    /// the noise of `key`. The units' information is then about that sampled context, of which the
    /// window is a part.
    ///
    /// # Errors
    /// Fails for a batch that does not fit the model, and for a layer without distributional units.
    pub fn posteriors<T: Element>(
        &self,
        parameters: &Parameters<T>,
        batch: &Batch<'_, T>,
        key: NoiseKey,
        layer: usize,
    ) -> Result<Posteriors, ModelError> {
        let units = self.units_of(layer)?;
        let deviation = units.location_scale().map_or(1.0, LocationScale::standard_variance).sqrt();
        let dims = units.config().units * units.config().latent_dims;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        tape.no_grad(|tape| {
            let mut graph = Graph::new(tape, parameters, &mut bindings, Mode::Evaluate, key);
            let one = StackPass { samples: Some(1), ..StackPass::default() };
            let pass = self.forward(&mut graph, batch, Intervention::None, one)?;
            let Some(output) = pass.layers[layer] else { return Ok(Posteriors::default()) };
            let double = |var| graph.tape.value(var).data().iter().map(|x: &T| x.to_f64());
            let mu: Vec<f64> = double(output.mu).map(|mu| mu / deviation).collect();
            let limited: Vec<f64> =
                double(output.logvar).map(|l| l.clamp(LOGVAR_MIN, LOGVAR_MAX)).collect();
            let logvar = limited.iter().copied().cycle().take(mu.len()).collect();
            Ok(Posteriors { dims, mu, logvar })
        })
    }
}
