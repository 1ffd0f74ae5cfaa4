//! The model part of a configuration: the settings of [`ForecasterConfig`] under their names in TOML.

use crate::config::DataConfig;
use crate::config::names::{
    ActivationName, AggregationName, CentreName, ClampName, FamilyName, ObjectiveName, OneOrEach,
    OutputNoiseName, PoolName, PriorName, ScoreName, SigmaName, VariantName,
};
use crate::forecaster::ForecasterConfig;
use crate::modules::InstanceNorm;
use crate::modules::PairEncoder;
use serde::{Deserialize, Serialize};
use vdn_model::{LayerPrior, PerLayer, UnitFamily};
use vdn_train::TrainError;

/// Whose values the settings start from that a configuration leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compatibility {
    /// This project's.
    #[default]
    None,
    /// Those of the reference implementation.
    Reference,
}

/// The model's settings; those that are left out keep the value of [`Compatibility`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Whose defaults the others start from.
    pub compatibility: Compatibility,
    /// Which model is built.
    pub variant: Option<VariantName>,
    /// Width of the encoder's context.
    pub hidden: Option<usize>,
    /// Width of the moving average.
    pub kernel: Option<usize>,
    /// Units, `N`.
    pub units: Option<usize>,
    /// Latent dimensions of each unit, `K`.
    pub latent_dims: Option<usize>,
    /// How `K` samples become one activity.
    pub pooling: Option<PoolName>,
    /// Where the posteriors' deviations come from.
    pub sigma: Option<SigmaName>,
    /// The deviation that all posteriors start with.
    pub initial_sigma: Option<f64>,
    /// Samples per posterior in training, `S`.
    pub samples: Option<usize>,
    /// Samples per posterior in evaluation.
    pub evaluate_samples: Option<usize>,
    /// Whether each odd sample mirrors the noise of the one before it.
    pub antithetic: Option<bool>,
    /// What becomes of the gradient of a deviation outside its hard limits.
    pub clamp_gradient: Option<ClampName>,
    /// Width of the head's hidden layer.
    pub head_hidden: Option<usize>,
    /// Whether the head is gated.
    pub gated: Option<bool>,
    /// Share of the head's hidden activities dropped in training.
    pub dropout: Option<f64>,
    /// Whether the head's output layers start at zero.
    pub zero_output: Option<bool>,
    /// What is subtracted from a window before the encoder.
    pub normalization: Option<CentreName>,
    /// Whether a window is divided by its deviation plus 0.1, too.
    pub divide_by_deviation: Option<bool>,
    /// Whether a linear map from the window is added to the forecast.
    pub skip: Option<bool>,
    /// Where the output deviation comes from.
    pub output_noise: Option<OutputNoiseName>,
    /// How samples become a point forecast.
    pub aggregation: Option<AggregationName>,
    /// The predictive score.
    pub score: Option<ScoreName>,
    /// What training minimises.
    pub objective: Option<ObjectiveName>,
    /// The weight of every latent dimension's KL against the score in nats per time step.
    pub beta: Option<f64>,
    /// The variance of the means that the first batch initialises; 0: none.
    pub initial_energy: Option<f64>,
    /// Layers of units, 1 to 16.
    pub depth: Option<usize>,
    /// The units of each layer, instead of `units` in every one; it gives the depth too, where that is left out.
    pub widths: Option<Vec<usize>>,
    /// The share of units that are distributions, for all layers or for each.
    pub distributional_fraction: Option<OneOrEach<f64>>,
    /// Factors on `beta`, for each layer.
    pub layer_beta: Option<OneOrEach<f64>>,
    /// Whether layers from the second up add the activities below to their own.
    pub residual: Option<bool>,
    /// Whether layers from the second up normalise the activities below.
    pub layer_norm: Option<bool>,
    /// What layers from the second up apply to the activities below.
    pub activation: Option<ActivationName>,
    /// The family of the units' distributions, for all layers or for each.
    pub family: Option<OneOrEach<FamilyName>>,
    /// The degrees of freedom of Student's t in all layers that are of it, above 2; 5 if left out.
    pub degrees_of_freedom: Option<f64>,
    /// What the posteriors are compared with, for all layers or for each.
    pub prior: Option<OneOrEach<PriorName>>,
}

