//! [`Context`]: the input of a layer of units, and the map from its axes to rows of the fused
//! operation.

use crate::core::graph::Graph;
use vdn_autograd::{Error, Var};
use vdn_tensor::{Element, ShapeError};

/// The input from which units form their posteriors: rows `[batch, inputs]`, or the samples of a
/// layer below, `[samples, batch, inputs]`.
///
/// A variable by itself is rows. Samples have to be declared ([`Context::samples`]), because a
/// batch of sequences also has three axes, and could be mistaken for samples if it has as many
/// sequences as the layer has samples.
///
/// ```
/// # use vdn_autograd::Tape;
/// # use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
/// # use vdn_model::units::{Context, LayerConfig, VariationalLayer};
/// # use vdn_tensor::noise::NoiseKey;
/// # let mut parameters = Parameters::<f32>::new();
/// # let config = LayerConfig { inputs: 2, units: 5, train_samples: 4, ..LayerConfig::default() };
/// # let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 0), config)?;
/// # let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
/// # let key = NoiseKey::new(0, 0, 0);
/// # let graph = &mut Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
/// // Four sequences of six steps. Each step is a row of its own.
/// let sequences = graph.tape.constant([4, 6, 2], &[0.5; 48])?;
/// assert!(layer.forward(graph, sequences).is_err());
/// let rows = graph.tape.reshape(sequences, [24, 2])?;
/// let output = layer.forward(graph, rows)?;
/// assert_eq!(graph.tape.shape(output.z).dims(), &[4, 24, 5]); // four samples
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Context {
    var: Var,
    of_samples: bool,
}

impl Context {
    /// Creates a context from the samples of a layer below, or from a function of them:
    /// `[samples, batch, inputs]`, sample by sample. A leading axis of 1 is a context without
    /// samples.
    #[must_use]
    pub fn samples(z: Var) -> Self {
        Self { var: z, of_samples: true }
    }

    /// Returns the variable.
    #[must_use]
    pub fn var(self) -> Var {
        self.var
    }

    /// Replaces the variable by another with the same axes.
    pub(crate) fn with_var(self, var: Var) -> Self {
        Self { var, ..self }
    }
}

/// Creates a context of rows.
impl From<Var> for Context {
    fn from(h: Var) -> Self {
        Self { var: h, of_samples: false }
    }
}

/// The map from the axes of a context to rows of the fused operation.
pub(super) struct Rows {
    /// The number of samples to draw from each posterior.
    pub(super) draws: usize,
    /// The samples and the batch of the result.
    pub(super) result: [usize; 2],
}

impl Context {
    /// Returns the context as `[rows, inputs]`, for a layer that gives this many samples.
    pub(super) fn rows<T: Element>(
        self,
        graph: &mut Graph<'_, T>,
        samples: usize,
    ) -> Result<(Var, Rows), Error> {
        let shape = *graph.tape.shape(self.var);
        let refuse = |reason: &str| {
            Err(ShapeError::new("variational layer", &[&shape], reason.to_owned()).into())
        };
        match *shape.dims() {
            [1, batch, inputs] => {
                let h = graph.tape.reshape(self.var, [batch, inputs])?;
                Ok((h, Rows { draws: samples, result: [samples, batch] }))
            }
            [given, batch, inputs] if self.of_samples && given == samples => {
                let h = graph.tape.reshape(self.var, [samples * batch, inputs])?;
                Ok((h, Rows { draws: 1, result: [samples, batch] }))
            }
            [_, _, _] if self.of_samples => {
                refuse(&format!("the context has other than {samples} samples"))
            }
            [_, _, _] => refuse(
                "the context has to be [batch, inputs]; samples of a layer below are given by \
                 Context::samples, steps of sequences as rows",
            ),
            [batch, _] => Ok((self.var, Rows { draws: samples, result: [samples, batch] })),
            _ => {
                refuse("the context has to be [batch, inputs] or samples [samples, batch, inputs]")
            }
        }
    }
}
