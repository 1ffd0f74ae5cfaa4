//! [`ParameterGroup`]: parameters with a learning rate or a weight decay of their own, or none.

use crate::error::TrainError;
use serde::{Deserialize, Serialize};
use vdn_model::core::Parameters;
use vdn_tensor::Element;

/// The parameters whose names begin with a prefix, and how they depart from the others.
///
/// ```
/// use vdn_model::core::Parameters;
/// use vdn_tensor::Tensor;
/// use vdn_train::optim::{AdamW, AdamWConfig, ParameterGroup};
/// let mut parameters = Parameters::<f32>::new();
/// parameters.add("encoder.weight", Tensor::full([2], 1.0));
/// parameters.add("head.weight", Tensor::full([2], 1.0));
/// let frozen = ParameterGroup { frozen: true, ..ParameterGroup::new("encoder.") };
/// let mut optimizer = AdamW::new(&parameters, AdamWConfig::default())?
///     .with_groups(&[frozen], &parameters)?;
/// let ones = [1.0; 2];
/// optimizer.step(&mut parameters, 0.1, [Some(&ones[..]), Some(&ones[..])].into_iter())?;
/// let first = |name| parameters.get(parameters.find(name).unwrap()).tensor().data()[0];
/// assert_eq!(first("encoder.weight"), 1.0);
/// assert!(first("head.weight") < 0.95);
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterGroup {
    /// The beginning of the parameters' names. A parameter belongs to the first group it fits.
    pub prefix: String,
    /// A factor on the learning rate, at least 0; default 1.
    #[serde(default = "one")]
    pub rate: f64,
    /// The weight decay in the place of the optimiser's, at least 0; left out: the optimiser's.
    #[serde(default)]
    pub weight_decay: Option<f64>,
    /// Whether the parameters stay as they are; default `false`.
    #[serde(default)]
    pub frozen: bool,
}

fn one() -> f64 {
    1.0
}

impl ParameterGroup {
    /// The parameters whose names begin with `prefix`, like all others so far.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), rate: 1.0, weight_decay: None, frozen: false }
    }
}

/// How one parameter departs from the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Own {
    pub(super) rate: f64,
    pub(super) weight_decay: Option<f64>,
    pub(super) frozen: bool,
}

/// The group of each parameter; of none without groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Groups(Vec<Own>);

impl Groups {
    pub(super) fn new<T: Element>(
        groups: &[ParameterGroup],
        parameters: &Parameters<T>,
    ) -> Result<Self, TrainError> {
        for group in groups {
            let ParameterGroup { prefix, rate, weight_decay, .. } = group;
            let refuse = |name: &str, value: f64| {
                let reason = format!("group `{prefix}`: {name} = {value}: has to be at least 0");
                Err(TrainError::config(format!("optimizer: {reason} and finite")))
            };
            let good = |x: f64| x >= 0.0 && x.is_finite();
            if !good(*rate) {
                return refuse("rate", *rate);
            }
            if let Some(decay) = weight_decay.filter(|&decay| !good(decay)) {
                return refuse("weight_decay", decay);
            }
            if !parameters.iter().any(|p| p.name().starts_with(prefix.as_str())) {
                let reason = format!("group `{prefix}`: no parameter has a name that begins so");
                return Err(TrainError::config(format!("optimizer: {reason}")));
            }
        }
        let of = |name: &str| {
            let group = groups.iter().find(|group| name.starts_with(&group.prefix));
            group.map_or(Self::COMMON, |group| Own {
                rate: group.rate,
                weight_decay: group.weight_decay,
                frozen: group.frozen,
            })
        };
        Ok(Self(parameters.iter().map(|p| of(p.name())).collect()))
    }

    const COMMON: Own = Own { rate: 1.0, weight_decay: None, frozen: false };

    /// The largest factor on the learning rate, at least 1.
    pub(super) fn largest_rate(&self) -> f64 {
        self.0.iter().fold(1.0, |most, own| own.rate.max(most))
    }

    pub(super) fn of(&self, index: usize) -> Own {
        self.0.get(index).copied().unwrap_or(Self::COMMON)
    }
}
