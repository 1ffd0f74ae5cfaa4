//! A small laboratory: a forecaster on windows of one synthetic series, trained by its real loss and optimiser, with
//! whatever is to be wrong in it.

use vdn_autograd::Tape;
use vdn_forecast::forecaster::{Batch, Dependence, Forecaster, ForecasterConfig, LossOptions};
use vdn_model::controllers::{LayerControl, LayerControlConfig, LossValues};
use vdn_model::core::{Bindings, Graph, Mode, Parameters};
use vdn_model::diagnostics::{
    CollapseThresholds, Diagnostics, EpochView, HealthMonitor, LayerContext, Living, Persistence,
    RowCounts, UnitBudget, UnitUse,
};
use vdn_model::objective::{UnitMeasures, local_objectives};
use vdn_model::units::UnitStatistics;
use vdn_tensor::Element;
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN};
use vdn_tensor::noise::NoiseKey;
use vdn_train::optim::{AdamW, AdamWConfig};

pub(crate) const INPUT: usize = 24;
pub(crate) const HORIZON: usize = 4;
pub(crate) const UNITS: usize = 16;
const STRIDE: usize = 4;
const TRAIN: usize = 512;
const VALIDATION: usize = 128;
const BATCH: usize = 64;

/// Windows cut from a series.
#[derive(Clone, Default)]
pub(crate) struct Windows {
    pub(crate) current: Vec<f32>,
    pub(crate) previous: Vec<f32>,
    pub(crate) earlier: Vec<f32>,
    pub(crate) target: Vec<f32>,
}

impl Windows {
    fn rows(&self) -> usize {
        self.current.len() / INPUT
    }

    fn part(&self, rows: std::ops::Range<usize>) -> Batch<'_, f32> {
        let inputs = rows.start * INPUT..rows.end * INPUT;
        Batch {
            current: &self.current[inputs.clone()],
            previous: &self.previous[inputs.clone()],
            target: &self.target[rows.start * HORIZON..rows.end * HORIZON],
            earlier: Some(&self.earlier[inputs]),
            ..Batch::default()
        }
    }
}

/// A slow process with a fast one on top, both of variance 1/2, and observation noise of deviation 0.3.
fn series(len: usize) -> Vec<f32> {
    let mut noise = vec![0.0_f64; 3 * len];
    NoiseKey::new(17, 0, 0).fill_normal(0, &mut noise);
    let (mut slow, mut fast) = (0.0, 0.0);
    let step = |state: &mut f64, phi: f64, eps: f64| {
        *state = phi * *state + (0.5 * (1.0 - phi * phi)).sqrt() * eps;
        *state
    };
    (0..len)
        .map(|t| {
            let [a, b, c] = [noise[3 * t], noise[3 * t + 1], noise[3 * t + 2]];
            (step(&mut slow, 0.99, a) + step(&mut fast, 0.5, b) + 0.3 * c) as f32
        })
        .collect()
}

/// Training and validation windows of the series, a few rows apart.
pub(crate) fn windows() -> [Windows; 2] {
    let spacing = 3;
    let first = INPUT + 2 * STRIDE;
    let series = series(first + spacing * (TRAIN + VALIDATION) + HORIZON);
    let cut = |from: usize, count: usize| {
        let mut windows = Windows::default();
        for i in from..from + count {
            let t = first + spacing * i;
            let input = |lag: usize| &series[t - INPUT - lag * STRIDE..t - lag * STRIDE];
            windows.current.extend_from_slice(input(0));
            windows.previous.extend_from_slice(input(1));
            windows.earlier.extend_from_slice(input(2));
            windows.target.extend_from_slice(&series[t..t + HORIZON]);
        }
        windows
    };
    [cut(0, TRAIN), cut(TRAIN, VALIDATION)]
}

/// A model in training, and all that watches it.
pub(crate) struct Lab {
    pub(crate) model: Forecaster,
    pub(crate) parameters: Parameters<f32>,
    optimizer: AdamW<f32>,
    pub(crate) control: LayerControl,
    pub(crate) learning_rate: f64,
    pub(crate) train: Windows,
    pub(crate) validation: Windows,
    /// Parameters whose name starts so do not learn.
    pub(crate) held: Vec<&'static str>,
    pub(crate) watch: HealthMonitor,
    step: u32,
    pub(crate) loss: f64,
    statistics: UnitStatistics,
    pub(crate) diagnostics: Diagnostics,
}

