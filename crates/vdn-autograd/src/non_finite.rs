//! The origin of a NaN or an infinity in a recording, for reports such as "training stopped".

use crate::Var;
use crate::node::{Node, Origin, view};
use crate::tape::Tape;
use std::fmt;
use vdn_tensor::{Element, Shape};

/// The first value of a recording that is not finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// The operation that produced it, or `variable`, `constant`, `shared` for a leaf.
    pub operation: &'static str,
    /// The value that contains it.
    pub var: Var,
    /// The label at the time of recording (a layer); empty if there was none.
    pub label: String,
    /// The index of the operation's output.
    pub output: usize,
    /// The position of the first such element.
    pub index: Vec<usize>,
    /// The shape of the value.
    pub shape: Shape,
    /// The number of elements that are not finite.
    pub count: usize,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, label, output, index, shape, count, .. } = self;
        write!(f, "{operation}")?;
        if !label.is_empty() {
            write!(f, " in {label}")?;
        }
        write!(f, ": output {output} of shape {shape} is not finite at {index:?} ({count} in all)")
    }
}

impl<T: Element> Tape<T> {
    /// Visits the values in the order in which they were recorded, and returns the first operation
    /// (or leaf) with an output that is not finite. Workspace outputs are ignored. In constants
    /// only NaN counts, because an infinity can be intended (a log-weight of zero probability).
    #[must_use]
    pub fn first_non_finite(&self) -> Option<NonFinite> {
        self.nodes.iter().enumerate().find_map(|(i, node)| self.non_finite(i as u32, node))
    }

    #[expect(clippy::eq_op, reason = "unequal to itself is NaN alone")]
    fn non_finite(&self, number: u32, node: &Node) -> Option<NonFinite> {
        let (operation, output) = match node.origin {
            // An alias has the numbers of a value that was visited before.
            Origin::Leaf("reshape" | "detach") | Origin::Output { workspace: true, .. } => {
                return None;
            }
            Origin::Leaf(name) => (name, 0),
            Origin::Output { step, output, .. } => {
                (self.ops[step as usize].op().name(), usize::from(output))
            }
        };
        if self.shared.is_released(node) {
            return None;
        }
        let is_constant = matches!(node.origin, Origin::Leaf("constant"));
        let bad = |x: &&T| if is_constant { **x != **x } else { !x.is_finite() };
        let data = view(node, &self.buffers, &self.shared).data();
        let mut flat = data.iter().position(|x| bad(&x))?;
        let count = data.iter().filter(bad).count();
        let var = Var { index: number, generation: self.generation };
        let mut index = vec![0; node.shape.rank()];
        for (i, &size) in index.iter_mut().zip(node.shape.dims()).rev() {
            (*i, flat) = (flat % size, flat / size);
        }
        let label = self.labels.name(crate::labels::Label(node.label)).to_owned();
        Some(NonFinite { operation, var, label, output, index, shape: node.shape, count })
    }
}
