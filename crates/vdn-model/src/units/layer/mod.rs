//! [`VariationalLayer`]: `N` units, each a small VAE with `K` latent dimensions.
//!
//! From a context `h`, each unit forms its posterior `Normal(mu(h), sigma^2)`, draws samples from
//! it, and sends them on. The layer also returns the statistics of each unit, from which KL, rate
//! and constraints are computed:
//!
//! 1. `mu = W h + b`, and `log sigma` from a parameter or from a second linear head
//!    ([`SigmaMode`]).
//! 2. `z = mu + sigma noise`, with addressed noise (for normal units
//!    [`Tape::sample_kl`](vdn_autograd::Tape::sample_kl)).
//! 3. In the same pass over `mu` and `sigma`: the sums over rows that give the KL and the rate of
//!    every unit.
//! 4. The `K` samples of a unit are pooled into one activity, if the settings ask for it.

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
///
/// Unit `i` has the posterior `q(z_i | h) = Normal(mu_i(h), sigma_i(h)^2)`, or another member of
/// its [`UnitFamily`], and the prior `p(z_i)` ([`LayerPrior`]). [`VariationalLayer::forward`] has
/// an example of two layers.
///
/// Source: *Variational Distributional Neuron* (arXiv 2602.18250).
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
    /// Creates a layer. Its name is the scope of `builder`; its noise stream follows from the name
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
    /// Fails if a setting is outside its domain, or another module has this name.
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
                // Small weights: every posterior starts near the initial deviation, whatever its
                // input is.
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

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &LayerConfig {
        &self.config
    }

    /// Returns the prior of every unit. For units that are not normal it is the member of their
    /// family with this location and scale.
    #[must_use]
    pub fn prior(&self) -> Prior {
        self.prior
    }

    /// Returns the family in the types of the tape; `None` for normal and log-normal units.
    pub fn location_scale(&self) -> Option<LocationScale> {
        self.family
    }

    /// Returns the name, which prefixes the layer's parameters and appears in reports.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns the noise stream of the layer.
    #[must_use]
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// Returns the parameters of the mean head: `weight [units * latent dims, inputs]` and
    /// `bias [units * latent dims]`.
    #[must_use]
    pub fn mean_parameters(&self) -> [ParameterId; 2] {
        [self.mu.weight(), self.mu.bias()]
    }

    /// Returns the mean head.
    pub(crate) fn mean_map(&self) -> &Linear {
        &self.mu
    }

    /// Returns the head of the logarithms of the deviations, or the parameter that holds them.
    pub(crate) fn log_sigma_map(&self) -> Result<&Linear, ParameterId> {
        match &self.sigma {
            Sigma::Head(head) => Ok(head),
            Sigma::Parameter(id) => Err(*id),
        }
    }

    /// Returns the factor by which pooling multiplies the sum of a unit's means. Without pooling it
    /// is the factor of their mean.
    pub(crate) fn pool_factor(&self) -> f64 {
        let k = self.config.latent_dims as f64;
        match self.config.pooling.unwrap_or(Pool::Mean) {
            Pool::Mean => 1.0 / k,
            Pool::Sum => 1.0,
            Pool::SumSqrtK => 1.0 / k.sqrt(),
        }
    }
}
