//! [`UnitReport`]: the health of the units: the living units, the reasons why others do not live,
//! and the value and cost of all of them.
//!
//! The file `units.csv` has every unit of the best weights on its own line. Its columns are:
//!
//! * `layer`, from 1, in a model of several layers
//! * `unit`
//! * the measures on the validation windows:
//!   `rate, kl, mismatch, energy, sigma, beta, signal_to_noise, active, saturation, alive, drift`
//! * the measures on the probe set:
//!   `information, information_error, rho, rho_stride, rate_given_past`, and, for units that had
//!   interventions, `value, value_error, net, share, share_error`
//! * `state`: `living`, or all reasons why the unit does not live, joined by `+`
//!
//! Values that were not measured are empty cells.

use crate::data::Noun;
use crate::error::TrainError;
use crate::run::atomic_file::write_atomically;
use crate::units::layer_use::LayerUse;
use crate::units::probe::LayerProbe;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;
use vdn_model::diagnostics::{Diagnostics, HealthTrend, Living, UnitBudget};

/// The units of the best weights on the validation windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitReport {
    /// The number of units.
    pub units: usize,
    /// The number of living units.
    pub living: usize,
    /// The number of units that do not live, by reason. Each unit counts under its gravest reason.
    pub reasons: BTreeMap<String, usize>,
    /// The interval of rates of a living unit in nats per latent dimension.
    pub budget: [f64; 2],
    /// The sum of all KLs in nats per window.
    pub kl: f64,
    /// The mean rate in nats per latent dimension.
    pub rate: f64,
    /// The mean mismatch in nats per latent dimension.
    pub mismatch: f64,
    /// The mean energy.
    pub energy: f64,
    /// The mean signal-to-noise ratio.
    pub signal_to_noise: f64,
    /// The mean deviation.
    pub sigma: f64,
    /// The share of active dimensions.
    pub active: f64,
    /// The share of units inside their energy band; `None` without bands.
    pub inside: Option<f64>,
    /// A summary: `1019 of 1024 units living; 3 posterior_collapse, 2 drift`.
    pub line: String,
    /// The measurements on the probe set; `None` without one.
    pub probe: Option<ProbeReport>,
    /// The name of an example in reports.
    #[serde(skip)]
    pub examples: Noun,
}

/// The measurements on the probe set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeReport {
    /// The number of windows in the probe set.
    pub windows: usize,
    /// The value of all units of the layer together, on all validation windows.
    pub layer: LayerUse,
    /// Whether the units are used: their value exceeds two standard errors.
    pub used: bool,
    /// Whether they are used by the model's own predictive score.
    pub used_by_score: bool,
    /// The mean information of units about their input in nats per latent dimension; `None` for
    /// units that are not normal or log-normal.
    pub information: Option<f64>,
    /// The largest information that a probe set of this size can show.
    pub information_ceiling: Option<f64>,
    /// The mean autocorrelation between windows that share no row; `None` if the series are too
    /// short.
    pub rho: Option<f64>,
    /// The mean autocorrelation between successive windows, `stride` rows apart. A persistence
    /// target controls this value.
    pub rho_stride: Option<f64>,
    /// The number of units that had interventions.
    pub units_probed: usize,
    /// The sum of the units' values in nats per window.
    pub unit_values: f64,
    /// The number of units with a positive value, at 95 % confidence for all units together.
    pub units_with_value: usize,
    /// The number of units whose value exceeds their cost, at the same confidence.
    pub units_with_net_value: usize,
    /// Wall-clock seconds for the layer, for information and persistence, and for the units.
    pub seconds: [f64; 3],
}

/// The confidence of statements about single units, for all units together.
const CONFIDENCE: f64 = 0.95;

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len().max(1) as f64
}

