//! The tape's records of values and steps, and the places of their numbers.

use std::sync::Arc;
use vdn_tensor::{Buffer, Element, Shape, Tensor, View};

/// Stands for the absence of an index.
pub(crate) const NONE: u32 = u32::MAX;

/// A value on the tape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) shape: Shape,
    pub(crate) storage: Storage,
    /// The node whose gradient slot takes this node's gradient: itself or, for a reshaped value,
    /// the original. [`NONE`] if no gradient is required.
    pub(crate) gradient: u32,
    pub(crate) origin: Origin,
    pub(crate) label: u32,
    /// Whether its gradient stays after it was consumed.
    pub(crate) retained: bool,
}

/// The place of a value's numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Storage {
    /// The tape's own buffer with this index.
    Owned(u32),
    /// The shared tensor with this index.
    Shared(u32),
}

/// The origin of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// A leaf, or an alias of another value; with the name of the method.
    Leaf(&'static str),
    /// An output of a step.
    Output { step: u32, output: u8, workspace: bool },
}

/// One recorded operation; its box is at the same index of the tape's operations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) first_input: u32,
    pub(crate) inputs: u8,
    pub(crate) first_output: u32,
    pub(crate) outputs: u8,
    /// Whether an input requires a gradient.
    pub(crate) differentiable: bool,
}

/// The shared tensors of a recording, in order.
#[derive(Debug)]
pub(crate) struct SharedTensors<T> {
    /// The number of released tensors: those before `held`.
    released: usize,
    held: Vec<Arc<Tensor<T>>>,
}

impl<T: Element> SharedTensors<T> {
    pub(crate) fn new() -> Self {
        Self { released: 0, held: Vec::new() }
    }

    pub(crate) fn push(&mut self, tensor: &Arc<Tensor<T>>) -> Storage {
        self.held.push(Arc::clone(tensor));
        Storage::Shared((self.released + self.held.len() - 1) as u32)
    }

    /// Releases all tensors; their indices stay taken.
    pub(crate) fn release(&mut self) {
        self.released += self.held.len();
        self.held.clear();
    }

    /// Clears everything for the next recording.
    pub(crate) fn clear(&mut self) {
        self.released = 0;
        self.held.clear();
    }

    pub(crate) fn any_released(&self) -> bool {
        self.released > 0
    }

    /// Returns whether the numbers of `node` were released.
    pub(crate) fn is_released(&self, node: &Node) -> bool {
        matches!(node.storage, Storage::Shared(index) if (index as usize) < self.released)
    }

    fn get(&self, index: u32) -> Option<&Tensor<T>> {
        let position = (index as usize).checked_sub(self.released)?;
        self.held.get(position).map(Arc::as_ref)
    }
}

/// Returns the numbers of `node`.
pub(crate) fn view<'a, T: Element>(
    node: &Node,
    buffers: &'a [Buffer<T>],
    shared: &'a SharedTensors<T>,
) -> View<'a, T> {
    let data = match node.storage {
        Storage::Owned(index) => &buffers[index as usize][..],
        Storage::Shared(index) => {
            shared.get(index).expect("the shared tensors of this recording were released").data()
        }
    };
    View::new(node.shape, data).expect("a node's storage has the length of its shape")
}

/// Returns an empty view, to fill arrays with.
pub(crate) fn empty_view<T: Element>() -> View<'static, T> {
    View::new([0], &[]).expect("no elements")
}
