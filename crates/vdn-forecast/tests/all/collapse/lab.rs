//! A small laboratory: the trainer trains a forecaster on windows of one synthetic series, with a
//! chosen defect.

use std::cell::Cell;
use vdn_forecast::forecaster::{Batch, Dependence, Forecaster, ForecasterConfig};
use vdn_model::controllers::{LayerControl, LayerControlConfig, StackControl};
use vdn_model::core::Parameters;
use vdn_model::diagnostics::{
    CollapseThresholds, Diagnostics, HealthEvidence, HealthTrend, Living, Persistence, UnitBudget,
    UnitUse,
};
use vdn_tensor::noise::NoiseKey;
use vdn_train::TrainError;
use vdn_train::config::{DiagnosticsConfig, Selection};
use vdn_train::data::{Examples, Request, Split};
use vdn_train::evaluate::Evaluator;
use vdn_train::optim::ParameterGroup;
use vdn_train::train::{Epoch, Progress, Trainer};
use vdn_train::units::HealthCheck;

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

/// A slow process plus a fast one, both of variance 1/2, plus observation noise of standard
/// deviation 0.3.
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

/// The windows in the order in which the trainer draws them: training windows first.
struct Drawn<'a> {
    windows: [&'a Windows; 2],
    splits: [Vec<usize>; 3],
    /// The epoch for which targets of +1 or -1 are redrawn; `None`: the targets of the windows.
    redrawn: Option<Cell<u32>>,
}

impl<'a> Drawn<'a> {
    fn new(windows: [&'a Windows; 2], redrawn: Option<Cell<u32>>) -> Self {
        let [train, all] = [TRAIN, TRAIN + VALIDATION];
        Self { windows, splits: [(0..train).collect(), (train..all).collect(), vec![]], redrawn }
    }

    fn target(&self, example: usize, to: &mut Vec<f32>) {
        let (part, row) = Self::place(example);
        match &self.redrawn {
            Some(epoch) if part == 0 => {
                let mut noise = [0.0_f32; HORIZON];
                let first = (row * HORIZON) as u32;
                NoiseKey::new(99, 0, epoch.get()).fill_normal(first, &mut noise);
                to.extend(noise.map(f32::signum));
            }
            _ => to.extend_from_slice(&self.windows[part].target[row * HORIZON..][..HORIZON]),
        }
    }

    /// Returns whether the window is for training or validation, and its row there.
    fn place(example: usize) -> (usize, usize) {
        if example < TRAIN { (0, example) } else { (1, example - TRAIN) }
    }
}

impl Examples<f32> for Drawn<'_> {
    type Index = usize;
    type Buffers = Windows;
    type Batch<'b> = Batch<'b, f32>;

    fn split(&self, split: Split) -> &[usize] {
        &self.splits[split as usize]
    }

    fn fill<'b>(
        &self,
        buffers: &'b mut Windows,
        examples: &[usize],
        _: Request,
    ) -> Result<Batch<'b, f32>, TrainError> {
        let Windows { current, previous, earlier, target } = &mut *buffers;
        for to in [&mut *current, &mut *previous, &mut *earlier, &mut *target] {
            to.clear();
        }
        for &example in examples {
            let (part, row) = Self::place(example);
            let from = self.windows[part];
            let inputs = row * INPUT..(row + 1) * INPUT;
            current.extend_from_slice(&from.current[inputs.clone()]);
            previous.extend_from_slice(&from.previous[inputs.clone()]);
            earlier.extend_from_slice(&from.earlier[inputs]);
            self.target(example, target);
        }
        Ok(buffers.part(0..examples.len()))
    }
}

