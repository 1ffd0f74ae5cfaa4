//! Measures of the units of a sequence forecaster: information, cost and memory.

use crate::sequence::SequenceForecaster;
use crate::sequence::particles::for_each_message;
use crate::sequence::series::Series;
use vdn_autograd::Error;
use vdn_model::core::{ModelError, Parameters};
use vdn_model::diagnostics::SequenceDiagnostics;
use vdn_model::sequence::Diagnosis;
use vdn_tensor::Element;

impl SequenceForecaster {
    /// Returns the measures of every unit over the steps of the series that have a complete past:
    ///
    /// - rate, mismatch and KL given the past;
    /// - rate and mismatch without it;
    /// - persistence, and the prior's coefficients;
    /// - energy, and the signal-to-noise ratio.
    ///
    /// They are computed from the messages by the moments of the posterior, without sampling.
    /// [`SequenceDiagnostics::living`] classifies the units.
    ///
    /// ```
    /// use vdn_forecast::sequence::{SequenceForecaster, SequenceForecasterConfig, Series};
    /// use vdn_model::diagnostics::{CollapseThresholds, UnitBudget};
    /// let config = SequenceForecasterConfig { units: 3, hidden: vec![8], ..Default::default() };
    /// let (model, parameters) = SequenceForecaster::new::<f32>(config, 0)?;
    /// let x: Vec<f32> = (0..80).map(|t| (t as f32 / 5.0).sin()).collect();
    /// let found = model.diagnostics(&parameters, Series::new(model.config(), &x, &[], 2)?)?;
    /// for unit in 0..3 {
    ///     // What is paid is information that the past did not have, and the distance of the transitions.
    ///     let paid = found.rate_given_past[unit] + found.mismatch_given_past[unit];
    ///     assert!((found.kl[unit] - paid).abs() < 1e-9);
    /// }
    /// let living = found.living(&CollapseThresholds::default(), &UnitBudget { high: 3.0, ..Default::default() });
    /// println!("{living}"); // 3 of 3 units living
    /// assert_eq!(living.units(), 3);
    /// # Ok::<(), vdn_model::core::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Fails for a series of another model, for a series that is not longer than the prior's order
    /// (or has fewer than two steps), and for missing steps with a posterior other than the
    /// structured one.
    pub fn diagnostics<T: Element>(
        &self,
        parameters: &Parameters<T>,
        series: Series<'_, T>,
    ) -> Result<SequenceDiagnostics, ModelError> {
        let pass = self.pass(series, 1)?;
        pass.refuse_missing(0..pass.series.steps())?;
        let (units, prior) = (self.config.units, self.layer.prior());
        let (steps, wanted) = (series.steps(), prior.order().max(1) + 1);
        if steps < wanted {
            let reason = format!("a series of {steps} steps, {wanted} at least are wanted");
            return Err(Error::invalid("diagnostics", reason).into());
        }
        let size = [series.batch() * units, units];
        let mut diagnosis = Diagnosis::new(parameters, (prior, self.config.posterior), size)?;
        for_each_message(&pass, parameters, |_, message, variance| {
            diagnosis.push(message, variance);
            Ok(())
        })?;
        Ok(diagnosis.finish())
    }
}
