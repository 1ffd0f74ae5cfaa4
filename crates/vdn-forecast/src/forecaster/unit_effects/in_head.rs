//! Effects of the last layer's units. The change of the head's pre-activations by a replacement is
//! known in closed form.

use crate::forecaster::Forecaster;
use crate::forecaster::unit_effects::{Base, Kind};
use crate::modules::head::GatedHead;
use crate::modules::replacement::{Replacement, ReplacementTape};
use vdn_autograd::Error;
use vdn_model::core::{Graph, Mode, ModelError, Parameters};
use vdn_model::diagnostics::UnitEffects;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, parallel};

/// The number of rows of hidden activities in one pass. It bounds memory and changes no result.
const ROWS: usize = 16 * 1024;

/// The replacements of a pass: the replacement weights, the first channel of each block, the width
/// of a block, and the new activities.
type What<'a, T> = Option<(&'a Replacement<'a, T>, &'a [usize], usize, &'a [T])>;

/// Replaces each of `units`, of `width` channels each, and adds the resulting changes to `effects`.
pub(super) fn measure<T: Element>(
    model: &Forecaster,
    head: &GatedHead,
    parameters: &Parameters<T>,
    base: &Base<T>,
    (units, width): (&[usize], usize),
    effects: &mut UnitEffects,
) -> Result<(), ModelError> {
    let [samples, rows, _] = base.shape;
    let horizon = model.config.horizon;
    let weights = head.replacement_weights(parameters);
    let replacement = Replacement::new(&weights, &base.z, &base.hidden);
    let mut room = ReplacementTape::<T>::default();
    let own = through_activation(base, head, parameters, &mut room, None)?;
    let block = (ROWS / (samples * rows)).max(1);
    for (others, to, kind) in [
        (&base.from_prior, &mut effects.value, Kind::Value),
        (&base.redrawn, &mut effects.distance, Kind::Distance),
    ] {
        for (chunk, to) in units.chunks(block).zip(to.chunks_mut(block * rows)) {
            let first: Vec<usize> = chunk.iter().map(|unit| unit * width).collect();
            let what = Some((&replacement, &first[..], width, &others[..]));
            let changed = through_activation(base, head, parameters, &mut room, what)?;
            parallel::for_each_chunk(to, 1, |place, to| {
                let (j, row) = (place / rows, place % rows);
                let mut direct = vec![0.0; horizon];
                for s in 0..samples {
                    let at = s * rows + row;
                    replacement.direct_change(at, first[j], width, others, &mut direct);
                    let new = &changed[(j * samples * rows + at) * horizon..][..horizon];
                    let old = &own[at * horizon..][..horizon];
                    to[0] += base.effect(kind, at, row, |h| direct[h] + new[h] - old[h]);
                }
                to[0] /= samples as f64;
            });
        }
    }
    Ok(())
}

/// Returns the part of the outputs that passes through the activation,
/// `[blocks, samples, batch, horizon]`. Without replacements, it is the part of the base pass.
fn through_activation<T: Element>(
    base: &Base<T>,
    head: &GatedHead,
    parameters: &Parameters<T>,
    room: &mut ReplacementTape<T>,
    what: What<'_, T>,
) -> Result<Vec<f64>, ModelError> {
    let rows = base.shape[0] * base.shape[1];
    let width = base.hidden.len() / rows;
    let ReplacementTape { tape, bindings } = room;
    tape.reset();
    let outputs = tape.no_grad(|tape| -> Result<Vec<f64>, Error> {
        let key = NoiseKey::new(0, 0, 0);
        let mut graph = Graph::new(tape, parameters, bindings, Mode::Evaluate, key);
        let hidden = match what {
            None => graph.tape.constant([rows, width], &base.hidden)?,
            Some((replacement, first, channels, others)) => {
                graph.tape.constant_with([first.len() * rows, width], |to| {
                    replacement.fill_hidden(first, channels, others, to);
                })?
            }
        };
        let outputs = head.after_activation(&mut graph, hidden)?;
        Ok(graph.tape.value(outputs).data().iter().map(|x| x.to_f64()).collect())
    })?;
    tape.release_shared();
    Ok(outputs)
}
