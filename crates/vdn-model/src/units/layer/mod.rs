//! [`VariationalLayer`]: N units, each a small VAE with K latent dimensions.
//!
//! A context `h` goes in; each unit forms its posterior `Normal(mu(h), sigma^2)`, draws samples, and sends them on. The
//! statistics that its KL, rate and constraints follow from come out beside them.

mod adjust;
mod config;
mod context;
mod forward;
mod replacements;

pub use adjust::SigmaLever;
pub(crate) use adjust::initialize_rows;
pub use config::{LayerConfig, LayerPrior, SigmaMode, UnitFamily};
pub use context::Context;
pub use forward::LayerOutput;

use crate::core::error::ModelError;
use crate::core::init::{Builder, Init};
use crate::core::parameter::ParameterId;
use crate::core::streams::{Purpose, Stream};
use crate::modules::linear::Linear;
use crate::priors::{LearnedNormal, Prior};
use vdn_autograd::LocationScale;
use vdn_tensor::Element;
use vdn_tensor::kernels::Pool;

#[derive(Clone, Debug)]
enum Sigma {
    Parameter(ParameterId),
    Head(Linear),
}

/// A layer of variational units.
#[derive(Clone, Debug)]
pub struct VariationalLayer {
    label: String,
    config: LayerConfig,
    prior: Prior,
    family: Option<LocationScale>,
    mu: Linear,
    sigma: Sigma,
    stream: Stream,
}

impl VariationalLayer {
    /// A layer whose name is the scope of `builder`; its noise stream follows from the name
    /// ([`streams`](crate::core::streams)).
    ///
    /// ```
    /// use vdn_model::core::{Builder, Parameters};
    /// use vdn_model::units::{LayerConfig, VariationalLayer};
    /// let mut parameters = Parameters::<f32>::new();
    /// let mut builder = Builder::new(&mut parameters, 0);
    /// let config = LayerConfig { inputs: 3, units: 4, ..LayerConfig::default() };
    /// let encoder = VariationalLayer::new(&mut builder.scope("encoder"), config)?;
    /// let decoder = VariationalLayer::new(&mut builder.scope("decoder"), config)?;
    /// assert_ne!(encoder.stream(), decoder.stream());
    /// assert!(VariationalLayer::new(&mut builder.scope("encoder"), config).is_err());
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// A setting outside its domain; another module of this name.
    pub fn new<T: Element>(
        builder: &mut Builder<'_, T>,
        config: LayerConfig,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        let family = config.family.location_scale()?;
        let stream = builder.stream(Purpose::Units)?;
        let label = builder.label().to_owned();
        let dims = config.units * config.latent_dims;
        let mu = Linear::new(builder, "mu", config.inputs, dims);
        let start = Init::Constant(config.initial_sigma.ln());
        let sigma = match config.sigma {
            SigmaMode::Scalar => Sigma::Parameter(builder.add("log_sigma", [], start)),
            SigmaMode::PerUnit => Sigma::Parameter(builder.add(
                "log_sigma",
                [config.units, config.latent_dims],
                start,
            )),
            SigmaMode::PerUnitInput => {
                // Small weights: every posterior starts near the initial deviation, whatever its input.
                let bound = 0.1 / (config.inputs as f64).sqrt();
                let (shape, init) = ([config.inputs, dims], [Init::Uniform(bound), start]);
                Sigma::Head(Linear::initialised(builder, "log_sigma_layer", shape, init))
            }
        };
        let prior = match config.prior {
            LayerPrior::Standard => Prior::StandardNormal,
            LayerPrior::Learned => {
                Prior::LearnedNormal(LearnedNormal::new(&mut builder.scope("prior"), dims))
            }
        };
        Ok(Self { label, config, prior, family, mu, sigma, stream })
    }

    /// What it was built from.
    #[must_use]
    pub fn config(&self) -> &LayerConfig {
        &self.config
    }

    /// The prior of every unit; for units that are not normal, the member of their family with this location and scale.
    #[must_use]
    pub fn prior(&self) -> Prior {
        self.prior
    }

    /// Its family in the terms of the tape; `None` for normal and log-normal units.
    pub fn location_scale(&self) -> Option<LocationScale> {
        self.family
    }

    /// The name that reports and parameters of the layer begin with.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The noise stream of the layer.
    #[must_use]
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// The parameters of the mean head: `weight [units * latent dims, inputs]` and `bias [units * latent dims]`.
    #[must_use]
    pub fn mean_parameters(&self) -> [ParameterId; 2] {
        [self.mu.weight(), self.mu.bias()]
    }

    /// The mean head.
    pub(crate) fn mean_map(&self) -> &Linear {
        &self.mu
    }

    /// The head of the logarithms of the deviations, or else the parameter that they are.
    pub(crate) fn log_sigma_map(&self) -> Result<&Linear, ParameterId> {
        match &self.sigma {
            Sigma::Head(head) => Ok(head),
            Sigma::Parameter(id) => Err(*id),
        }
    }

    /// What the sum over a unit's means is multiplied by when they are pooled (their mean, if they are sent on as they
    /// are).
    pub(crate) fn pool_factor(&self) -> f64 {
        let k = self.config.latent_dims as f64;
        match self.config.pooling.unwrap_or(Pool::Mean) {
            Pool::Mean => 1.0 / k,
            Pool::Sum => 1.0,
            Pool::SumSqrtK => 1.0 / k.sqrt(),
        }
    }
}