/// A model in training, with its monitors.
pub(crate) struct Lab {
    pub(crate) model: Forecaster,
    pub(crate) parameters: Parameters<f32>,
    /// The weight of the KL, if no controller sets it.
    pub(crate) beta: f64,
    pub(crate) learning_rate: f64,
    pub(crate) train: Windows,
    pub(crate) validation: Windows,
    /// Whether training targets are +1 or -1, drawn anew for every epoch.
    pub(crate) redraws: bool,
    /// Whether a guard holds deviations at their limits. The units are then not at fault.
    pub(crate) guarded: bool,
    /// The prefixes of the names of parameters that do not learn.
    pub(crate) held: Vec<&'static str>,
    /// The controllers of the last training.
    control: StackControl,
    seen: Vec<HealthTrend>,
    pub(crate) history: Vec<Epoch>,
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
            dependence: Dependence::Sampled,
            beta: 1e-4,
            ..ForecasterConfig::default()
        }
    }

    pub(crate) fn new(config: ForecasterConfig) -> Self {
        let (model, mut parameters) = Forecaster::new::<f32>(config, 3).unwrap();
        let [train, validation] = windows();
        model.initialize(&mut parameters, &train.part(0..BATCH)).unwrap();
        // Each training continues from the weights of the one before.
        let initialized = ForecasterConfig { initial_energy: 0.0, ..config };
        let (model, _) = Forecaster::new::<f32>(initialized, 3).unwrap();
        Self {
            beta: model.config().beta,
            model,
            parameters,
            learning_rate: 3e-3,
            train,
            validation,
            redraws: false,
            guarded: false,
            held: Vec::new(),
            control: StackControl::default(),
            seen: Vec::new(),
            history: Vec::new(),
            diagnostics: Diagnostics::default(),
        }
    }

    /// Trains for `count` epochs with these controllers, and returns the report of the last epoch.
    pub(crate) fn epochs(&mut self, count: usize, add: &dyn Fn(&mut LayerControl)) -> Living {
        let controllers = || {
            let config = LayerControlConfig { beta: self.beta, ..LayerControlConfig::default() };
            let mut control = LayerControl::new(UNITS, self.model.config().latent_dims, config);
            add(&mut control);
            StackControl::new(vec![Some(control)])
        };
        let frozen = |&name: &&str| ParameterGroup { frozen: true, ..ParameterGroup::new(name) };
        let groups = self.held.iter().map(frozen).collect();
        let mut trainer = Trainer { groups, ..Trainer::default() };
        let train = &mut trainer.train;
        (train.epochs, train.batch, train.learning_rate) = (count, BATCH, self.learning_rate);
        (train.selection, train.ema_decay, train.seed) = (Selection::Last, 0.0, 3);
        let drawn = Drawn::new([&self.train, &self.validation], self.redraws.then(Cell::default));
        let mut session = trainer.session(&self.model, &mut self.parameters, &drawn).unwrap();
        *session.controllers() = controllers();
        let next = |progress: Progress<'_>| {
            if let (Progress::Epoch(epoch), Some(redrawn)) = (progress, &drawn.redrawn) {
                redrawn.set(epoch.epoch as u32);
            }
        };
        let trained = session.run(next).unwrap();
        self.control = controllers();
        self.control.restore(&trained.control.unwrap()).unwrap();
        (self.seen, self.history) = (trained.seen, trained.history);
        self.examine(None, None)
    }

    /// Classifies the units on the validation windows.
    pub(crate) fn examine(&mut self, left: Option<&[f64]>, unit_use: Option<&UnitUse>) -> Living {
        let drawn = Drawn::new([&self.train, &self.validation], None);
        let noise = Trainer::default().train.noise();
        let evaluator = Evaluator::new(&self.model, &self.parameters, &drawn, noise);
        let diagnostics = &DiagnosticsConfig::default();
        let check = HealthCheck { diagnostics, control: &self.control, seen: &self.seen };
        let validation = drawn.split(Split::Validation);
        let mut report = check.report_by_measures(&evaluator, validation).unwrap();
        let health = report.layers.remove(0);
        assert_eq!(health.budget, UnitBudget::default());
        self.diagnostics = health.diagnostics;
        let evidence = HealthEvidence {
            rate_given_past: left,
            unit_use,
            ..self.seen[0].evidence(&self.diagnostics)
        };
        let saturation = if self.guarded { f64::INFINITY } else { health.budget.saturation };
        let budget = UnitBudget { saturation, ..health.budget };
        Living::new(&evidence, &CollapseThresholds::default(), &budget)
    }

    /// Returns the change of the training loss up to the last epoch.
    pub(crate) fn loss_change(&self) -> Option<f64> {
        self.seen[0].loss_change
    }

    /// Returns the rate of each unit given its mean `STRIDE` rows earlier.
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

    /// Returns the use of each unit, with plain standard errors (validation windows hardly
    /// overlap).
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
