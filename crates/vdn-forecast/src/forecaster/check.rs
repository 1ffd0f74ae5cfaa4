//! Validation of a forecaster's configuration: values outside their domains, sizes too large for
//! memory, and settings that contradict each other.

use crate::forecaster::aggregate::Aggregation;
use crate::forecaster::config::{Dependence, ForecasterConfig, Variant};
use vdn_autograd::Score;
use vdn_model::core::ModelError;
use vdn_model::objective::Objective;
use vdn_model::units::{LayerConfig, LayerPrior, MAX_DEPTH, StackLayerConfig, UnitFamily};

/// The upper limit of the size of one dimension.
const MAX_SIZE: usize = 1 << 24;

impl ForecasterConfig {
    /// Checks every setting, and every pair of settings that can contradict each other.
    ///
    /// # Errors
    /// Fails on the first invalid setting, and names its field.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.check_numbers()?;
        self.check_layers()?;
        self.check_sizes()?;
        self.check_contradictions()
    }

    fn check_numbers(&self) -> Result<(), ModelError> {
        let counts = [
            ("input_len", self.input_len),
            ("horizon", self.horizon),
            ("hidden", self.hidden),
            ("kernel", self.kernel),
            ("units", self.units),
            ("head_hidden", self.head_hidden),
        ];
        for (setting, count) in counts {
            if count == 0 {
                return Err(ModelError::domain(setting, count, "at least 1"));
            }
        }
        let not_negative = |x: f64| x >= 0.0 && x.is_finite();
        let domains = [
            ("dropout", self.dropout, (0.0..1.0).contains(&self.dropout), "in [0, 1)"),
            (
                "loading_correlation",
                self.loading_correlation,
                (0.0..1.0).contains(&self.loading_correlation),
                "in [0, 1)",
            ),
            ("beta", self.beta, not_negative(self.beta), "finite and at least 0"),
            (
                "initial_energy",
                self.initial_energy,
                not_negative(self.initial_energy),
                "finite and at least 0",
            ),
        ];
        for (setting, value, good, domain) in domains {
            if !good {
                return Err(ModelError::domain(setting, value, domain));
            }
        }
        Ok(())
    }

    fn check_layers(&self) -> Result<(), ModelError> {
        let depth = self.depth;
        if !(1..=MAX_DEPTH).contains(&depth) {
            return Err(ModelError::domain("depth", depth, format!("1 to {MAX_DEPTH}")));
        }
        self.widths.map_or(Ok(()), |widths| widths.fits("widths", depth))?;
        self.distributional_fraction.fits("distributional_fraction", depth)?;
        self.layer_beta.fits("layer_beta", depth)?;
        self.family.fits("family", depth)?;
        self.prior.fits("prior", depth)?;
        for (index, layer) in self.stack().iter().enumerate() {
            layer.validate().map_err(|error| self.of_own_field(error))?;
            let factor = self.layer_beta.get(index);
            if !(factor >= 0.0 && factor.is_finite()) {
                let domain = format!("finite and at least 0 (layer {})", index + 1);
                return Err(ModelError::domain("layer_beta", factor, domain));
            }
        }
        Ok(())
    }

    /// Replaces a layer's field name in an error by the field name of this struct.
    fn of_own_field(&self, error: ModelError) -> ModelError {
        match error {
            ModelError::Config { setting, value, reason } => {
                let setting = match setting {
                    "inputs" => "hidden",
                    "train_samples" => "samples",
                    "units" if self.widths.is_some() => "widths",
                    same => same,
                };
                ModelError::Config { setting, value, reason }
            }
            other => other,
        }
    }

    /// Rejects sizes too large for memory: each dimension is at most 2^24, and every weight matrix
    /// has at most 2^30 numbers.
    fn check_sizes(&self) -> Result<(), ModelError> {
        let widest = (0..self.depth).map(|layer| self.width(layer)).max().unwrap_or(0);
        let sizes = [
            ("input_len", self.input_len),
            ("horizon", self.horizon),
            ("hidden", self.hidden),
            ("kernel", self.kernel),
            ("head_hidden", self.head_hidden),
            ("units", widest),
            ("latent_dims", self.latent_dims),
            ("covariates", self.covariates),
            ("categories", self.categories),
            ("samples", self.samples),
            ("evaluate_samples", self.evaluate_samples),
        ];
        for (setting, size) in sizes {
            if size > MAX_SIZE {
                return Err(ModelError::domain(setting, size, "at most 2^24"));
            }
        }
        // A product of two numbers up to 2^24 and a third factor up to 2^24 fits into 128 bits.
        let wide = |x: usize| x as u128;
        let latent = wide(widest) * wide(self.latent_dims);
        let weights = [
            ("units times latent_dims times hidden", latent * wide(self.hidden)),
            ("units times latent_dims times head_hidden", latent * wide(self.head_hidden)),
            ("units times latent_dims times horizon", latent * wide(self.horizon)),
            ("units times latent_dims, squared", if self.depth > 1 { latent * latent } else { 0 }),
            ("input_len times hidden", wide(self.input_len) * wide(self.hidden)),
            ("input_len times horizon", wide(self.input_len) * wide(self.horizon)),
            ("covariates times hidden", wide(self.covariates) * wide(self.hidden)),
            ("covariates times horizon", wide(self.covariates) * wide(self.horizon)),
            ("categories times hidden", wide(self.categories) * wide(self.hidden)),
            ("categories times horizon", wide(self.categories) * wide(self.horizon)),
            ("hidden squared, three times", 3 * wide(self.hidden) * wide(self.hidden)),
            ("head_hidden times horizon", wide(self.head_hidden) * wide(self.horizon)),
            ("hidden times horizon", wide(self.hidden) * wide(self.horizon)),
        ];
        for (setting, size) in weights {
            if size > 1 << 30 {
                let reason = format!("{size} numbers in one weight, at most 2^30 are supported");
                return Err(ModelError::config(setting, reason));
            }
        }
        Ok(())
    }

    /// Checks every pair of settings that can contradict each other.
    fn check_contradictions(&self) -> Result<(), ModelError> {
        let layers = self.stack();
        let with_posteriors = || layers.iter().filter(|layer| layer.distributional() > 0);
        let gaussian =
            with_posteriors().all(|layer: &StackLayerConfig| layer.layer.family.is_gaussian());
        let sampled = self.objective != Objective::Vib;
        let asked = matches!(self.dependence, Dependence::Joint | Dependence::Split);
        let closed = self.without_closed_form().filter(|_| asked);
        let contradictions = [
            (closed.is_some(), "dependence", closed.unwrap_or_default()),
            (
                sampled && self.variant != Variant::Variational,
                "objective",
                "elbo and iwae need posteriors, a deterministic twin has none",
            ),
            (
                sampled && self.aggregation == Aggregation::Score,
                "aggregation",
                "elbo and iwae weigh samples themselves, score aggregation does too",
            ),
            (
                sampled && with_posteriors().next().is_none(),
                "objective",
                "elbo and iwae need posteriors, distributional_fraction 0 leaves none",
            ),
            (
                self.objective == Objective::Iwae && !gaussian,
                "objective",
                "iwae weighs samples of normal or log-normal units only",
            ),
            (
                self.variant == Variant::ReferenceTwin && self.depth > 1,
                "depth",
                "the reference's twin has one layer",
            ),
        ];
        match contradictions.iter().find(|(contradict, ..)| *contradict) {
            Some(&(_, setting, reason)) => Err(ModelError::config(setting, reason)),
            None => Ok(()),
        }
    }

    /// Returns the reason why the joint distribution of steps has no closed form; `None` if it has
    /// one.
    pub(super) fn without_closed_form(&self) -> Option<&'static str> {
        let layers = self.stack();
        let plain = layers.iter().all(|layer| {
            let LayerConfig { latent_dims, family, prior, .. } = layer.layer;
            latent_dims == 1 && family == UnitFamily::Normal && prior == LayerPrior::Standard
        });
        let reasons = [
            (
                self.score != Score::Marginal,
                "joint and split score a closed form, without samples: score has to be marginal",
            ),
            (
                self.objective != Objective::Vib,
                "joint and split score no samples, elbo and iwae do: objective has to be vib",
            ),
            (
                self.aggregation != Aggregation::Mean,
                "joint and split have normal steps: aggregation has to be mean",
            ),
            (
                self.depth > 1 || self.distributional_fraction.get(0) < 1.0,
                "joint and split are for one layer whose units are all distributions",
            ),
            (!plain, "joint and split are for normal units, latent_dims 1 and the standard prior"),
            (
                self.variant == Variant::ReferenceTwin,
                "the reference's twin has a head of its own: dependence has to be sampled",
            ),
        ];
        reasons.into_iter().find(|(holds, _)| *holds).map(|(_, reason)| reason)
    }
}