impl ProbeReport {
    fn new(probe: &LayerProbe) -> Self {
        let found = &probe.unit_use;
        let count = |of: Vec<bool>| of.into_iter().filter(|&yes| yes).count();
        Self {
            windows: probe.windows,
            layer: probe.worth,
            used: probe.worth.is_used(),
            used_by_score: probe.worth.is_used_by_score(),
            information: probe.information.as_ref().map(|found| mean(&found.nats)),
            information_ceiling: probe.information.as_ref().map(|found| found.ceiling),
            rho: probe.rho.as_deref().map(mean),
            rho_stride: probe.rho_stride.as_deref().map(mean),
            units_probed: found.units.len(),
            unit_values: found.value.iter().sum(),
            units_with_value: count(found.valuable(CONFIDENCE)),
            units_with_net_value: count(found.worth_their_cost(CONFIDENCE)),
            seconds: probe.seconds,
        }
    }
}

impl UnitReport {
    /// Creates a report from the units' diagnostics, their health, their budget, and the result of
    /// a probe. `examples` is the name of an example.
    #[must_use]
    pub fn new(
        diagnostics: &Diagnostics,
        living: &Living,
        budget: &UnitBudget,
        probe: Option<&LayerProbe>,
        examples: Noun,
    ) -> Self {
        let summary = diagnostics.summary();
        let counts = living.counts().into_iter();
        Self {
            units: living.units(),
            living: living.living(),
            reasons: counts.map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
            budget: [budget.low, budget.high],
            kl: summary.total_kl,
            rate: summary.rate,
            mismatch: summary.mismatch,
            energy: summary.energy,
            signal_to_noise: summary.signal_to_noise,
            sigma: summary.sigma,
            active: summary.active,
            inside: summary.inside,
            line: living.to_string(),
            probe: probe.map(ProbeReport::new),
            examples,
        }
    }
}

/// Formats a line about the value and cost of units: a label ten columns wide, the name of the
/// units, and the measurements.
pub(crate) fn use_line(label: &str, whose: &str, l: &LayerUse, examples: Noun) -> String {
    let Noun { one, many } = examples;
    let error = |e: Option<f64>| e.map_or_else(String::new, |e| format!(" +- {e:.2}"));
    let verdict = match (l.is_used(), l.is_used_by_score()) {
        (true, _) => "used",
        (false, true) => "used by the mixture alone",
        (false, false) => "NOT USED (at most two standard errors)",
    };
    let Some(noise) = l.noise_value else {
        return format!(
            "{label}{verdict}: {whose} bring {:.2}{} nats per {one} (by the predictive score \
             {:.2}{}) and cost {:.2}, net {:.2} (test {many})",
            l.value,
            error(l.value_error),
            l.score_value,
            error(l.score_value_error),
            l.kl,
            l.net,
        );
    };
    format!(
        "{label}{verdict}: the noise that steps share through {whose} brings {noise:.2}{} nats \
         per {one},\n          what {whose} know brings {:.2}{}, they cost {:.2}, net {:.2}{} \
         (test {many})",
        error(l.noise_value_error),
        l.value,
        error(l.value_error),
        l.kl,
        l.net,
        error(l.net_error),
    )
}

impl UnitReport {
    /// Writes the lines about the units. The first line has this label.
    pub(crate) fn lines(&self, f: &mut fmt::Formatter<'_>, label: &str) -> fmt::Result {
        // Rounding removes the meaningless digits of 20 % around a target.
        let many = self.examples.many;
        let [low, high] = self.budget.map(|rate| (rate * 1e6).round() / 1e6);
        write!(
            f,
            "{label}{} (validation {many}; a living unit's rate is in [{low}, {high}] nats)",
            self.line
        )?;
        let Some(probe) = &self.probe else { return Ok(()) };
        write!(
            f,
            "\n{}\neach      ",
            use_line("use       ", "all units", &probe.layer, self.examples)
        )?;
        match probe.units_probed {
            0 => write!(f, "no unit had interventions")?,
            probed => write!(
                f,
                "{} of {probed} surely bring something, {} more than they cost",
                probe.units_with_value, probe.units_with_net_value,
            )?,
        }
        if let Some(information) = probe.information {
            write!(f, "; information {information:.3} nats")?;
        }
        if let Some(rho) = probe.rho {
            write!(f, ", persistence {rho:.2}")?;
            if let Some(near) = probe.rho_stride {
                write!(f, " (of successive {many} {near:.2})")?;
            }
        }
        write!(f, " ({} {many}, {:.1} s)", probe.windows, probe.seconds.iter().sum::<f64>())
    }
}

