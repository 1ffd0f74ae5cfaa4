//! Recording: an operation is placed in its box, computes its outputs, and becomes a step.
//!
//! The n-th operation of a recording goes into the box of the n-th operation of the previous
//! recording. If both are of the same type, the box is overwritten in place and nothing is
//! allocated. Then, in this order:
//!
//! 1. The inputs are checked: not stale, not released, not too many.
//! 2. The operation declares the shapes of its outputs, and the outputs take the next buffers.
//! 3. The forward pass runs.
//! 4. The step and the nodes of its outputs are appended. An output has a gradient slot if an input
//!    requires a gradient.

use crate::error::Error;
use crate::node::{NONE, Node, Origin, Step, Storage, empty_view, view};
use crate::op::{MAX_INPUTS, Op, Shapes};
use crate::tape::Tape;
use crate::var::{Outputs, Var};
use vdn_tensor::{Element, Shape, ViewMut};

impl<T: Element> Tape<T> {
    /// Records an operation, computes its outputs and returns them.
    ///
    /// Operations of other crates are recorded in the same way: see [`Op`] and this crate's example
    /// `custom_op`.
    ///
    /// # Errors
    /// Fails if the inputs do not fit the operation, there are more than [`MAX_INPUTS`] of them, or
    /// one is stale.
    pub fn record<O: Op<T>>(&mut self, op: O, inputs: &[Var]) -> Result<Outputs, Error> {
        let position = self.steps.len();
        match self.ops.get_mut(position) {
            None => self.ops.push(Box::new(op)),
            Some(old) => match (**old).as_any_mut().downcast_mut::<O>() {
                Some(same) => *same = op,
                None => *old = Box::new(op),
            },
        }
        self.record_placed(inputs)
    }

    /// Does what [`Tape::record`] does for operations with one output.
    ///
    /// # Errors
    /// Fails as [`Tape::record`] does.
    pub fn record_single<O: Op<T>>(&mut self, op: O, inputs: &[Var]) -> Result<Var, Error> {
        self.record(op, inputs).map(|outputs| outputs.single())
    }

    /// Runs and appends the operation that was placed in its box. (It is not generic over the
    /// operation, so it is compiled once.)
    fn record_placed(&mut self, inputs: &[Var]) -> Result<Outputs, Error> {
        let position = self.steps.len();
        let op = self.ops[position].op();
        let name = op.name();
        self.check(name, inputs)?;
        let first = self.next_index(name)?;
        if inputs.len() > MAX_INPUTS {
            let reason = format!("{} inputs, at most {MAX_INPUTS} are supported", inputs.len());
            return Err(Error::invalid(name, reason));
        }
        let released = |var: &Var| self.shared.is_released(&self.nodes[var.index as usize]);
        if let Some(position) = inputs.iter().position(released) {
            let reason = format!("variable {position} is a shared tensor that was released");
            return Err(Error::invalid(name, reason));
        }
        let mut input_shapes = [&Shape::SCALAR; MAX_INPUTS];
        for (shape, var) in input_shapes.iter_mut().zip(inputs) {
            *shape = &self.nodes[var.index as usize].shape;
        }
        let mut shapes = Shapes::new();
        op.output_shapes(&input_shapes[..inputs.len()], &mut shapes)?;
        let count = shapes.as_slice().len();
        if count == 0 {
            return Err(Error::invalid(name, "the operation declares no output"));
        }
        let (first_input, first_owned) = (self.inputs.len(), self.owned);
        for shape in shapes.as_slice() {
            self.own(shape.numel());
        }
        self.inputs.extend(inputs.iter().map(|var| var.index));
        let start = self.profile_start();
        // Small operations are the most frequent, so they get small arrays.
        if inputs.len().max(count) <= 4 {
            self.run_forward::<4>(first_input, first_owned, shapes.as_slice());
        } else {
            self.run_forward::<MAX_INPUTS>(first_input, first_owned, shapes.as_slice());
        }
        let label = self.labels.current().0;
        self.profile_end(start, position, label, false);
        let wanted = |&i: &u32| self.nodes[i as usize].gradient != NONE;
        let differentiable = self.recording && self.inputs[first_input..].iter().any(wanted);
        self.steps.push(Step {
            first_input: first_input as u32,
            inputs: inputs.len() as u8,
            first_output: first,
            outputs: count as u8,
            differentiable,
        });
        for (output, &shape) in shapes.as_slice().iter().enumerate() {
            let workspace = shapes.is_workspace(output);
            let index = first + output as u32;
            self.nodes.push(Node {
                shape,
                storage: Storage::Owned((first_owned + output) as u32),
                gradient: if differentiable && !workspace { index } else { NONE },
                origin: Origin::Output { step: position as u32, output: output as u8, workspace },
                label,
                retained: false,
            });
        }
        Ok(Outputs::new(first, count, self.generation))
    }

    fn run_forward<const N: usize>(
        &mut self,
        first_input: usize,
        first_owned: usize,
        shapes: &[Shape],
    ) {
        let (before, after) = self.buffers.split_at_mut(first_owned);
        let inputs = &self.inputs[first_input..];
        let mut views = [empty_view(); N];
        for (view_of, &index) in views.iter_mut().zip(inputs) {
            *view_of = view(&self.nodes[index as usize], before, &self.shared);
        }
        let mut fresh = after.iter_mut().zip(shapes);
        let mut outputs: [ViewMut<'_, T>; N] = std::array::from_fn(|_| match fresh.next() {
            Some((buffer, &shape)) => ViewMut::new(shape, buffer).expect("sized for this shape"),
            None => ViewMut::new([0], &mut []).expect("no elements"),
        });
        let op = self.ops[self.steps.len()].op();
        op.forward(&views[..inputs.len()], &mut outputs[..shapes.len()]);
    }
}