impl ModelConfig {
    fn family(&self, or: PerLayer<UnitFamily>) -> Result<PerLayer<UnitFamily>, TrainError> {
        let has_degrees = match &self.family {
            None => false,
            Some(OneOrEach::One(name)) => *name == FamilyName::StudentT,
            Some(OneOrEach::Each(names)) => names.contains(&FamilyName::StudentT),
        };
        if self.degrees_of_freedom.is_some() && !has_degrees {
            let reason = "model.degrees_of_freedom: only family = \"student_t\" has them";
            return Err(TrainError::config(reason));
        }
        let Some(family) = &self.family else { return Ok(or) };
        let degrees_of_freedom = self.degrees_of_freedom.unwrap_or(5.0);
        Ok(family.per_layer("family")?.map(|name| match name {
            FamilyName::Normal => UnitFamily::Normal,
            FamilyName::LogNormal => UnitFamily::LogNormal,
            FamilyName::Laplace => UnitFamily::Laplace,
            FamilyName::Logistic => UnitFamily::Logistic,
            FamilyName::StudentT => UnitFamily::StudentT { degrees_of_freedom },
        }))
    }

    /// These settings with every value filled in that was left out, for these data. Settings that contradict each other
    /// stay as they are: [`ModelConfig::to_forecaster`] says what is wrong with them.
    ///
    /// ```
    /// use vdn_forecast::{DataConfig, ModelConfig};
    /// let given = ModelConfig { units: Some(64), ..ModelConfig::default() };
    /// let resolved = given.resolved(&DataConfig::default());
    /// assert_eq!((resolved.units, resolved.samples), (Some(64), Some(4)));
    /// ```
    #[must_use]
    pub fn resolved(&self, data: &DataConfig) -> Self {
        let Ok(model) = self.forecaster(data) else { return self.clone() };
        // In full, so that a setting that is added cannot be forgotten here.
        let ForecasterConfig {
            input_len,
            horizon: _,
            hidden,
            kernel,
            units,
            latent_dims,
            pooling,
            sigma,
            initial_sigma,
            samples,
            evaluate_samples,
            antithetic,
            clamp_gradient,
            emit_kl: _,
            head_hidden,
            gated,
            dropout,
            zero_output,
            normalization: InstanceNorm { centre, divide_by_deviation },
            skip,
            output_noise,
            aggregation,
            score,
            objective,
            beta,
            initial_energy,
            variant,
            depth,
            widths,
            distributional_fraction,
            layer_beta,
            residual,
            layer_norm,
            activation,
            family,
            prior,
        } = model;
        let mut degrees_of_freedom = None;
        let family = family.map(|family| match family {
            UnitFamily::Normal => FamilyName::Normal,
            UnitFamily::LogNormal => FamilyName::LogNormal,
            UnitFamily::Laplace => FamilyName::Laplace,
            UnitFamily::Logistic => FamilyName::Logistic,
            UnitFamily::StudentT { degrees_of_freedom: nu } => {
                degrees_of_freedom = Some(nu);
                FamilyName::StudentT
            }
        });
        Self {
            compatibility: self.compatibility,
            variant: Some(variant.into()),
            hidden: Some(hidden),
            kernel: Some(kernel.unwrap_or_else(|| PairEncoder::effective_kernel(input_len, None))),
            units: Some(units),
            latent_dims: Some(latent_dims),
            pooling: Some(pooling.into()),
            sigma: Some(sigma.into()),
            initial_sigma: Some(initial_sigma),
            samples: Some(samples),
            evaluate_samples: Some(evaluate_samples),
            antithetic: Some(antithetic),
            clamp_gradient: Some(clamp_gradient.into()),
            head_hidden: Some(head_hidden),
            gated: Some(gated),
            dropout: Some(dropout),
            zero_output: Some(zero_output),
            normalization: Some(centre.into()),
            divide_by_deviation: Some(divide_by_deviation),
            skip: Some(skip),
            output_noise: Some(output_noise.into()),
            aggregation: Some(aggregation.into()),
            score: Some(score.into()),
            objective: Some(objective.into()),
            beta: Some(beta),
            initial_energy: Some(initial_energy),
            depth: Some(depth),
            // None says that every layer has `units`.
            widths: widths.and(self.widths.clone()),
            distributional_fraction: Some(distributional_fraction.into()),
            layer_beta: Some(layer_beta.into()),
            residual: Some(residual),
            layer_norm: Some(layer_norm),
            activation: Some(activation.into()),
            family: Some(family.into()),
            degrees_of_freedom,
            prior: Some(prior.map(PriorName::from).into()),
        }
    }

