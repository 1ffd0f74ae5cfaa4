//! [`Evaluator`]: a network with its parameters, data and noise. All measurements use its one loop
//! over batches.

use crate::data::{Examples, Request};
use crate::error::TrainError;
use crate::network::BatchAverages;
use crate::network::Network;
use crate::network::NoiseSeed;
use std::marker::PhantomData;
use vdn_autograd::Tape;
use vdn_model::core::streams::EVALUATION_STEP;
use vdn_model::core::{Bindings, Graph, Mode, Parameters};
use vdn_tensor::Element;

/// A network that is evaluated on data, without gradients.
///
/// Noise is addressed by the number of a batch, so two evaluators with the same seed draw the same
/// samples.
#[derive(Debug)]
pub struct Evaluator<'a, T: Element, N, D> {
    /// The network.
    pub network: &'a N,
    /// The parameters of the network.
    pub parameters: &'a Parameters<T>,
    /// The data.
    pub data: &'a D,
    /// The seed of all noise.
    pub noise: NoiseSeed,
    /// The rule for averages over examples, and the batch size.
    pub averages: BatchAverages,
    element: PhantomData<T>,
}

impl<T: Element, N, D> Clone for Evaluator<'_, T, N, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Element, N, D> Copy for Evaluator<'_, T, N, D> {}

/// The position of a batch in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the batch, from 0.
    pub batch: usize,
    /// The number of its first example.
    pub start: usize,
}

impl<'a, T, N, D> Evaluator<'a, T, N, D>
where
    T: Element,
    N: Network<T>,
    D: for<'b> Examples<T, Batch<'b> = N::Batch<'b>>,
{
    /// An evaluator of a network on data; all examples have the same weight in averages.
    #[must_use]
    pub fn new(
        network: &'a N,
        parameters: &'a Parameters<T>,
        data: &'a D,
        noise: impl Into<NoiseSeed>,
    ) -> Self {
        let (noise, averages) = (noise.into(), BatchAverages::default());
        Self { network, parameters, data, noise, averages, element: PhantomData }
    }

    /// Sets the rule for averages over examples, and the batch size.
    #[must_use]
    pub fn averaging(self, averages: BatchAverages) -> Self {
        Self { averages, ..self }
    }

    /// Visits the examples in order, in batches of at most `portion`.
    ///
    /// # Errors
    /// Returns an error if a batch cannot be filled, and the first error of `visit`.
    pub fn for_each_batch(
        &self,
        examples: &[D::Index],
        portion: usize,
        request: Request,
        mut visit: impl FnMut(Place, &N::Batch<'_>, &[D::Index]) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let mut buffers = D::Buffers::default();
        let mut start = 0;
        for (batch, chunk) in examples.chunks(portion.max(1)).enumerate() {
            let filled = self.data.fill(&mut buffers, chunk, request)?;
            visit(Place { batch, start }, &filled, chunk)?;
            start += chunk.len();
        }
        Ok(())
    }

    /// Visits the examples in batches. Each batch comes with a graph on which its pass is recorded;
    /// the graph has the noise of that batch.
    ///
    /// # Errors
    /// Returns the errors of [`Evaluator::for_each_batch`], and the first error of `record`.
    pub fn for_each_pass(
        &self,
        examples: &[D::Index],
        request: Request,
        mut record: impl FnMut(
            Place,
            &mut Graph<'_, T>,
            &N::Batch<'_>,
            &[D::Index],
        ) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let portion = self.averages.batch;
        self.for_each_batch(examples, portion, request, |place, batch, chunk| {
            let key = self.noise.key(0, EVALUATION_STEP).fold_in(place.batch as u64);
            tape.reset();
            tape.no_grad(|tape| {
                let (parameters, mode) = (self.parameters, Mode::Evaluate);
                let mut graph = Graph::new(tape, parameters, &mut bindings, mode, key);
                record(place, &mut graph, batch, chunk)
            })
        })
    }
}
