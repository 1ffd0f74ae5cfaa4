//! [`Recurrence`]: a computation along time that can be cut between any two steps, and two ways to
//! differentiate it.
//!
//! * [`unroll_terms`] records all steps on one tape. Its memory is linear in the number of steps.
//! * [`checkpointed`] keeps only the states at the ends of segments, and records each segment again
//!   when its gradients are due. With `n` steps in segments of `k`, it holds `k` steps and `n/k`
//!   states. The memory is least at `k` about `sqrt(n)`; the price is one more forward pass
//!   (Griewank 1992; Chen et al. 2016).
//!
//! Both give the same gradients to the last bit. Noise is addressed, so a segment that is recorded
//! again has the same numbers. The contributions of later segments to a gradient (of a parameter,
//! of a shared value, of the state) are stored *before* the segment adds its own, so all
//! contributions are added in the same order as on one tape.

use crate::core::error::ModelError;
use crate::core::graph::Graph;
use crate::core::parameter::Parameters;
use crate::sequence::segments::{
    Checkpointed, Checkpoints, Gradients, Kept, Recorder, Totals, copies, gradients, later, leaves,
    some,
};
use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::{Element, Tensor};

/// The result of one step of a [`Recurrence`].
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// The state after the step: everything that later steps may use of it.
    pub state: Vec<Var>,
    /// The terms of the step, one number each. All steps have the same number of terms.
    pub terms: Vec<Var>,
}

/// A computation along time. A step may use parameters, the values recorded by
/// [`Recurrence::shared`], the state after the previous step (empty at the first step) and its own
/// constants. Its result must not depend on anything else.
pub trait Recurrence<T: Element> {
    /// Records the values that all steps share and that depend on parameters alone, such as the
    /// transition of a prior. They are recorded once, not once per segment.
    ///
    /// # Errors
    /// Returns the errors of the operations.
    fn shared(&self, graph: &mut Graph<'_, T>) -> Result<Vec<Var>, Error> {
        let _ = graph;
        Ok(Vec::new())
    }

    /// Records step `t`.
    ///
    /// # Errors
    /// Returns the errors of the operations.
    fn step(
        &self,
        graph: &mut Graph<'_, T>,
        t: usize,
        shared: &[Var],
        state: &[Var],
    ) -> Result<Taken, Error>;
}

/// Records `steps` steps on the tape of `graph` and returns the sum of each term over the steps,
/// `[]` each. Memory is linear in the number of steps.
///
/// # Errors
/// Fails for zero steps, and with the errors of the recurrence.
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

/// Computes the totals of [`unroll_terms`] and the gradient of `sum_j weights[j] total_j` with
/// respect to every parameter, segment by segment. The result has the same bits as on one tape.
/// Memory grows with the square root of the number of steps.
///
/// The tape is reset. Afterwards it holds no values of use, only its memory.
///
/// # Errors
/// Fails for zero steps, an empty segment, different numbers of terms and weights, or an error of
/// the recurrence.
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

/// The first pass, without gradients: computes the totals, the shared values, and the state before
/// each segment.
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

/// Records a segment again and adds its gradients to those of later segments. On entry `after` is
/// the gradient of the state after the segment; on return it is the gradient of the state before
/// it.
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
    // The contributions of later steps come first, as on one tape.
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
