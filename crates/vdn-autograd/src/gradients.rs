//! The backward pass: it visits the steps in reverse order, and each turns the gradients of its
//! outputs into the gradients of its inputs.
//!
//! * The first contribution to a gradient is moved into place; later contributions are added.
//! * An operation that reads a part of its input, such as a slice, receives the sum so far and adds
//!   to it. Many slices of one value therefore cost one pass over the value in total, not one pass
//!   each.
//! * The memory of a gradient returns to the free list as soon as its step has consumed it.
//!   Gradients of leaves and of retained values stay until the next recording or the next backward
//!   pass.

use crate::error::Error;
use crate::node::{NONE, Node, Origin, Step, empty_view, view};
use crate::op::MAX_INPUTS;
use crate::size_class::size_class;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::add_assign;
use vdn_tensor::{Buffer, Element, ShapeError, View, ViewMut};

/// The gradients of the current recording, one slot for each node, and the free list.
#[derive(Debug)]
pub(crate) struct Gradients<T> {
    slots: Vec<Option<Buffer<T>>>,
    free: FreeList<T>,
}

impl<T: Element> Gradients<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: FreeList { classes: Vec::new() } }
    }

    /// Returns all memory to the free list.
    pub(crate) fn clear(&mut self) {
        for buffer in self.slots.drain(..).flatten() {
            self.free.give(buffer);
        }
    }

    /// Returns the count of numbers held, in use or free.
    pub(crate) fn capacity(&self) -> usize {
        let used = self.slots.iter().flatten();
        used.chain(self.free.classes.iter().flatten()).map(Buffer::capacity).sum()
    }

    /// Takes the gradient of the node so far out of its slot; zeros if there is none.
    fn take_sum(&mut self, root: u32, len: usize) -> Buffer<T> {
        self.slots[root as usize].take().unwrap_or_else(|| {
            let mut zeros = self.free.take(len);
            zeros.fill(T::ZERO);
            zeros
        })
    }

    /// Adds `contribution` to the gradient of the node, moving it if it is the first.
    fn accumulate(&mut self, root: u32, contribution: Buffer<T>) {
        match &mut self.slots[root as usize] {
            Some(sum) => {
                add_assign(sum, &contribution);
                self.free.give(contribution);
            }
            empty => *empty = Some(contribution),
        }
    }
}

/// Unused buffers, by size class.
#[derive(Debug)]
struct FreeList<T> {
    classes: Vec<Vec<Buffer<T>>>,
}

impl<T: Element> FreeList<T> {
    fn take(&mut self, len: usize) -> Buffer<T> {
        let (class, capacity) = size_class(len);
        let free = self.classes.get_mut(class).and_then(Vec::pop);
        let mut buffer = free.unwrap_or_else(|| {
            let mut fresh = Buffer::new();
            fresh.resize(capacity);
            fresh
        });
        buffer.resize(len);
        buffer
    }

    fn give(&mut self, buffer: Buffer<T>) {
        let (class, _) = size_class(buffer.len());
        if class >= self.classes.len() {
            self.classes.resize_with(class + 1, Vec::new);
        }
        self.classes[class].push(buffer);
    }
}

impl<T: Element> Tape<T> {
    /// Computes the gradient of `loss`, a single number, with respect to every leaf that requires
    /// one. Replaces the gradients of an earlier pass.
    ///
    /// # Errors
    /// Fails if `loss` is not a single number, depends on nothing that requires a gradient, or is
    /// stale, or if shared tensors were released.
    pub fn backward(&mut self, loss: Var) -> Result<(), Error> {
        self.check("backward", &[loss])?;
        let shape = *self.shape(loss);
        if shape.numel() != 1 {
            return Err(Error::NotScalar { operation: "backward", shape });
        }
        self.backward_from(&[(loss, &[T::ONE])])
    }

    /// Computes the gradient of the sum over all seeds of `sum(weights * value)` with respect to
    /// every leaf that requires one. Replaces the gradients of an earlier pass.
    ///
    /// # Errors
    /// Fails if a seed's numbers of weights and elements differ, if a seed depends on nothing that
    /// requires a gradient or is stale, or if shared tensors were released.
    pub fn backward_from(&mut self, seeds: &[(Var, &[T])]) -> Result<(), Error> {
        const NAME: &str = "backward";
        for (position, &(var, weights)) in seeds.iter().enumerate() {
            if !self.contains(var) {
                return Err(Error::StaleVar { operation: NAME, position });
            }
            let node = self.nodes[var.index as usize];
            if node.shape.numel() != weights.len() {
                let reason = format!("needs {} weights, got {}", node.shape.numel(), weights.len());
                return Err(ShapeError::new(NAME, &[&node.shape], reason).into());
            }
            if node.gradient == NONE {
                return Err(Error::NoGradient { operation: NAME });
            }
        }
        if self.shared.any_released() {
            return Err(Error::invalid(NAME, "the shared tensors of this recording were released"));
        }
        self.gradients.clear();
        self.gradients.slots.resize_with(self.nodes.len(), || None);
        let mut steps = 0;
        for &(var, weights) in seeds {
            let root = self.nodes[var.index as usize].gradient;
            let mut seed = self.gradients.free.take(weights.len());
            seed.copy_from_slice(weights);
            self.gradients.accumulate(root, seed);
            if let Origin::Output { step, .. } = self.nodes[root as usize].origin {
                steps = steps.max(step as usize + 1);
            }
        }
        for index in (0..steps).rev() {
            let step = self.steps[index];
            if !step.differentiable {
                continue;
            }
            let start = self.profile_start();
            if step.inputs.max(step.outputs) <= 4 {
                self.run_backward::<4>(index, step);
            } else {
                self.run_backward::<MAX_INPUTS>(index, step);
            }
            let label = self.nodes[step.first_output as usize].label;
            self.profile_end(start, index, label, true);
        }
        Ok(())
    }

