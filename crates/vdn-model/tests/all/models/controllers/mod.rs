//! Controllers: the effect of each on its lever; convergence of the loops; restored states; refused
//! contradictions.

mod beyond;
mod rules;
mod sequences;
mod stack;

use vdn_model::controllers::{EnergyBand, Hinge, HingeForm, LayerControl, MonitorConfig};
use vdn_model::core::{Builder, Parameters};
use vdn_model::objective::BandTerm;
use vdn_model::units::{LayerConfig, SigmaMode, VariationalLayer};

pub(crate) const HINGE: Hinge =
    Hinge { form: HingeForm::Relative { eps: 1e-3 }, weight_low: 1.0, weight_high: 1.0 };

/// Running means for controllers whose steps are given by hand. Every unit with a KL above 0 is
/// alive.
pub(crate) const RUNNING: MonitorConfig =
    MonitorConfig { rate: 0.1, alive_energy: 0.0, alive_kl: 0.0 };

pub(crate) fn band(lo: &[f64], hi: &[f64]) -> BandTerm {
    BandTerm { bounds: EnergyBand { lo: lo.to_vec(), hi: hi.to_vec() }, hinge: HINGE, weight: 1.0 }
}

pub(crate) fn layer(units: usize, sigma: SigmaMode) -> (VariationalLayer, Parameters<f64>) {
    let mut parameters = Parameters::new();
    let config = LayerConfig { inputs: 3, units, sigma, ..LayerConfig::default() };
    let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 1), config).unwrap();
    (layer, parameters)
}

/// Shows a control units with these energies and KLs.
pub(crate) fn show(control: &mut LayerControl, energy: &[f64], kl: &[f64]) {
    control.observe_with(|seen| {
        seen.rows = 16;
        seen.energy.copy_from_slice(energy);
        seen.kl.copy_from_slice(kl);
        seen.alive.fill(1.0);
        seen.kl_dims.copy_from_slice(kl);
        seen.rate_dims.copy_from_slice(kl);
    });
}
