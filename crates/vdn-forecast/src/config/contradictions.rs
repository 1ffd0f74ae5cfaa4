//! Checks for settings of different tables that contradict each other.
//!
//! Each table checks its own settings: the model in `forecaster::check`, controllers in
//! `vdn_train::config`.

use crate::config::{FillPolicy, RunConfig};
use crate::data::Support;
use crate::forecaster::{Dependence, ForecasterConfig};
use vdn_model::objective::Objective;
use vdn_train::TrainError;
use vdn_train::config::ControllerName;

impl RunConfig {
    /// Rejects settings whose batch of latents has more than 2^31 numbers.
    pub(super) fn check_memory(&self, model: &ForecasterConfig) -> Result<(), TrainError> {
        let latents = model.units as u128 * model.latent_dims as u128;
        let passes = [
            ("samples", model.samples, "train.batch", self.train.batch),
            ("evaluate_samples", model.evaluate_samples, "windows", self.train.averages().batch),
        ];
        for (setting, samples, of, batch) in passes {
            let numbers = latents.saturating_mul(samples as u128).saturating_mul(batch as u128);
            if numbers > 1 << 31 {
                return Err(TrainError::config(format!(
                    "model.{setting} = {samples}: with {latents} latent dimensions and {of} \
                     {batch} these are {numbers} numbers, at most 2^31 are supported"
                )));
            }
        }
        Ok(())
    }

    /// Checks every pair of tables for settings that contradict each other.
    pub(super) fn check_contradictions(&self) -> Result<(), TrainError> {
        if self.data.fill == FillPolicy::Mask && self.model.dependence == Dependence::Joint {
            return Err(TrainError::config(
                "data.fill = \"mask\" and model.dependence = \"joint\": a window is scored whole; \
                 \"split\" scores single steps",
            ));
        }
        if self.data.fill == FillPolicy::Mask && self.model.objective != Objective::Vib {
            return Err(TrainError::config(
                "data.fill = \"mask\" and model.objective: a bound is that of whole windows; \
                 \"vib\" scores the steps that are there",
            ));
        }
        if self.data.support == Support::NonNegative && self.model.dependence == Dependence::Joint {
            return Err(TrainError::config(
                "data.support = \"non_negative\" and model.dependence = \"joint\": the density of a \
                 window with zeros has no closed form; \"split\" scores single steps",
            ));
        }
        for name in [ControllerName::Ar, ControllerName::Persistence] {
            if self.control.has_anywhere(name) {
                self.check_lag(name)?;
            }
        }
        if self.control.has_anywhere(ControllerName::Persistence) && self.train.batch < 2 {
            let reason =
                "train.batch = 1 and the persistence target: a correlation takes two windows";
            return Err(TrainError::config(reason));
        }
        Ok(())
    }

    /// Checks that windows include the earlier rows that a controller reads.
    fn check_lag(&self, name: ControllerName) -> Result<(), TrainError> {
        let title = name.title();
        if self.data.stride == 0 {
            let reason = format!("data.stride = 0 and {title}: a window would be its own past");
            return Err(TrainError::config(reason));
        }
        if self.control.wants_predecessors() && !self.data.extra_lag {
            let reason = format!(
                "data.extra_lag = false and {title}: it needs the predecessors of earlier windows"
            );
            return Err(TrainError::config(reason));
        }
        Ok(())
    }
}
