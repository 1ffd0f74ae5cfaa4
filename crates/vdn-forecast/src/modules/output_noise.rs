//! The standard deviation `sigma_y` of the observations around a sample's prediction.
//!
//! `sigma_y = min(softplus(rho) + 0.01, 50)`. Here `rho` is one parameter per step of the horizon,
//! or a linear function of the encoder's context, so that the forecast's uncertainty depends on the
//! input.

use vdn_autograd::{Error, Var};
use vdn_model::core::{Builder, Graph, Init, ParameterId};
use vdn_model::modules::Linear;
use vdn_tensor::Element;

/// The lower limit of the deviation.
const FLOOR: f64 = 0.01;
/// The upper limit of the deviation.
const CEILING: f64 = 50.0;
/// The initial `rho`: `softplus(0.54) + 0.01 = 1.01`, about the deviation of standardised series.
const START: f64 = 0.54;

/// The source of the output deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputNoiseMode {
    /// One parameter per step of the horizon.
    Constant,
    /// A linear function of the context; it is constant at the start of training.
    #[default]
    FromContext,
}

/// The output deviation.
#[derive(Clone, Debug)]
pub struct OutputNoise {
    label: String,
    rho: Rho,
}

#[derive(Clone, Debug)]
enum Rho {
    Parameter(ParameterId),
    Head(Linear),
}

impl OutputNoise {
    /// Builds the deviations of `horizon` steps, from contexts of `width`.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        mode: OutputNoiseMode,
        width: usize,
        horizon: usize,
    ) -> Self {
        let label = builder.label().to_owned();
        let start = Init::Constant(START);
        let rho = match mode {
            OutputNoiseMode::Constant => Rho::Parameter(builder.add("rho", [horizon], start)),
            OutputNoiseMode::FromContext => {
                let init = [Init::Constant(0.0), start];
                Rho::Head(Linear::initialised(builder, "rho", [width, horizon], init))
            }
        };
        Self { label, rho }
    }

    /// Records the deviations: `[horizon]`, or `[batch, horizon]` from the context `h`
    /// `[batch, width]`.
    ///
    /// # Errors
    /// Fails for a context of the wrong width.
    pub fn forward<T: Element>(&self, graph: &mut Graph<'_, T>, h: Var) -> Result<Var, Error> {
        graph.labelled(&self.label, |graph| {
            let rho = match &self.rho {
                Rho::Parameter(id) => graph.parameter(*id),
                Rho::Head(head) => head.forward(graph, h)?,
            };
            let positive = graph.tape.softplus(rho)?;
            let floored = graph.tape.add_scalar(positive, T::from_f64(FLOOR))?;
            graph.tape.min_scalar(floored, T::from_f64(CEILING))
        })
    }
}
