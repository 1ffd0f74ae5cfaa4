//! [`Tape`]: values and steps in the order in which they were recorded.
//!
//! The order of recording is a topological order, so nothing recurses and nothing is sorted. Memory
//! is reused by position: the n-th value of a recording takes the buffer of the n-th value of the
//! previous recording, and the n-th step takes its box. A training step that repeats the previous
//! graph therefore allocates nothing.

use crate::error::Error;
use crate::gradients::Gradients;
use crate::labels::Labels;
use crate::node::{NONE, Node, Origin, SharedTensors, Step, Storage, view};
use crate::op::ErasedOp;
use crate::profile::Profile;
use crate::var::{Var, next_generation};
use std::sync::Arc;
use vdn_tensor::{Buffer, Element, Shape, ShapeError, Tensor, View};

/// A recording of differentiable operations.
///
/// ```
/// use vdn_autograd::Tape;
/// let mut tape = Tape::<f64>::new();
/// let x = tape.variable([2], &[1.0, 3.0])?;
/// let y = tape.mul(x, x)?;
/// let loss = tape.sum(y)?;
/// tape.backward(loss)?;
/// assert_eq!(tape.scalar(loss)?, 10.0);
/// assert_eq!(tape.gradient(x).map(|g| g.data().to_vec()), Some(vec![2.0, 6.0]));
/// # Ok::<(), vdn_autograd::Error>(())
/// ```
pub struct Tape<T: Element> {
    pub(crate) generation: u64,
    pub(crate) recording: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) steps: Vec<Step>,
    /// The inputs of all steps, one step after the other: indices of nodes.
    pub(crate) inputs: Vec<u32>,
    /// One box for each step; boxes beyond the steps belong to earlier recordings.
    pub(crate) ops: Vec<Box<dyn ErasedOp<T>>>,
    /// The first `owned` buffers are in use; those beyond belong to earlier recordings.
    pub(crate) buffers: Vec<Buffer<T>>,
    pub(crate) owned: usize,
    pub(crate) shared: SharedTensors<T>,
    pub(crate) gradients: Gradients<T>,
    pub(crate) labels: Labels,
    pub(crate) profile: Option<Box<Profile>>,
}

impl<T: Element> Default for Tape<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Element> std::fmt::Debug for Tape<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (values, steps) = (self.nodes.len(), self.steps.len());
        f.debug_struct("Tape")
            .field("values", &values)
            .field("steps", &steps)
            .finish_non_exhaustive()
    }
}

impl<T: Element> Tape<T> {
    /// Creates an empty tape.
    #[must_use]
    pub fn new() -> Self {
        Self {
            generation: next_generation(),
            recording: true,
            nodes: Vec::new(),
            steps: Vec::new(),
            inputs: Vec::new(),
            ops: Vec::new(),
            buffers: Vec::new(),
            owned: 0,
            shared: SharedTensors::new(),
            gradients: Gradients::new(),
            labels: Labels::default(),
            profile: None,
        }
    }

    /// Clears all values and steps, but keeps their memory for the next recording. All variables
    /// become stale.
    pub fn reset(&mut self) {
        self.finish_profiled_step();
        self.generation = next_generation();
        self.nodes.clear();
        self.steps.clear();
        self.inputs.clear();
        self.owned = 0;
        self.shared.clear();
        self.gradients.clear();
        self.labels.clear();
    }

    /// Releases the shared tensors, so that their owner alone holds them and can change them
    /// without a copy (an optimiser's step). Gradients stay. Until [`Tape::reset`], reading a
    /// shared value panics, and operations on it and a second backward pass are refused.
    pub fn release_shared(&mut self) {
        self.shared.release();
    }

    /// Adds a leaf with a copy of `data` that requires no gradient.
    ///
    /// # Errors
    /// Fails if `data` has another number of elements than `shape`.
    pub fn constant(&mut self, shape: impl Into<Shape>, data: &[T]) -> Result<Var, Error> {
        self.leaf("constant", shape.into(), data, false)
    }

    /// Adds a leaf with a copy of `data` that requires a gradient.
    ///
    /// # Errors
    /// Fails if `data` has another number of elements than `shape`.
    pub fn variable(&mut self, shape: impl Into<Shape>, data: &[T]) -> Result<Var, Error> {
        self.leaf("variable", shape.into(), data, true)
    }

    /// Adds a leaf that `fill` writes in place and that requires no gradient, for instance a batch.
    /// The slice first holds unspecified numbers and has to be overwritten entirely.
    ///
    /// # Errors
    /// Fails if the tape holds as many values as it can.
    pub fn constant_with(
        &mut self,
        shape: impl Into<Shape>,
        fill: impl FnOnce(&mut [T]),
    ) -> Result<Var, Error> {
        let shape = shape.into();
        let storage = self.own(shape.numel());
        fill(&mut self.buffers[self.owned - 1]);
        self.push_node("constant", shape, storage, false)
    }

    /// Adds a leaf that reads `tensor` in place, for instance a parameter.
    pub fn shared(&mut self, tensor: &Arc<Tensor<T>>, requires_grad: bool) -> Var {
        let storage = self.shared.push(tensor);
        let pushed = self.push_node("shared", *tensor.shape(), storage, requires_grad);
        pushed.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Returns the numbers of a value.
    ///
    /// # Panics
    /// Panics if `var` is stale, or is a shared tensor that was released.
    #[must_use]
    pub fn value(&self, var: Var) -> View<'_, T> {
        view(self.node("value", var), &self.buffers, &self.shared)
    }

    /// Returns the shape of a value.
    ///
    /// # Panics
    /// Panics if `var` is stale.
    #[must_use]
    pub fn shape(&self, var: Var) -> &Shape {
        &self.node("shape", var).shape
    }