impl fmt::Display for UnitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines(f, "units     ")
    }
}

/// The mean over the latent dimensions of each unit.
pub(crate) fn per_unit(of_dims: &[f64], latent_dims: usize) -> Vec<f64> {
    of_dims.chunks_exact(latent_dims.max(1)).map(mean).collect()
}

/// The known measures of the units of a layer, unit by unit.
#[derive(Clone, Copy, Debug)]
pub struct LayerUnits<'a> {
    /// The number of the layer, from 0; `None` in a network of one layer. The file counts from 1.
    pub layer: Option<usize>,
    /// The internal measures of the units.
    pub diagnostics: &'a Diagnostics,
    /// The health of the units.
    pub living: &'a Living,
    /// The trends of the units over the epochs of training.
    pub seen: &'a HealthTrend,
    /// The result of a probe.
    pub probe: Option<&'a LayerProbe>,
}

/// Writes every unit on its own line, layer by layer.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub fn write_units(path: &Path, layers: &[LayerUnits<'_>]) -> Result<(), TrainError> {
    let mut text = String::new();
    if layers.iter().any(|layer| layer.layer.is_some()) {
        text.push_str("layer,");
    }
    text.push_str(
        "unit,rate,kl,mismatch,energy,sigma,beta,signal_to_noise,active,saturation,alive,drift,information,\
         information_error,rho,rho_stride,rate_given_past,value,value_error,net,share,share_error,state\n",
    );
    layers.iter().for_each(|layer| push_units(&mut text, layer));
    write_atomically(path, text.as_bytes())
}

/// The lines of a layer.
fn push_units(text: &mut String, layer: &LayerUnits<'_>) {
    let LayerUnits { diagnostics: d, living, seen, probe, .. } = *layer;
    let k = d.latent_dims;
    let dims = |of: Option<&[f64]>| of.map(|of| per_unit(of, k));
    let found = probe.and_then(|p| p.information.as_ref());
    let information = dims(found.map(|found| &found.nats[..]));
    let information_error = dims(found.map(|found| &found.error[..]));
    let rho = dims(probe.and_then(|p| p.rho.as_deref()));
    let rho_stride = dims(probe.and_then(|p| p.rho_stride.as_deref()));
    let left = dims(probe.and_then(|p| p.rate_given_past.as_deref()));
    for unit in 0..d.units() {
        let of = |x: &[f64]| Some(x[unit]);
        let maybe = |x: Option<&Vec<f64>>| x.and_then(|x| x.get(unit)).copied();
        let place = probe.and_then(|p| {
            let place = p.unit_use.units.iter().position(|&probed| probed == unit)?;
            Some((&p.unit_use, place))
        });
        let cells = [
            of(&d.rate),
            of(&d.kl),
            of(&d.mismatch),
            of(&d.energy),
            of(&d.sigma),
            of(&d.beta),
            of(&d.signal_to_noise),
            of(&d.active),
            of(&d.saturation),
            of(&d.alive),
            maybe(seen.drift.as_ref()),
            maybe(information.as_ref()),
            maybe(information_error.as_ref()),
            maybe(rho.as_ref()),
            maybe(rho_stride.as_ref()),
            maybe(left.as_ref()),
            place.map(|(p, i)| p.value[i]),
            place.map(|(p, i)| p.value_error[i]),
            place.map(|(p, i)| p.net[i]),
            place.map(|(p, i)| p.share[i]),
            place.map(|(p, i)| p.share_error[i]),
        ];
        if let Some(layer) = layer.layer {
            write!(text, "{},", layer + 1).expect("writing to a string cannot fail");
        }
        write!(text, "{unit},").expect("writing to a string cannot fail");
        for cell in cells {
            if let Some(cell) = cell.filter(|cell| cell.is_finite()) {
                // None of these values is known to more than six digits.
                write!(text, "{}", cell as f32).expect("writing to a string cannot fail");
            }
            text.push(',');
        }
        let reasons: Vec<&str> = living.reasons(unit).iter().map(|r| r.name()).collect();
        text.push_str(if reasons.is_empty() { "living" } else { "" });
        text.push_str(&reasons.join("+"));
        text.push('\n');
    }
}
