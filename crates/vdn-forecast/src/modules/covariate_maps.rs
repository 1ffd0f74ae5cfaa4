//! [`CovariateMaps`]: linear maps from a window's covariates to its context and its forecast.
//!
//! ```text
//! context   + W x + sum_k E[category_k]         before its activation
//! forecast  + V x + sum_k D[category_k]         in normalised units, beside the window's own line
//! ```
//!
//! Here `x` are the numeric covariates of the window. `V` and `D` start at zero, so an untrained
//! network differs from one without covariates only in its context.

use vdn_autograd::{Error, Var};
use vdn_model::core::{Builder, Graph, Init, ParameterId};
use vdn_model::modules::Linear;
use vdn_tensor::Element;

/// The initial standard deviation of the embeddings in the context.
const START: f64 = 0.1;

/// The maps of the numeric covariates and the categories of windows.
#[derive(Clone, Debug)]
pub struct CovariateMaps {
    label: String,
    numbers: Option<[Linear; 2]>,
    tables: Option<[ParameterId; 2]>,
}

impl CovariateMaps {
    /// Builds maps of `numbers` numeric covariates and embeddings of `categories` categories, into
    /// contexts of `width` and forecasts of `horizon` steps. The module's name is the scope of
    /// `builder`.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        numbers: usize,
        categories: usize,
        [width, horizon]: [usize; 2],
    ) -> Self {
        let label = builder.label().to_owned();
        let numbers = (numbers > 0).then(|| {
            [
                Linear::new(builder, "context", numbers, width),
                Linear::zero(builder, "forecast", numbers, horizon),
            ]
        });
        let tables = (categories > 0).then(|| {
            [
                builder.add("context_embedding", [categories, width], Init::Normal(START)),
                builder.add("forecast_embedding", [categories, horizon], Init::Constant(0.0)),
            ]
        });
        Self { label, numbers, tables }
    }

    /// Records the contribution to the context, `[batch, width]`; `None` if there is none. The
    /// first input is `[batch, numbers]`; the second is `[batch, static columns]`, as whole
    /// numbers.
    ///
    /// # Errors
    /// Fails for the wrong number of numeric covariates, and for a category that does not exist.
    pub(crate) fn context<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        of: [Option<Var>; 2],
    ) -> Result<Option<Var>, Error> {
        self.part(graph, of, 0)
    }

    /// Records the contribution to the forecast, `[batch, horizon]`.
    ///
    /// # Errors
    /// The errors of [`CovariateMaps::context`].
    pub(crate) fn forecast<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        of: [Option<Var>; 2],
    ) -> Result<Option<Var>, Error> {
        self.part(graph, of, 1)
    }

    fn part<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        [numbers, categories]: [Option<Var>; 2],
        which: usize,
    ) -> Result<Option<Var>, Error> {
        graph.labelled(&self.label, |graph| {
            let mut sum = None;
            if let (Some(maps), Some(x)) = (&self.numbers, numbers) {
                sum = Some(maps[which].forward(graph, x)?);
            }
            if let (Some(tables), Some(categories)) = (self.tables, categories) {
                let table = graph.parameter(tables[which]);
                // [batch, static columns, width], summed over the columns.
                let rows = graph.tape.gather(table, categories)?;
                let rows = graph.tape.sum_axis(rows, 1)?;
                sum = Some(match sum {
                    Some(sum) => graph.tape.add(sum, rows)?,
                    None => rows,
                });
            }
            Ok(sum)
        })
    }
}