    /// Returns the gradient that the last backward pass computed for a leaf or for a value marked
    /// by [`Tape::retain_gradient`]. Returns `None` if the loss does not depend on `var`, if `var`
    /// requires no gradient, or if its gradient was not retained.
    ///
    /// # Panics
    /// Panics if `var` is stale.
    #[must_use]
    pub fn gradient(&self, var: Var) -> Option<View<'_, T>> {
        let node = self.node("gradient", var);
        let slot = self.gradients.slots.get(node.gradient as usize)?.as_ref()?;
        Some(View::new(node.shape, slot).expect("a gradient has the shape of its value"))
    }

    /// Retains the gradient of `var` in the following backward passes, so that [`Tape::gradient`]
    /// returns it.
    ///
    /// # Errors
    /// Fails if `var` requires no gradient, or is stale.
    pub fn retain_gradient(&mut self, var: Var) -> Result<(), Error> {
        const NAME: &str = "retain_gradient";
        self.check(NAME, &[var])?;
        match self.nodes[var.index as usize].gradient {
            NONE => Err(Error::NoGradient { operation: NAME }),
            root => {
                self.nodes[root as usize].retained = true;
                Ok(())
            }
        }
    }

    fn run_backward<const N: usize>(&mut self, index: usize, step: Step) {
        let outputs = &self.nodes[step.first_output as usize..][..usize::from(step.outputs)];
        let inputs = &self.inputs[step.first_input as usize..][..usize::from(step.inputs)];
        let slots = &mut self.gradients.slots[step.first_output as usize..][..outputs.len()];
        if slots.iter().all(Option::is_none) {
            return;
        }
        let mut d_outputs: [Option<Buffer<T>>; N] = [const { None }; N];
        for (taken, slot) in d_outputs.iter_mut().zip(slots) {
            *taken = slot.take();
        }
        let adds = self.ops[index].op().adds_gradients();
        let mut d_inputs: [Option<Buffer<T>>; N] = [const { None }; N];
        for (scratch, &input) in d_inputs.iter_mut().zip(inputs) {
            let node = &self.nodes[input as usize];
            if node.gradient != NONE {
                let len = node.shape.numel();
                *scratch = Some(match adds {
                    true => self.gradients.take_sum(node.gradient, len),
                    false => self.gradients.free.take(len),
                });
            }
        }
        let value = |node: &Node| view(node, &self.buffers, &self.shared);
        let mut input_views = [empty_view(); N];
        let mut output_views = [empty_view(); N];
        let mut d_output_views = [None; N];
        for (view, &input) in input_views.iter_mut().zip(inputs) {
            *view = value(&self.nodes[input as usize]);
        }
        for (i, node) in outputs.iter().enumerate() {
            output_views[i] = value(node);
            let gradient = d_outputs[i].as_ref();
            d_output_views[i] = gradient
                .map(|g| View::new(node.shape, g).expect("a gradient has the shape of its value"));
        }
        let mut scratch = d_inputs.iter_mut().zip(inputs);
        let mut d_input_views: [Option<ViewMut<'_, T>>; N] = std::array::from_fn(|_| {
            let (buffer, &input) = scratch.next()?;
            let shape = self.nodes[input as usize].shape;
            Some(ViewMut::new(shape, buffer.as_mut()?).expect("sized for this shape"))
        });
        self.ops[index].op().backward(
            &input_views[..inputs.len()],
            &output_views[..outputs.len()],
            &d_output_views[..outputs.len()],
            &mut d_input_views[..inputs.len()],
        );
        for (contribution, &input) in d_inputs.into_iter().zip(inputs) {
            if let Some(contribution) = contribution {
                self.gradients.accumulate(self.nodes[input as usize].gradient, contribution);
            }
        }
        for (i, buffer) in d_outputs.into_iter().enumerate() {
            let Some(buffer) = buffer else { continue };
            if outputs[i].retained {
                self.gradients.slots[step.first_output as usize + i] = Some(buffer);
            } else {
                self.gradients.free.give(buffer);
            }
        }
    }
}