impl Lab {
    pub(crate) fn config() -> ForecasterConfig {
        ForecasterConfig {
            input_len: INPUT,
            horizon: HORIZON,
            hidden: 16,
            kernel: 5,
            units: UNITS,
            head_hidden: 16,
            evaluate_samples: 8,
            emit_kl: true,
            dependence: Dependence::Sampled,
            beta: 1e-4,
            ..ForecasterConfig::default()
        }
    }

    pub(crate) fn new(config: ForecasterConfig) -> Self {
        let (model, mut parameters) = Forecaster::new::<f32>(config, 3).unwrap();
        let [train, validation] = windows();
        let first = train.part(0..BATCH);
        model.initialize(&mut parameters, &first).unwrap();
        let optimizer = AdamW::new(&parameters, AdamWConfig::default()).unwrap();
        let control = LayerControlConfig { beta: config.beta, ..LayerControlConfig::default() };
        Self {
            control: LayerControl::new(UNITS, config.latent_dims, control),
            watch: HealthMonitor::new(CollapseThresholds::default(), UnitBudget::default()),
            model,
            parameters,
            optimizer,
            learning_rate: 3e-3,
            train,
            validation,
            held: Vec::new(),
            step: 0,
            loss: f64::NAN,
            statistics: UnitStatistics::new(),
            diagnostics: Diagnostics::default(),
        }
    }

    /// One pass over the training windows, then one over those of validation.
    pub(crate) fn epoch(&mut self) -> Living {
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut loss = 0.0;
        for start in (0..self.train.rows()).step_by(BATCH) {
            tape.reset();
            let batch = self.train.part(start..start + BATCH);
            let key = NoiseKey::new(3, 0, self.step);
            let mut graph =
                Graph::new(&mut tape, &self.parameters, &mut bindings, Mode::Train, key);
            let options = LossOptions {
                locals: local_objectives([Some(&self.control.levers().objective)]),
                measures: UnitMeasures::PerDimension,
                ..LossOptions::default()
            };
            let terms = self.model.loss_with(&mut graph, &batch, &options).unwrap();
            loss += tape.scalar(terms.loss).unwrap().to_f64();
            let local = terms.locals[0].unwrap();
            let scalar = |var| f64::from(tape.scalar(var).unwrap());
            let weight = self.control.levers().objective.band.as_ref().map_or(0.0, |b| b.weight);
            let losses = LossValues {
                nll: scalar(terms.score),
                mse: 0.0,
                weighted_kl: scalar(local.weighted_kl),
                weighted_band: local.band.map_or(0.0, |band| weight * scalar(band)),
                ar: local.ar.map_or(0.0, scalar),
            };
            self.control.observe(&tape, self.model.layer(), &terms.outputs[0].unwrap(), losses);
            tape.backward(terms.loss).unwrap();
            tape.release_shared();
            let held: Vec<bool> = self
                .parameters
                .iter()
                .map(|p| self.held.iter().any(|name| p.name().starts_with(name)))
                .collect();
            let gradients = (0..self.parameters.len()).map(|i| {
                let var = bindings.get(i).filter(|_| !held[i])?;
                tape.gradient(var).map(|g| g.data())
            });
            self.optimizer.step(&mut self.parameters, self.learning_rate, gradients).unwrap();
            if let Some(gain) = self.control.act(self.model.layer(), &mut self.parameters) {
                for id in self.model.layer().mean_parameters() {
                    self.optimizer.rescale_rows(id.index(), gain);
                }
            }
            self.step += 1;
        }
        self.loss = loss / self.train.rows().div_ceil(BATCH) as f64;
        self.examine(None, None)
    }

    /// So many epochs; what the last one showed.
    pub(crate) fn epochs(&mut self, count: usize) -> Living {
        let mut living = Living::default();
        for _ in 0..count {
            living = self.epoch();
        }
        living
    }

