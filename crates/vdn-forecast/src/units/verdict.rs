//! [`Judge`]: which units of trained weights live, with interventions on single units: the verdict that `vdn train` ends with.

use crate::data::{Dataset, WindowIndex};
use crate::evaluate::validation::validate_under;
use crate::forecaster::Forecaster;
use crate::units::diagnose::{diagnose, rate_given_past};
use crate::units::layer_use::LayerUse;
use crate::units::probe::{LayerProbe, probe_on};
use vdn_model::Parameters;
use vdn_model::controllers::StackControl;
use vdn_model::diagnostics::{CollapseThresholds, Diagnostics, Evidence, Living, Seen, UnitBudget};
use vdn_tensor::Element;
use vdn_train::BatchAverages;
use vdn_train::DiagnosticsConfig;
use vdn_train::NoiseSeed;
use vdn_train::TrainError;

/// What units are judged by.
///
/// ```
/// use vdn_forecast::Forecaster;
/// use vdn_forecast::{Judge, RunConfig, Trainer};
/// use vdn_train::BatchAverages;
/// let text = "[data]\nmax_train = 16\nmax_validation = 8\n[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\n[train]\nepochs = 1\n";
/// let config = RunConfig::from_toml(text)?;
/// let data = config.data.dataset(config.data.load_table()?)?;
/// let (model, mut parameters) = Forecaster::new::<f32>(config.forecaster()?, 0)?;
/// let trained = Trainer::new(&config).train(&model, &mut parameters, &data, |_| {})?;
/// let mut control = config.control.build(&model.config().controlled_layers(), false)?;
/// control.restore(trained.control.as_ref().expect("rates are held"))?;
/// let judge = Judge {
///     noise: config.train.noise(),
///     averages: BatchAverages::default(),
///     diagnostics: &config.diagnostics,
///     control: &control,
///     seen: &trained.seen,
/// };
/// let found = judge.verdicts(&model, &parameters, &data, &data.splits().validation)?;
/// let layer = &found.layers[0];
/// assert_eq!((layer.living.units(), layer.probe.as_ref().expect("a probe").unit_use.units.len()), (8, 8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// What all noise of the run starts from.
    pub noise: NoiseSeed,
    /// How averages over windows are formed.
    pub averages: BatchAverages,
    /// Windows, samples and units of interventions, and the budget of a living unit; without windows it is judged by
    /// internal measures alone, and the mode `unused` is not looked for.
    pub diagnostics: &'a DiagnosticsConfig,
    /// The controllers, in their state at the epoch that the weights are of.
    pub control: &'a StackControl,
    /// What training saw of the units of each layer from epoch to epoch; nothing where it is not known.
    pub seen: &'a [Seen],
}

/// What became of the units of a model.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// Each layer with distributional units, from the encoder up.
    pub layers: Vec<LayerVerdict>,
    /// What all units bring and cost on the probe windows; `None` without a probe.
    pub together: Option<LayerUse>,
}

/// What became of the units of a layer.
#[derive(Clone, Debug)]
pub struct LayerVerdict {
    /// Which layer, from 0.
    pub layer: usize,
    /// The internal measures.
    pub diagnostics: Diagnostics,
    /// Which units live, and why the others do not.
    pub living: Living,
    /// The rates of a living unit.
    pub budget: UnitBudget,
    /// What the probe showed, interventions on single units included; `None` without one.
    pub probe: Option<LayerProbe>,
}

impl Judge<'_> {
    /// Judges every unit: internal measures on all `windows`, the probe on [`DiagnosticsConfig::windows`] of them, evenly
    /// spaced, with block standard errors. `vdn train` judges by the validation windows.
    ///
    /// # Errors
    /// Windows that do not fit the model; a prediction that is not finite.
    pub fn verdicts<T: Element>(
        &self,
        model: &Forecaster,
        parameters: &Parameters<T>,
        data: &Dataset,
        windows: &[WindowIndex],
    ) -> Result<Verdicts, TrainError> {
        let Self { noise, averages, diagnostics: settings, control, seen } = *self;
        let validation =
            validate_under(model, parameters, data, windows, noise, averages, control)?;
        let diagnostics = diagnose(model, &validation, control)?;
        let probe = probe_on(model, parameters, data, windows, noise, settings, &diagnostics)?;
        let together = probe.as_ref().map(|probe| probe.together);
        let mut probes = probe.map_or_else(Vec::new, |probe| probe.layers).into_iter();
        let unseen = Seen::default();
        let of = |(place, diagnostics): (usize, Diagnostics)| {
            let layer = validation.layers[place].layer;
            let (own, probe) = (control.layer(layer), probes.next());
            let left = rate_given_past(own, diagnostics.latent_dims, probe.as_ref());
            let evidence = Evidence {
                rate_given_past: left.as_deref(),
                unit_use: probe.as_ref().map(|probe| &probe.unit_use),
                ..seen.get(place).unwrap_or(&unseen).evidence(&diagnostics)
            };
            let budget = settings.budget(own, diagnostics.units() * diagnostics.latent_dims)?;
            let living = Living::new(&evidence, &CollapseThresholds::default(), &budget);
            Ok(LayerVerdict { layer, diagnostics, living, budget, probe })
        };
        let layers = diagnostics.into_iter().enumerate().map(of);
        let layers = layers.collect::<Result<Vec<_>, TrainError>>()?;
        Ok(Verdicts { layers, together })
    }
}
