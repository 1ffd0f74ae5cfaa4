//! The common parts of the two computations in segments: their settings, their results, and
//! recordings that begin with numbers from outside the tape.

use crate::core::graph::{Bindings, Graph, Mode};
use crate::core::parameter::Parameters;
use vdn_autograd::{Error, Tape, Var};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Shape, Tensor};

/// The settings of [`checkpointed`](super::checkpointed) and
/// [`checkpointed_smooth`](super::checkpointed_smooth).
#[derive(Clone, Copy, Debug)]
pub struct Checkpoints {
    /// The number of steps in a segment; `None` for the square root of the number of steps, rounded
    /// up.
    pub segment: Option<usize>,
    /// Training or evaluation, as in [`Graph::new`].
    pub mode: Mode,
    /// The noise, as in [`Graph::new`].
    pub noise: NoiseKey,
}

/// The result of a computation in segments.
#[derive(Clone, Debug)]
pub struct Checkpointed<T: Element> {
    /// The sum of each term over all steps.
    pub totals: Vec<T>,
    /// The gradient of the weighted sum of the totals with respect to each parameter, in the order
    /// of the parameters; `None` if the sum does not depend on the parameter.
    pub gradients: Vec<Option<Tensor<T>>>,
    /// The bytes of numbers held at once: on the tape, in states and in gradients.
    pub memory: usize,
}

impl<T: Element> Checkpointed<T> {
    /// Iterates over the gradients in the form that an optimiser takes.
    pub fn slices(&self) -> impl Iterator<Item = Option<&[T]>> {
        self.gradients.iter().map(|gradient| gradient.as_ref().map(Tensor::data))
    }
}

impl Checkpoints {
    /// Returns the number of steps in a segment of a sequence with `steps` steps.
    pub(super) fn segment_of(&self, name: &'static str, steps: usize) -> Result<usize, Error> {
        let root = steps.isqrt();
        let segment = self.segment.unwrap_or(root + usize::from(root.pow(2) != steps));
        if steps == 0 || segment == 0 {
            return Err(Error::invalid(name, format!("{steps} steps in segments of {segment}")));
        }
        Ok(segment)
    }
}

/// Optional values outside the tape, such as gradients that may not exist.
pub(super) type Gradients<T> = Vec<Option<Tensor<T>>>;

/// The gradients so far of the values that all segments use.
pub(super) struct Kept<T: Element> {
    pub(super) parameters: Gradients<T>,
    pub(super) shared: Gradients<T>,
}

impl<T: Element> Kept<T> {
    /// Creates a store for this many parameters, without gradients.
    pub(super) fn new(parameters: usize) -> Self {
        Self { parameters: vec![None; parameters], shared: Vec::new() }
    }
}

/// Records one segment after another.
pub(super) struct Recorder<'a, T: Element> {
    pub(super) tape: &'a mut Tape<T>,
    parameters: &'a Parameters<T>,
    bindings: Bindings,
    how: Checkpoints,
    /// The values that all steps share and that depend on parameters alone.
    pub(super) shared: Vec<Tensor<T>>,
    /// The totals of the recordings without gradients.
    pub(super) totals: Vec<Tensor<T>>,
}

impl<'a, T: Element> Recorder<'a, T> {
    /// Creates a recorder that has recorded nothing.
    pub(super) fn new(
        tape: &'a mut Tape<T>,
        parameters: &'a Parameters<T>,
        how: Checkpoints,
    ) -> Self {
        let (bindings, shared, totals) = (Bindings::new(), Vec::new(), Vec::new());
        Self { tape, parameters, bindings, how, shared, totals }
    }

    /// Starts a new recording and calls `f` with its graph.
    pub(super) fn record<R>(
        &mut self,
        f: impl FnOnce(&mut Graph<'_, T>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.tape.reset();
        let Checkpoints { mode, noise, .. } = self.how;
        f(&mut Graph::new(self.tape, self.parameters, &mut self.bindings, mode, noise))
    }

    /// Runs `f` without gradients.
    pub(super) fn without_gradients<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.tape.set_recording_gradients(false);
        let result = f(self);
        self.tape.set_recording_gradients(before);
        result
    }

    /// Returns the variables of the parameters in the recording; `None` for parameters that take no
    /// part.
    pub(super) fn bound(&self) -> Vec<Option<Var>> {
        (0..self.parameters.len()).map(|i| self.bindings.get(i)).collect()
    }

    /// Stores the totals so far, for the next segment.
    pub(super) fn keep_totals(&mut self, totals: &Totals) -> Result<(), Error> {
        self.totals = copies(self.tape, &totals.vars)?;
        Ok(())
    }

    /// Differentiates those `seeds` that depend on anything. Returns whether there were any.
    pub(super) fn backward(&mut self, mut seeds: Vec<(Var, &[T])>) -> Result<bool, Error> {
        seeds.retain(|&(var, _)| self.tape.requires_grad(var));
        if seeds.is_empty() {
            return Ok(false);
        }
        self.tape.backward_from(&seeds)?;
        Ok(true)
    }