    /// Judges the units on the validation windows.
    pub(crate) fn examine(&mut self, left: Option<&[f64]>, unit_use: Option<&UnitUse>) -> Living {
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let mut statistics = UnitStatistics::new();
        let mut rows = RowCounts::new(UNITS, self.model.config().latent_dims);
        let batch = self.validation.part(0..self.validation.rows());
        tape.no_grad(|tape| {
            let key = NoiseKey::new(3, 0, u32::MAX);
            let mut graph = Graph::new(tape, &self.parameters, &mut bindings, Mode::Evaluate, key);
            let scores = self.model.score_batch(&mut graph, &batch).unwrap();
            let units = scores.outputs[0].unwrap().units;
            let [m1, c2, d0, lv] =
                [units.m1, units.c2, units.d0, units.lv].map(|var| tape.value(var).data());
            statistics.merge(VALIDATION, m1, c2, d0, lv);
            let layer = scores.outputs[0].unwrap();
            let [mu, logvar] = [layer.mu, layer.logvar].map(|var| tape.value(var).data());
            rows.scan(mu, logvar, [LOGVAR_MIN, LOGVAR_MAX]);
        });
        let levers = &self.control.levers().objective;
        let context = LayerContext {
            label: "neuron",
            latent_dims: self.model.config().latent_dims,
            beta: &levers.beta,
            band: levers.band.as_ref().map(|band| &band.bounds),
            prior_variance: &[],
        };
        self.diagnostics = Diagnostics::new(&statistics, &rows, &context).unwrap();
        self.statistics = statistics;
        self.watch.epoch(&EpochView {
            statistics: &self.statistics,
            diagnostics: &self.diagnostics,
            loss: self.loss,
            rate_given_past: left,
            unit_use,
        })
    }

    /// The rate that each unit's mean `STRIDE` rows earlier leaves.
    pub(crate) fn rate_given_past(&self) -> Vec<f64> {
        let now = self.validation.part(0..VALIDATION);
        let before = Batch {
            current: &self.validation.previous,
            previous: &self.validation.earlier,
            target: &[],
            ..Batch::default()
        };
        let key = NoiseKey::new(3, 0, 0);
        let [now, before] = [now, before]
            .map(|batch| self.model.posteriors(&self.parameters, &batch, key, 0).unwrap());
        let mut pairs = Persistence::new(now.dims);
        for row in 0..VALIDATION {
            let at = row * now.dims..(row + 1) * now.dims;
            pairs.push(
                [&now.mu[at.clone()], &before.mu[at.clone()]],
                [&now.logvar[at.clone()], &before.logvar[at]],
                &[],
            );
        }
        pairs.rate_given_past()
    }

    /// What is read of each unit, with plain standard errors (windows of validation hardly overlap).
    pub(crate) fn unit_use(&self) -> UnitUse {
        let batch = self.validation.part(0..VALIDATION);
        let units: Vec<usize> = (0..UNITS).collect();
        let key = NoiseKey::new(3, 0, u32::MAX - 1);
        let found = self.model.unit_effects(&self.parameters, &batch, key, 4, (0, &units)).unwrap();
        let n = VALIDATION as f64;
        let mean = |x: &[f64]| x.iter().sum::<f64>() / n;
        let error = |x: &[f64]| {
            let m = mean(x);
            (x.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt()
        };
        let varies = 2.0 * mean(&found.variance);
        let mut unit_use = UnitUse { units, windows: VALIDATION, ..UnitUse::default() };
        let rows =
            found.value.chunks_exact(VALIDATION).zip(found.distance.chunks_exact(VALIDATION));
        for ((value, distance), kl) in rows.zip(&self.diagnostics.kl) {
            unit_use.value.push(mean(value));
            unit_use.value_error.push(error(value));
            unit_use.net.push(mean(value) - kl);
            let share = |x: f64| if varies > 0.0 { x / varies } else { 0.0 };
            unit_use.share.push(share(mean(distance)));
            unit_use.share_error.push(share(error(distance)));
        }
        unit_use
    }
}
