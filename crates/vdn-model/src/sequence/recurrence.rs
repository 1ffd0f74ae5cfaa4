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

use crate::error::ModelError;
use crate::graph::{Bindings, Graph, Mode};
use crate::parameter::Parameters;
use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Shape, Tensor};

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
    let (mut state, mut totals) = (Vec::new(), Vec::<Var>::new());
    for t in 0..steps {
        let taken = recurrence.step(graph, t, &shared, &state)?;
        state = taken.state;
        if t == 0 {
            totals = taken.terms;
            continue;
        }
        same_number("unroll_terms", totals.len(), taken.terms.len())?;
        for (total, term) in totals.iter_mut().zip(taken.terms) {
            *total = graph.tape.add(*total, term)?;
        }
    }
    Ok(totals)
}

fn same_number(name: &'static str, first: usize, now: usize) -> Result<(), Error> {
    if first == now {
        return Ok(());
    }
    Err(Error::invalid(name, format!("{first} terms at the first step, {now} at a later one")))
}

/// How to run [`checkpointed`].
#[derive(Clone, Copy, Debug)]
pub struct Checkpoints {
    /// Steps of a segment; `None`: the least whole number whose square is not below the number of steps.
    pub segment: Option<usize>,
    /// Training or evaluation, as in [`Graph::new`].
    pub mode: Mode,
    /// The noise, as in [`Graph::new`].
    pub noise: NoiseKey,
}

/// What [`checkpointed`] gives.
#[derive(Clone, Debug)]
pub struct Checkpointed<T: Element> {
    /// The sum of each term over all steps.
    pub totals: Vec<T>,
    /// The gradient of the weighted sum of the totals by each parameter, in the order of the parameters; `None` where it
    /// does not depend on one.
    pub gradients: Vec<Option<Tensor<T>>>,
    /// The bytes of numbers held at once: those of the tape, the states and the gradients.
    pub memory: usize,
}

impl<T: Element> Checkpointed<T> {
    /// The gradients as an optimiser takes them.
    pub fn slices(&self) -> impl Iterator<Item = Option<&[T]>> {
        self.gradients.iter().map(|gradient| gradient.as_ref().map(Tensor::data))
    }
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
    const NAME: &str = "checkpointed";
    let segment = how.segment.unwrap_or_else(|| steps.isqrt() + usize::from(!is_square(steps)));
    if steps == 0 || segment == 0 {
        let reason = format!("{steps} steps in segments of {segment}");
        return Err(Error::invalid(NAME, reason).into());
    }
    let mut run = Run {
        tape,
        parameters,
        bindings: Bindings::new(),
        how,
        shared: Vec::new(),
        totals: vec![T::ZERO; weights.len()],
    };
    let before = run.tape.set_recording_gradients(false);
    let forward = run.forward(recurrence, steps, segment);
    run.tape.set_recording_gradients(before);
    let states = forward?;
    let kept: usize = states.iter().flatten().map(|tensor| tensor.shape().numel()).sum();
    let mut gradients = Kept {
        parameters: vec![None; parameters.len()],
        shared: vec![None; run.shared.len()],
        state: Vec::new(),
    };
    for (index, state) in states.iter().enumerate().rev() {
        let first = index * segment;
        run.segment(recurrence, first..steps.min(first + segment), state, weights, &mut gradients)?;
    }
    run.prologue(recurrence, &mut gradients)?;
    run.tape.release_shared();
    let held: usize = gradients.parameters.iter().flatten().map(|g| g.shape().numel()).sum();
    let memory = run.tape.memory() + (kept + held) * size_of::<T>();
    Ok(Checkpointed { totals: run.totals, gradients: gradients.parameters, memory })
}

fn is_square(n: usize) -> bool {
    n.isqrt().pow(2) == n
}

/// Gradients so far, from the end of the sequence on.
struct Kept<T: Element> {
    parameters: Vec<Option<Tensor<T>>>,
    shared: Vec<Option<Tensor<T>>>,
    /// Of the state after the segment that is next.
    state: Vec<Option<Tensor<T>>>,
}

struct Run<'a, T: Element> {
    tape: &'a mut Tape<T>,
    parameters: &'a Parameters<T>,
    bindings: Bindings,
    how: Checkpoints,
    shared: Vec<Tensor<T>>,
    totals: Vec<T>,
}

/// The numbers of `vars`, off the tape.
fn copies<T: Element>(tape: &Tape<T>, vars: &[Var]) -> Result<Vec<Tensor<T>>, Error> {
    let copy = |&var: &Var| -> Result<Tensor<T>, Error> {
        let view = tape.value(var);
        Ok(Tensor::from_slice(*view.shape(), view.data())?)
    };
    vars.iter().map(copy).collect()
}

/// The gradients of `vars`, off the tape.
fn gradients<T: Element>(
    tape: &Tape<T>,
    vars: &[Option<Var>],
    old: &mut Vec<Option<Tensor<T>>>,
) -> Result<(), Error> {
    old.resize(vars.len(), None);
    for (var, old) in vars.iter().zip(old) {
        let Some(found) = var.and_then(|var| tape.gradient(var)) else { continue };
        match old {
            Some(old) => old.data_mut().copy_from_slice(found.data()),
            None => *old = Some(Tensor::from_slice(*found.shape(), found.data())?),
        }
    }
    Ok(())
}

