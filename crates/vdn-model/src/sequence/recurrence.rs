//! [`Recurrence`]: a computation along time that can be cut between any two steps, and the two ways to differentiate it.
//!
//! [`unroll_terms`] records all steps on one tape: memory is linear in the number of steps. [`checkpointed`] keeps the
//! state at the ends of segments alone and records each segment again when its gradients are due: with `n` steps in
//! segments of `k`, memory is that of `k` steps and of `n/k` states, least at `k` about `sqrt(n)`, for one more forward
//! pass (Griewank 1992; Chen et al. 2016).
//!
//! The gradients are the same to the last bit. Noise is addressed, so a segment recorded again has the same numbers; and
//! what later segments contributed to a gradient (of a parameter, of what all steps share, of the state) is put in its
//! place *before* the segment adds its own, so all contributions are added in the order of the one tape.

use crate::core::error::ModelError;
use crate::core::graph::Graph;
use crate::core::parameter::Parameters;
use crate::sequence::segments::{
    Checkpointed, Checkpoints, Gradients, Kept, Recorder, Totals, copies, gradients, later, leaves,
    some,
};
use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::{Element, Tensor};

/// What one step of a [`Recurrence`] gives.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// The state after the step: all that later steps may use of this one.
    pub state: Vec<Var>,
    /// The step's terms, one number each; every step has as many.
    pub terms: Vec<Var>,
}

/// A computation along time. A step may use parameters, what [`Recurrence::shared`] recorded, the state after the step
/// before (nothing at the first) and constants of its own; the result must not depend on anything else.
pub trait Recurrence<T: Element> {
    /// Records what all steps share, made of parameters alone (the transition of a prior). It is recorded once and not
    /// again for each segment.
    ///
    /// # Errors
    /// Those of the operations.
    fn shared(&self, graph: &mut Graph<'_, T>) -> Result<Vec<Var>, Error> {
        let _ = graph;
        Ok(Vec::new())
    }

    /// Records step `t`.
    ///
    /// # Errors
    /// Those of the operations.
    fn step(
        &self,
        graph: &mut Graph<'_, T>,
        t: usize,
        shared: &[Var],
        state: &[Var],
    ) -> Result<Taken, Error>;
}

/// Records `steps` steps on the tape of `graph` and gives the sum of each term over them, `[]` each. Memory is linear in
/// the number of steps.
///
/// # Errors
/// There are no steps; those of the recurrence.
pub fn unroll_terms<T: Element>(
    graph: &mut Graph<'_, T>,
    recurrence: &impl Recurrence<T>,
    steps: usize,
) -> Result<Vec<Var>, Error> {
    if steps == 0 {
        return Err(Error::invalid("unroll_terms", "a sequence without steps"));
    }
    let shared = recurrence.shared(graph)?;
    let (mut state, mut totals) = (Vec::new(), Totals::default());
    for t in 0..steps {
        let taken = recurrence.step(graph, t, &shared, &state)?;
        state = taken.state;
        totals.add("unroll_terms", graph.tape, taken.terms)?;
    }
    Ok(totals.vars)
}

/// Computes the totals of [`unroll_terms`] and the gradient of `sum_j weights[j] total_j` by every parameter, segment by
/// segment: the same bits as the one tape, with memory that grows with the square root of the number of steps.
///
/// The tape is reset; it holds nothing of use afterwards but its memory.
///
/// # Errors
/// There are no steps, or a segment of none; the terms are not as many as the weights; those of the recurrence.
pub fn checkpointed<T: Element>(
    tape: &mut Tape<T>,
    parameters: &Parameters<T>,
    recurrence: &impl Recurrence<T>,
    steps: usize,
    weights: &[T],
    how: Checkpoints,
) -> Result<Checkpointed<T>, ModelError> {
    let segment = how.segment_of(NAME, steps)?;
    let mut recorder = Recorder::new(tape, parameters, how);
    let states =
        recorder.without_gradients(|r| forward(r, recurrence, [steps, segment], weights.len()))?;
    let mut kept = Kept::new(parameters.len());
    let mut after = Gradients::new();
    for (index, state) in states.iter().enumerate().rev() {
        let first = index * segment;
        let range = first..steps.min(first + segment);
        backward(&mut recorder, recurrence, range, state, weights, (&mut kept, &mut after))?;
    }
    recorder.prologue(|graph| recurrence.shared(graph), &mut kept)?;
    let numbers = states.iter().flatten().map(|tensor| tensor.shape().numel()).sum();
    Ok(recorder.finish(kept, numbers))
}

