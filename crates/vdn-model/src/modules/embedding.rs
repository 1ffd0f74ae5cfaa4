//! [`Embedding`]: a table of learned vectors, one vector for each item.
//!
//! Items such as words, products or places have no order, so their numbers are not amounts that a
//! network can multiply. An affine map of an index, written as a row of zeros with a single 1,
//! solves this, but almost all of its products are zero. An embedding is the same map: it reads the
//! row of the weight instead of computing the product.

use crate::core::graph::Graph;
use crate::core::init::{Builder, Init};
use crate::core::parameter::ParameterId;
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;

/// A table of learned vectors, one vector for each item; `weight [items, width]`.
///
/// ```
/// use vdn_autograd::Tape;
/// use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
/// use vdn_model::modules::Embedding;
/// use vdn_tensor::noise::NoiseKey;
/// let mut parameters = Parameters::<f32>::new();
/// let words = Embedding::new(&mut Builder::new(&mut parameters, 0), "words", 100, 16);
/// let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
/// let key = NoiseKey::new(0, 0, 0);
/// let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
/// let sentence = graph.tape.indices([2, 3], &[5, 0, 99, 7, 7, 1])?;
/// let vectors = words.forward(&mut graph, sentence)?;
/// assert_eq!(graph.tape.shape(vectors).dims(), [2, 3, 16]);
/// // There is no item number 100.
/// let unknown = graph.tape.indices([1], &[100])?;
/// assert!(words.forward(&mut graph, unknown).is_err());
/// # Ok::<(), vdn_autograd::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Embedding {
    weight: ParameterId,
}

impl Embedding {
    /// Creates a table with standard normal numbers, as in PyTorch. An index stands for a row of
    /// zeros with a single 1, so each element of a vector has the variance of a standardised input.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        name: &str,
        items: usize,
        width: usize,
    ) -> Self {
        Self::initialised(builder, name, [items, width], Init::Normal(1.0))
    }

    /// Creates a table with these initial values.
    pub fn initialised<T: Element>(
        builder: &mut Builder<'_, T>,
        name: &str,
        [items, width]: [usize; 2],
        weight: Init,
    ) -> Self {
        Self { weight: builder.scope(name).add("weight", [items, width], weight) }
    }

    /// Records the vectors of `indices`. The indices `[..]` are whole numbers from 0 on
    /// ([`Tape::indices`](vdn_autograd::Tape::indices)); the result has the shape `[.., width]`.
    ///
    /// # Errors
    /// Fails if an index is not a whole number below the number of items.
    pub fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        indices: Var,
    ) -> Result<Var, Error> {
        let weight = graph.parameter(self.weight);
        graph.tape.gather(weight, indices)
    }

    /// Returns the id of `weight [items, width]`.
    #[must_use]
    pub fn weight(&self) -> ParameterId {
        self.weight
    }
}