    /// The model's own configuration, for these data.
    ///
    /// # Errors
    /// A setting outside its domain.
    pub fn to_forecaster(&self, data: &DataConfig) -> Result<ForecasterConfig, TrainError> {
        let config = self.forecaster(data)?;
        config.validate()?;
        Ok(config)
    }

    /// The same, its domain not checked yet.
    fn forecaster(&self, data: &DataConfig) -> Result<ForecasterConfig, TrainError> {
        let d = match self.compatibility {
            Compatibility::None => ForecasterConfig::default(),
            Compatibility::Reference => ForecasterConfig::compatibility(),
        };
        let units = self.units.unwrap_or(d.units);
        let widths = self.widths.as_ref();
        let per_layer = |setting, given: &Option<OneOrEach<f64>>, or| {
            given.as_ref().map_or(Ok(or), |given| given.per_layer(setting))
        };
        let head_hidden = match self.compatibility {
            Compatibility::None => d.head_hidden,
            Compatibility::Reference => data.horizon.max((units / 2).min(512)),
        };
        let norm = d.normalization;
        Ok(ForecasterConfig {
            input_len: data.input_len,
            horizon: data.horizon,
            hidden: self.hidden.unwrap_or(d.hidden),
            kernel: self.kernel.or(d.kernel),
            units,
            latent_dims: self.latent_dims.unwrap_or(d.latent_dims),
            pooling: self.pooling.map_or(d.pooling, Into::into),
            sigma: self.sigma.map_or(d.sigma, Into::into),
            initial_sigma: self.initial_sigma.unwrap_or(d.initial_sigma),
            samples: self.samples.unwrap_or(d.samples),
            evaluate_samples: self.evaluate_samples.unwrap_or(d.evaluate_samples),
            antithetic: self.antithetic.unwrap_or(d.antithetic),
            clamp_gradient: self.clamp_gradient.map_or(d.clamp_gradient, Into::into),
            emit_kl: d.emit_kl,
            head_hidden: self.head_hidden.unwrap_or(head_hidden),
            gated: self.gated.unwrap_or(d.gated),
            dropout: self.dropout.unwrap_or(d.dropout),
            zero_output: self.zero_output.unwrap_or(d.zero_output),
            normalization: InstanceNorm {
                centre: self.normalization.map_or(norm.centre, Into::into),
                divide_by_deviation: self.divide_by_deviation.unwrap_or(norm.divide_by_deviation),
            },
            skip: self.skip.unwrap_or(d.skip),
            output_noise: self.output_noise.map_or(d.output_noise, Into::into),
            aggregation: self.aggregation.map_or(d.aggregation, Into::into),
            score: self.score.map_or(d.score, Into::into),
            objective: self.objective.map_or(d.objective, Into::into),
            beta: self.beta.unwrap_or(d.beta),
            initial_energy: self.initial_energy.unwrap_or(d.initial_energy),
            variant: self.variant.map_or(d.variant, Into::into),
            depth: self
                .depth
                .or(widths.map(Vec::len).filter(|depth| *depth > 0))
                .unwrap_or(d.depth),
            widths: widths
                .map(|widths| OneOrEach::Each(widths.clone()).per_layer("widths"))
                .transpose()?,
            distributional_fraction: per_layer(
                "distributional_fraction",
                &self.distributional_fraction,
                d.distributional_fraction,
            )?,
            layer_beta: per_layer("layer_beta", &self.layer_beta, d.layer_beta)?,
            residual: self.residual.unwrap_or(d.residual),
            layer_norm: self.layer_norm.unwrap_or(d.layer_norm),
            activation: self.activation.map_or(d.activation, Into::into),
            family: self.family(d.family)?,
            prior: match &self.prior {
                None => d.prior,
                Some(prior) => prior.per_layer("prior")?.map(LayerPrior::from),
            },
        })
    }
}