/// Adds to `seeds` the gradients that are known of `vars`.
fn later<'a, T: Element>(
    seeds: &mut Vec<(Var, &'a [T])>,
    vars: &[Option<Var>],
    known: &'a [Option<Tensor<T>>],
) {
    for (var, gradient) in vars.iter().zip(known) {
        if let (Some(var), Some(gradient)) = (var, gradient) {
            seeds.push((*var, gradient.data()));
        }
    }
}

impl<T: Element> Run<'_, T> {
    /// A new recording; `f` gets the graph.
    fn record<R>(
        &mut self,
        f: impl FnOnce(&mut Graph<'_, T>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.tape.reset();
        let Checkpoints { mode, noise, .. } = self.how;
        f(&mut Graph::new(self.tape, self.parameters, &mut self.bindings, mode, noise))
    }

    /// The first pass, without gradients: the totals, what is shared, and the state before each segment.
    fn forward(
        &mut self,
        recurrence: &impl Recurrence<T>,
        steps: usize,
        segment: usize,
    ) -> Result<Vec<Vec<Tensor<T>>>, Error> {
        let shared = self.record(|graph| recurrence.shared(graph))?;
        self.shared = copies(self.tape, &shared)?;
        let (mut states, mut started) = (vec![Vec::new()], false);
        for first in (0..steps).step_by(segment) {
            let (inputs, shared) = (states[states.len() - 1].clone(), self.shared.clone());
            let (terms, state) = self.record(|graph| {
                let shared = leaves(graph.tape, &shared, false)?;
                let mut state = leaves(graph.tape, &inputs, false)?;
                let mut terms = Vec::new();
                for t in first..steps.min(first + segment) {
                    let taken = recurrence.step(graph, t, &shared, &state)?;
                    state = taken.state;
                    terms.push(taken.terms);
                }
                Ok((terms, state))
            })?;
            for terms in terms {
                if terms.len() != self.totals.len() {
                    let reason = format!("{} terms, {} weights", terms.len(), self.totals.len());
                    return Err(Error::invalid("checkpointed", reason));
                }
                for (total, term) in self.totals.iter_mut().zip(terms) {
                    let term = self.tape.scalar(term)?;
                    *total = if started { *total + term } else { term };
                }
                started = true;
            }
            if first + segment < steps {
                states.push(copies(self.tape, &state)?);
            }
        }
        Ok(states)
    }

    /// Records a segment again and adds its gradients to those of the later ones.
    fn segment(
        &mut self,
        recurrence: &impl Recurrence<T>,
        range: std::ops::Range<usize>,
        before: &[Tensor<T>],
        weights: &[T],
        kept: &mut Kept<T>,
    ) -> Result<(), Error> {
        let shared_numbers = std::mem::take(&mut self.shared);
        let recorded = self.record(|graph| {
            let shared = leaves(graph.tape, &shared_numbers, true)?;
            let start = leaves(graph.tape, before, true)?;
            let (mut state, mut terms) = (start.clone(), Vec::new());
            for t in range {
                let taken = recurrence.step(graph, t, &shared, &state)?;
                state = taken.state;
                terms.push(taken.terms);
            }
            Ok((shared, start, state, terms))
        });
        self.shared = shared_numbers;
        let (shared, start, state, terms) = recorded?;
        let bound: Vec<Option<Var>> =
            (0..self.parameters.len()).map(|i| self.bindings.get(i)).collect();
        let some = |vars: &[Var]| -> Vec<Option<Var>> { vars.iter().copied().map(Some).collect() };
        // What later steps contributed comes first, as on one tape.
        let mut seeds = Vec::new();
        later(&mut seeds, &some(&state), &kept.state);
        later(&mut seeds, &some(&shared), &kept.shared);
        later(&mut seeds, &bound, &kept.parameters);
        for terms in &terms {
            seeds.extend(terms.iter().copied().zip(weights.iter().map(std::slice::from_ref)));
        }
        seeds.retain(|&(var, _)| self.tape.requires_grad(var));
        if seeds.is_empty() {
            return Ok(());
        }
        self.tape.backward_from(&seeds)?;
        kept.state.clear();
        gradients(self.tape, &some(&start), &mut kept.state)?;
        gradients(self.tape, &some(&shared), &mut kept.shared)?;
        gradients(self.tape, &bound, &mut kept.parameters)
    }

    /// The gradients of parameters through what all steps share.
    fn prologue(
        &mut self,
        recurrence: &impl Recurrence<T>,
        kept: &mut Kept<T>,
    ) -> Result<(), Error> {
        if kept.shared.iter().all(Option::is_none) {
            return Ok(());
        }
        let shared = self.record(|graph| recurrence.shared(graph))?;
        let bound: Vec<Option<Var>> =
            (0..self.parameters.len()).map(|i| self.bindings.get(i)).collect();
        let shared: Vec<Option<Var>> = shared.into_iter().map(Some).collect();
        let mut seeds = Vec::new();
        later(&mut seeds, &shared, &kept.shared);
        later(&mut seeds, &bound, &kept.parameters);
        seeds.retain(|&(var, _)| self.tape.requires_grad(var));
        if seeds.is_empty() {
            return Ok(());
        }
        self.tape.backward_from(&seeds)?;
        gradients(self.tape, &bound, &mut kept.parameters)
    }
}

fn leaves<T: Element>(
    tape: &mut Tape<T>,
    numbers: &[Tensor<T>],
    variable: bool,
) -> Result<Vec<Var>, Error> {
    let mut leaf = |x: &Tensor<T>| {
        let shape: Shape = *x.shape();
        if variable { tape.variable(shape, x.data()) } else { tape.constant(shape, x.data()) }
    };
    numbers.iter().map(&mut leaf).collect()
}
