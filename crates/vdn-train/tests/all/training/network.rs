//! A network that predicts a number from two, by its squared error.

use vdn_model::core::{Builder, Graph, ModelError, Parameters};
use vdn_model::modules::Linear;
use vdn_model::units::{LayerConfig, Layers, Stack};
use vdn_train::data::{RowBatch, Rows};
use vdn_train::train::{Locals, Network, Terms};

pub(crate) struct Regression {
    stack: Stack,
    head: Linear,
}

impl Regression {
    pub(crate) fn new() -> (Self, Parameters<f32>) {
        let mut parameters = Parameters::new();
        let mut builder = Builder::new(&mut parameters, 0);
        let stack = Stack::new(&mut builder, "units", &[LayerConfig::new(2, 4).into()]).unwrap();
        let head = Linear::new(&mut builder, "head", 4, 1);
        (Self { stack, head }, parameters)
    }
}

impl Network<f32> for Regression {
    type Batch<'a> = RowBatch<'a, f32>;

    fn loss(
        &self,
        graph: &mut Graph<'_, f32>,
        batch: &RowBatch<'_, f32>,
        locals: &Locals<'_>,
    ) -> Result<Terms, ModelError> {
        let x = graph.tape.constant([batch.rows, 2], batch.inputs)?;
        let y = graph.tape.constant([batch.rows, 1], batch.targets)?;
        let units = self.stack.forward(graph, x)?;
        let mean = self.head.forward(graph, units.z)?;
        let residual = graph.tape.sub(mean, y)?;
        let squares = graph.tape.square(residual)?;
        let score = graph.tape.mean(squares)?;
        locals.terms(graph, self, &units.layers, score)
    }

    fn layers(&self) -> Layers<'_> {
        self.stack.layers().into()
    }

    fn kl_weight(&self, _layer: usize) -> f64 {
        1e-3
    }
}

/// 32 rows `y = scale (x0 - x1)`, of which 24 train.
pub(crate) fn rows(scale: f64) -> Rows {
    let inputs: Vec<f64> = (0..64).map(|i| f64::from(i * 37 % 64) / 16.0 - 2.0).collect();
    let targets = inputs.chunks(2).map(|x| scale * (x[0] - x[1])).collect();
    Rows::new([2, 1], inputs, targets).unwrap().split_at(24, 8).unwrap()
}