    /// Adds the gradients of parameters through the shared values, which `shared` records.
    pub(super) fn prologue(
        &mut self,
        shared: impl FnOnce(&mut Graph<'_, T>) -> Result<Vec<Var>, Error>,
        kept: &mut Kept<T>,
    ) -> Result<(), Error> {
        if kept.shared.iter().all(Option::is_none) {
            return Ok(());
        }
        let shared = self.record(shared)?;
        let bound = self.bound();
        let mut seeds = Vec::new();
        later(&mut seeds, &some(&shared), &kept.shared);
        later(&mut seeds, &bound, &kept.parameters);
        if self.backward(seeds)? {
            gradients(self.tape, &bound, &mut kept.parameters)?;
        }
        Ok(())
    }

    /// Returns the result. `numbers` is the count of numbers held beside the tape and the
    /// gradients.
    pub(super) fn finish(self, kept: Kept<T>, numbers: usize) -> Checkpointed<T> {
        self.tape.release_shared();
        let memory = self.tape.memory() + (numbers + held(&kept.parameters)) * size_of::<T>();
        let totals = self.totals.iter().map(|total| total.data()[0]).collect();
        Checkpointed { totals, gradients: kept.parameters, memory }
    }
}

/// Returns the number of elements.
pub(super) fn held<T: Element>(tensors: &[Option<Tensor<T>>]) -> usize {
    tensors.iter().flatten().map(|tensor| tensor.shape().numel()).sum()
}

pub(super) fn some(vars: &[Var]) -> Vec<Option<Var>> {
    vars.iter().copied().map(Some).collect()
}

/// Copies the values of `vars` off the tape.
pub(super) fn copies<T: Element>(tape: &Tape<T>, vars: &[Var]) -> Result<Vec<Tensor<T>>, Error> {
    let copy = |&var: &Var| -> Result<Tensor<T>, Error> {
        let view = tape.value(var);
        Ok(Tensor::from_slice(*view.shape(), view.data())?)
    };
    vars.iter().map(copy).collect()
}

/// Copies the gradients of `vars` off the tape, in place of the old ones.
pub(super) fn gradients<T: Element>(
    tape: &Tape<T>,
    vars: &[Option<Var>],
    old: &mut Gradients<T>,
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

/// Adds to `seeds` the known gradients of `vars`.
pub(super) fn later<'a, T: Element>(
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

/// The sums of terms over steps. They are recorded step by step, so that contributions to gradients
/// come in the same order however the steps are cut.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) vars: Vec<Var>,
    started: bool,
}

impl Totals {
    /// Records the totals at the start of a segment. `numbers` are the sums so far; empty at the
    /// start of the sequence.
    pub(super) fn after<T: Element>(
        tape: &mut Tape<T>,
        numbers: &[Tensor<T>],
        first: usize,
    ) -> Result<Self, Error> {
        if first == 0 {
            return Ok(Self::default());
        }
        Ok(Self { vars: leaves(tape, numbers, false)?, started: true })
    }

    /// Adds the terms of the next step.
    pub(super) fn add<T: Element>(
        &mut self,
        name: &'static str,
        tape: &mut Tape<T>,
        terms: Vec<Var>,
    ) -> Result<(), Error> {
        if let Some(&term) = terms.iter().find(|&&term| tape.shape(term).numel() != 1) {
            return Err(Error::NotScalar { operation: name, shape: *tape.shape(term) });
        }
        if !self.started {
            // Records values of their own: a term may be a variable that is also used elsewhere.
            let own = terms.into_iter().map(|term| tape.scale(term, T::ONE));
            (self.vars, self.started) = (own.collect::<Result<_, _>>()?, true);
            return Ok(());
        }
        if terms.len() != self.vars.len() {
            let reason = format!("{} terms after steps of {}", terms.len(), self.vars.len());
            return Err(Error::invalid(name, reason));
        }
        for (total, term) in self.vars.iter_mut().zip(terms) {
            *total = tape.add(*total, term)?;
        }
        Ok(())
    }

    /// Adds to `seeds` the weights of the totals.
    pub(super) fn weighted<'a, T: Element>(
        &self,
        seeds: &mut Vec<(Var, &'a [T])>,
        weights: &'a [T],
    ) {
        seeds.extend(self.vars.iter().copied().zip(weights.iter().map(std::slice::from_ref)));
    }

    /// Fails unless there are as many totals as weights.
    pub(super) fn check(&self, name: &'static str, weights: usize) -> Result<(), Error> {
        if self.vars.len() == weights {
            return Ok(());
        }
        Err(Error::invalid(name, format!("{} terms, {weights} weights", self.vars.len())))
    }
}

/// Records these numbers as the first values of a recording.
pub(super) fn leaves<T: Element>(
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