const NAME: &str = "checkpointed";

/// The first pass, without gradients: the totals, what is shared, and the state before each segment.
fn forward<T: Element>(
    recorder: &mut Recorder<'_, T>,
    recurrence: &impl Recurrence<T>,
    [steps, segment]: [usize; 2],
    weights: usize,
) -> Result<Vec<Vec<Tensor<T>>>, Error> {
    let shared = recorder.record(|graph| recurrence.shared(graph))?;
    recorder.shared = copies(recorder.tape, &shared)?;
    let mut states = vec![Vec::new()];
    for first in (0..steps).step_by(segment) {
        let (inputs, shared) = (states[states.len() - 1].clone(), recorder.shared.clone());
        let sums = recorder.totals.clone();
        let (totals, state) = recorder.record(|graph| {
            let shared = leaves(graph.tape, &shared, false)?;
            let mut state = leaves(graph.tape, &inputs, false)?;
            let mut totals = Totals::after(graph.tape, &sums, first)?;
            for t in first..steps.min(first + segment) {
                let taken = recurrence.step(graph, t, &shared, &state)?;
                state = taken.state;
                totals.add(NAME, graph.tape, taken.terms)?;
            }
            Ok((totals, state))
        })?;
        totals.check(NAME, weights)?;
        recorder.keep_totals(&totals)?;
        if first + segment < steps {
            states.push(copies(recorder.tape, &state)?);
        }
    }
    Ok(states)
}

/// Records a segment again and adds its gradients to those of the later ones; `after` is the gradient of the state after
/// it, then of the one before.
fn backward<T: Element>(
    recorder: &mut Recorder<'_, T>,
    recurrence: &impl Recurrence<T>,
    range: std::ops::Range<usize>,
    before: &[Tensor<T>],
    weights: &[T],
    (kept, after): (&mut Kept<T>, &mut Gradients<T>),
) -> Result<(), Error> {
    let (numbers, sums) = (std::mem::take(&mut recorder.shared), recorder.totals.clone());
    let recorded = recorder.record(|graph| {
        let shared = leaves(graph.tape, &numbers, true)?;
        let start = leaves(graph.tape, before, true)?;
        let mut totals = Totals::after(graph.tape, &sums, range.start)?;
        let mut state = start.clone();
        for t in range {
            let taken = recurrence.step(graph, t, &shared, &state)?;
            state = taken.state;
            totals.add(NAME, graph.tape, taken.terms)?;
        }
        Ok((shared, start, state, totals))
    });
    recorder.shared = numbers;
    let (shared, start, state, totals) = recorded?;
    let bound = recorder.bound();
    // What later steps contributed comes first, as on one tape.
    let mut seeds = Vec::new();
    later(&mut seeds, &some(&state), after);
    later(&mut seeds, &some(&shared), &kept.shared);
    later(&mut seeds, &bound, &kept.parameters);
    totals.weighted(&mut seeds, weights);
    let any = recorder.backward(seeds)?;
    after.clear();
    if any {
        gradients(recorder.tape, &some(&start), after)?;
        gradients(recorder.tape, &some(&shared), &mut kept.shared)?;
        gradients(recorder.tape, &bound, &mut kept.parameters)?;
    }
    Ok(())
}
