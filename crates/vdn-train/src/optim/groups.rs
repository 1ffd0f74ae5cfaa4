//! [`ParameterGroup`]: parameters with their own learning rate or weight decay, or none.

use crate::error::TrainError;
use crate::optim::optimizer::{clip_factor, global_norm};
use serde::{Deserialize, Serialize};
use vdn_model::core::Parameters;
use vdn_tensor::Element;
use vdn_tensor::kernels::dot;

/// The parameters whose names begin with a prefix, and the settings in which they differ from all
/// others.
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
    /// The prefix of the parameters' names. A parameter belongs to the first group of a list whose
    /// prefix matches.
    pub prefix: String,
    /// A factor on the learning rate, at least 0; default 1. As always in AdamW, the weight decay
    /// of a step is proportional to the learning rate.
    #[serde(default = "one")]
    pub rate: f64,
    /// The weight decay that replaces the optimiser's, at least 0; default: the optimiser's.
    #[serde(default)]
    pub weight_decay: Option<f64>,
    /// Whether the parameters are frozen; default `false`.
    #[serde(default)]
    pub frozen: bool,
    /// Whether the gradients of this group are clipped separately; default `false`. The gradients
    /// of all such groups, times their rates, are clipped by their joint norm. They do not count in
    /// the norm by which all other gradients are clipped.
    #[serde(default)]
    pub own_clip: bool,
}

fn one() -> f64 {
    1.0
}

impl ParameterGroup {
    /// A group of the parameters whose names begin with `prefix`, with the defaults for all
    /// settings.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            rate: 1.0,
            weight_decay: None,
            frozen: false,
            own_clip: false,
        }
    }
}

/// The settings in which one parameter differs from the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Own {
    pub(super) rate: f64,
    pub(super) weight_decay: Option<f64>,
    pub(super) frozen: bool,
    pub(super) own_clip: bool,
}

/// The settings of each parameter; empty without groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Groups(Vec<Own>);

impl Groups {
    /// Combines these groups with the settings that each parameter has so far: rates multiply, a
    /// frozen parameter stays frozen, and the decay that was given first holds.
    pub(super) fn with<T: Element>(
        &self,
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
        let of = |(index, name): (usize, &str)| {
            let own = self.of(index);
            let group = groups.iter().find(|group| name.starts_with(&group.prefix));
            group.map_or(own, |group| Own {
                rate: own.rate * group.rate,
                weight_decay: own.weight_decay.or(group.weight_decay),
                frozen: own.frozen || group.frozen,
                own_clip: own.own_clip || group.own_clip,
            })
        };
        let names = parameters.iter().map(|p| p.name()).enumerate();
        Ok(Self(names.map(of).collect()))
    }

    const COMMON: Own = Own { rate: 1.0, weight_decay: None, frozen: false, own_clip: false };

    /// The largest factor on the learning rate, at least 1.
    pub(super) fn largest_rate(&self) -> f64 {
        self.0.iter().fold(1.0, |most, own| own.rate.max(most))
    }

    /// Returns the norm of all gradients and two clipping factors: one for common parameters, and
    /// one for groups that are clipped separately.
    ///
    /// # Errors
    /// Returns an error that names the parameter if a gradient is not finite.
    pub(super) fn clips<'g, T: Element>(
        &self,
        clip_norm: f64,
        parameters: &Parameters<T>,
        gradients: impl Iterator<Item = Option<&'g [T]>> + Clone,
    ) -> Result<(f64, [f64; 2]), TrainError> {
        let norm = global_norm(parameters, gradients.clone())?;
        let clips_of = |own: bool| {
            let each = gradients.clone().enumerate();
            let each = each.filter_map(|(index, g)| g.map(|g| (self.of(index), g)));
            let squares = each.filter(|(group, _)| group.own_clip == own).map(|(group, g)| {
                let scale = if own { group.rate * group.rate } else { 1.0 };
                scale * dot(g, g).to_f64()
            });
            clip_factor(clip_norm, squares.sum::<f64>().sqrt())
        };
        let any = self.0.iter().any(|own| own.own_clip);
        let common = if any { clips_of(false) } else { clip_factor(clip_norm, norm) };
        Ok((norm, [common, if any { clips_of(true) } else { 1.0 }]))
    }

    pub(super) fn of(&self, index: usize) -> Own {
        self.0.get(index).copied().unwrap_or(Self::COMMON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vdn_tensor::Tensor;

    fn parameters() -> Parameters<f32> {
        let mut parameters = Parameters::new();
        for name in ["a.weight", "b.weight", "b.bias"] {
            parameters.add(name, Tensor::full([2], 1.0));
        }
        parameters
    }

    #[test]
    fn groups_that_are_given_later_combine() -> Result<(), TrainError> {
        let parameters = parameters();
        let first = ParameterGroup { rate: 3.0, frozen: true, ..ParameterGroup::new("b.w") };
        let any = ParameterGroup { weight_decay: Some(0.5), ..ParameterGroup::new("") };
        let groups = Groups::default().with(&[first, any], &parameters)?;
        let second = ParameterGroup {
            rate: 24.0,
            weight_decay: Some(0.1),
            own_clip: true,
            ..ParameterGroup::new("b.")
        };
        let groups = groups.with(&[second], &parameters)?;
        let own =
            |rate, weight_decay, frozen, own_clip| Own { rate, weight_decay, frozen, own_clip };
        assert_eq!(groups.of(0), own(1.0, Some(0.5), false, false));
        assert_eq!(groups.of(1), own(72.0, Some(0.1), true, true));
        assert_eq!(groups.of(2), own(24.0, Some(0.5), false, true));
        assert_eq!(groups.largest_rate(), 72.0);
        Ok(())
    }

    #[test]
    fn a_clip_of_its_own_leaves_that_of_others_alone() -> Result<(), TrainError> {
        let parameters = parameters();
        // Norms 0.5, 3000 and 4000.
        let gradients = [[0.3, 0.4], [0.0, 3000.0], [4000.0, 0.0]];
        let gradients = || gradients.iter().map(|g| Some(&g[..]));
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-6;
        let (norm, [common, _]) = Groups::default().clips(1.0, &parameters, gradients())?;
        assert!(near(norm, 5000.0) && near(common, 1.0 / 5000.0));
        let own = ParameterGroup { rate: 2.0, own_clip: true, ..ParameterGroup::new("b.") };
        let groups = Groups::default().with(&[own], &parameters)?;
        let (norm, [common, own]) = groups.clips(1.0, &parameters, gradients())?;
        assert!(near(norm, 5000.0) && common == 1.0 && near(own, 1.0 / 10_000.0));
        Ok(())
    }
}
