//! Effects of units below the last layer. Every replacement passes through the layers above it,
//! with their own noise, and through the head.

use crate::forecaster::Forecaster;
use crate::forecaster::unit_effects::{Base, Kind};
use crate::modules::head::GatedHead;
use crate::modules::replacement::ReplacementTape;
use vdn_model::core::{Graph, Mode, ModelError, Parameters};
use vdn_model::diagnostics::UnitEffects;
use vdn_model::units::StackPass;
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// The model above a replaced layer.
pub(super) struct Above<'a, T: Element> {
    pub(super) model: &'a Forecaster,
    pub(super) head: &'a GatedHead,
    pub(super) parameters: &'a Parameters<T>,
    /// The number of the replaced layer.
    pub(super) layer: usize,
    /// The noise of the layers above.
    pub(super) key: NoiseKey,
}

impl<T: Element> Above<'_, T> {
    /// Replaces each of `units`, of `width` channels each, and adds the resulting changes to
    /// `effects`.
    pub(super) fn measure(
        &self,
        base: &Base<T>,
        (units, width): (&[usize], usize),
        effects: &mut UnitEffects,
    ) -> Result<(), ModelError> {
        let ([samples, rows, channels], horizon) = (base.shape, self.model.config.horizon);
        let mut room = ReplacementTape::<T>::default();
        let old = self.outputs(base, &base.z, &mut room)?;
        let mut z = base.z.clone();
        for (others, to, kind) in [
            (&base.from_prior, &mut effects.value, Kind::Value),
            (&base.redrawn, &mut effects.distance, Kind::Distance),
        ] {
            for (unit, to) in units.iter().zip(to.chunks_exact_mut(rows)) {
                let own = unit * width..(unit + 1) * width;
                let replace = |z: &mut [T], from: &[T]| {
                    for (z, from) in z.chunks_exact_mut(channels).zip(from.chunks_exact(channels)) {
                        z[own.clone()].copy_from_slice(&from[own.clone()]);
                    }
                };
                replace(&mut z, others);
                let new = self.outputs(base, &z, &mut room)?;
                replace(&mut z, &base.z);
                for (row, to) in to.iter_mut().enumerate() {
                    for s in 0..samples {
                        let at = s * rows + row;
                        let change = |h: usize| new[at * horizon + h] - old[at * horizon + h];
                        *to += base.effect(kind, at, row, change);
                    }
                    *to /= samples as f64;
                }
            }
        }
        Ok(())
    }

    /// Returns the head's outputs for activities `z` of the layer, `[samples, batch, horizon]`.
    fn outputs(
        &self,
        base: &Base<T>,
        z: &[T],
        room: &mut ReplacementTape<T>,
    ) -> Result<Vec<f64>, ModelError> {
        let ReplacementTape { tape, bindings } = room;
        tape.reset();
        let outputs = tape.no_grad(|tape| -> Result<Vec<f64>, ModelError> {
            let mut graph = Graph::new(tape, self.parameters, bindings, Mode::Evaluate, self.key);
            let z = graph.tape.constant(base.shape, z)?;
            let pass = StackPass { samples: Some(base.shape[0]), ..StackPass::default() };
            let above = self.model.stack.forward_from(&mut graph, self.layer + 1, z, pass)?;
            let (y, _) = self.head.forward(&mut graph, above.z, false)?;
            Ok(graph.tape.value(y).data().iter().map(|x| x.to_f64()).collect())
        })?;
        tape.release_shared();
        Ok(outputs)
    }
}