    /// Returns the single number of a value.
    ///
    /// # Errors
    /// Fails if the value has another number of elements, or was released, or if `var` is stale.
    pub fn scalar(&self, var: Var) -> Result<T, Error> {
        self.check("scalar", &[var])?;
        if self.shared.is_released(self.node("scalar", var)) {
            return Err(Error::invalid("scalar", "a shared tensor that was released"));
        }
        let value = self.value(var);
        value.item().ok_or(Error::NotScalar { operation: "scalar", shape: *value.shape() })
    }

    /// Returns whether `var` belongs to the current recording of this tape.
    #[must_use]
    pub fn contains(&self, var: Var) -> bool {
        var.generation == self.generation && (var.index as usize) < self.nodes.len()
    }

    /// Returns whether `var` requires a gradient: it is a leaf that requires one, or depends on
    /// one.
    ///
    /// # Panics
    /// Panics if `var` is stale.
    #[must_use]
    pub fn requires_grad(&self, var: Var) -> bool {
        self.node("requires_grad", var).gradient != NONE
    }

    /// Returns the number of recorded values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns whether nothing is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns whether operations are recorded for gradients: true outside [`Tape::no_grad`].
    #[must_use]
    pub fn is_recording_gradients(&self) -> bool {
        self.recording
    }

    /// Switches the recording for gradients on or off and returns the previous state.
    /// [`Tape::no_grad`] is usually more convenient.
    pub fn set_recording_gradients(&mut self, on: bool) -> bool {
        std::mem::replace(&mut self.recording, on)
    }

    /// Runs `f`. The operations that it records take no part in any gradient. Leaves that require a
    /// gradient still do.
    pub fn no_grad<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.set_recording_gradients(false);
        let result = f(self);
        self.recording = before;
        result
    }

    /// Returns the same numbers as a value through which no gradient passes. Nothing is copied.
    ///
    /// # Errors
    /// Fails if `var` is stale.
    pub fn detach(&mut self, var: Var) -> Result<Var, Error> {
        self.alias("detach", var, None, false)
    }

    /// Returns the same numbers in another shape. Nothing is copied. The result and `var` also
    /// share one gradient, so the retained gradient of one is the gradient of the other.
    ///
    /// # Errors
    /// Fails if the shapes have different numbers of elements, or if `var` is stale.
    pub fn reshape(&mut self, var: Var, shape: impl Into<Shape>) -> Result<Var, Error> {
        self.alias("reshape", var, Some(shape.into()), true)
    }

    /// Returns the number of bytes that the tape holds in values, gradients and the free lists of
    /// both. It grows to the size that the largest recording needs, then stays.
    #[must_use]
    pub fn memory(&self) -> usize {
        let values: usize = self.buffers.iter().map(Buffer::capacity).sum();
        (values + self.gradients.capacity()) * size_of::<T>()
    }

    /// Refuses stale variables.
    pub(crate) fn check(&self, operation: &'static str, vars: &[Var]) -> Result<(), Error> {
        match vars.iter().position(|&var| !self.contains(var)) {
            Some(position) => Err(Error::StaleVar { operation, position }),
            None => Ok(()),
        }
    }

    pub(crate) fn node(&self, operation: &'static str, var: Var) -> &Node {
        self.check(operation, &[var]).unwrap_or_else(|error| panic!("{error}"));
        &self.nodes[var.index as usize]
    }

    /// Takes the next buffer, with the requested length.
    pub(crate) fn own(&mut self, len: usize) -> Storage {
        if self.owned == self.buffers.len() {
            self.buffers.push(Buffer::new());
        }
        self.buffers[self.owned].resize(len);
        self.owned += 1;
        Storage::Owned(self.owned as u32 - 1)
    }

    fn leaf(
        &mut self,
        name: &'static str,
        shape: Shape,
        data: &[T],
        grad: bool,
    ) -> Result<Var, Error> {
        if shape.numel() != data.len() {
            let reason = format!("needs {} elements, got {}", shape.numel(), data.len());
            return Err(ShapeError::new(name, &[&shape], reason).into());
        }
        let storage = self.own(data.len());
        self.buffers[self.owned - 1].copy_from_slice(data);
        self.push_node(name, shape, storage, grad)
    }

    fn alias(
        &mut self,
        name: &'static str,
        var: Var,
        shape: Option<Shape>,
        grad: bool,
    ) -> Result<Var, Error> {
        self.check(name, &[var])?;
        let node = self.nodes[var.index as usize];
        let shape = shape.unwrap_or(node.shape);
        if shape.numel() != node.shape.numel() {
            let reason = format!("{} and {} elements", node.shape.numel(), shape.numel());
            return Err(ShapeError::new(name, &[&node.shape, &shape], reason).into());
        }
        let alias = self.push_node(name, shape, node.storage, false)?;
        if grad && self.recording {
            self.nodes[alias.index as usize].gradient = node.gradient;
        }
        Ok(alias)
    }

    fn push_node(
        &mut self,
        name: &'static str,
        shape: Shape,
        storage: Storage,
        requires_grad: bool,
    ) -> Result<Var, Error> {
        let index = self.next_index(name)?;
        let gradient = if requires_grad { index } else { NONE };
        let (origin, label) = (Origin::Leaf(name), self.labels.current().0);
        self.nodes.push(Node { shape, storage, gradient, origin, label, retained: false });
        Ok(Var { index, generation: self.generation })
    }

    pub(crate) fn next_index(&self, operation: &'static str) -> Result<u32, Error> {
        let index = u32::try_from(self.nodes.len()).ok().filter(|&i| i < NONE - u32::from(u8::MAX));
        index.ok_or_else(|| Error::invalid(operation, "the tape is full: reset it between steps"))
    }
}
