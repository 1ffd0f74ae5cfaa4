//! What a training step has to do with the controllers of the layers: the earlier windows that an AR penalty reads, the
//! terms of the loss that controllers see, and the log of both over the epochs.

use crate::data::{Dataset, WindowIndex};
use crate::forecaster::{Forecaster, LossOptions, LossTerms};
use std::fmt::Write;
use std::path::Path;
use vdn_autograd::Tape;
use vdn_model::controllers::{ArShareRule, LayerControl, LossValues, StackControl};
use vdn_model::{EarlierWindow, MAX_DEPTH};
use vdn_tensor::Element;
use vdn_train::TrainError;
use vdn_train::write_atomically;

/// The terms of the loss, and what controllers report, one line an epoch.
///
/// The columns are `epoch`, `step`, the means over the epoch's steps of the weighted KL (`weighted_kl`), the weighted band
/// penalty (`weighted_band`), the AR penalty without and with its weight (`ar`, `weighted_ar`), all in nats per time step,
/// the share of the weighted one in the loss (`ar_share`), and then `controller.number` for what controllers report. In a
/// model of several layers those after `step` are there for every layer with controllers, as `layer1.weighted_kl` and so on;
/// the loss whose share is meant is the score with the terms of that layer. What a controller reports before it has acted once
/// is NaN.
///
/// ```
/// use vdn_forecast::Forecaster;
/// use vdn_forecast::{RunConfig, Trainer};
/// let text = "[data]\nmax_train = 16\nmax_validation = 8\n[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\n\
///     [control]\ncontrollers = [\"ar\"]\n[control.ar]\nramp_steps = 0\n[train]\nepochs = 2\n";
/// let config = RunConfig::from_toml(text)?;
/// let data = config.data.dataset(config.data.load_table()?)?;
/// let (model, mut parameters) = Forecaster::new::<f32>(config.forecaster()?, 0)?;
/// let log = Trainer::new(&config).train(&model, &mut parameters, &data, |_| {})?.control_log;
/// assert_eq!(log.column("epoch").unwrap(), [1.0, 2.0]);
/// assert!(log.column("ar_share").unwrap().iter().all(|&share| share > 0.0 && share < 1.0));
/// assert!(log.column("ar_share.ar_weight").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ControlLog {
    columns: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl ControlLog {
    /// The names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The lines, one an epoch, each as long as there are columns.
    #[must_use]
    pub fn rows(&self) -> &[Vec<f64>] {
        &self.rows
    }

    /// One column, by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<Vec<f64>> {
        let index = self.columns.iter().position(|column| column == name)?;
        Some(self.rows.iter().map(|row| row[index]).collect())
    }

    /// Writes it as CSV; numbers are the shortest decimals that read back as the same bits.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        let mut text = self.columns.join(",");
        text.push('\n');
        for row in &self.rows {
            for (i, value) in row.iter().enumerate() {
                let comma = if i > 0 { "," } else { "" };
                write!(text, "{comma}{value}").expect("writing to a string cannot fail");
            }
            text.push('\n');
        }
        write_atomically(path, text.as_bytes())
    }
}

/// Sums over the steps of an epoch.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    steps: f64,
    nll: f64,
    weighted_kl: f64,
    weighted_band: f64,
    ar: f64,
    weighted_ar: f64,
}

/// What the controllers of the layers need around each training step.
#[derive(Debug)]
pub(crate) struct ControlStep<T> {
    earlier: Vec<T>,
    want_mse: bool,
    /// Of each layer.
    sums: [Sums; MAX_DEPTH],
    log: ControlLog,
}

impl<T: Element> ControlStep<T> {
    /// `rule`: what the AR share is taken of.
    pub(crate) fn new(rule: ArShareRule) -> Self {
        Self {
            earlier: Vec::new(),
            want_mse: rule == ArShareRule::Reference,
            sums: [Sums::default(); MAX_DEPTH],
            log: ControlLog::default(),
        }
    }

    /// What the loss of these windows is to be made of.
    ///
    /// # Errors
    /// An AR penalty or a persistence target needs rows before the start of a series.
    pub(crate) fn options<'a>(
        &'a mut self,
        control: &'a StackControl,
        data: &Dataset,
        windows: &[WindowIndex],
    ) -> Result<LossOptions<'a, T>, TrainError> {
        let terms = || control.iter().filter_map(|(_, own)| own.levers().objective.autoregression);
        let persists = || {
            let of = |(_, own): (_, &LayerControl)| own.levers().objective.persistence.is_some();
            control.iter().any(of)
        };
        let penalised = terms().any(|ar| ar.earlier == EarlierWindow::Predecessor);
        let earlier = match penalised || persists() {
            true => {
                if !data.spec().extra_lag {
                    let reason = "the AR penalty or the persistence target needs windows from L + 2 stride on: data.extra_lag = true";
                    return Err(TrainError::config(reason));
                }
                self.earlier.resize(windows.len() * data.spec().input_len, T::ZERO);
                data.fill_inputs(windows, 2, &mut self.earlier, T::from_f64)?;
                Some(&self.earlier[..])
            }
            false => None,
        };
        Ok(LossOptions {
            locals: control.objectives(),
            measures: control.measures(),
            earlier,
            want_mse: self.want_mse && terms().next().is_some(),
            ..LossOptions::default()
        })
    }

    /// Shows the controllers a recorded step.
    ///
    /// # Errors
    /// A term of the loss is no scalar.
    pub(crate) fn observe(
        &mut self,
        control: &mut StackControl,
        tape: &Tape<T>,
        model: &Forecaster,
        terms: &LossTerms,
    ) -> Result<(), TrainError> {
        let value = |var| tape.scalar(var).map(T::to_f64);
        for (index, sums) in self.sums.iter_mut().enumerate() {
            let (Some(own), Some(output), Some(local)) =
                (control.layer(index), &terms.layers[index], terms.locals[index])
            else {
                continue;
            };
            let objective = &own.levers().objective;
            let band = objective.band.as_ref().map_or(0.0, |band| band.weight);
            let weight = objective.autoregression.map_or(0.0, |ar| ar.weight * ar.ramp);
            let losses = LossValues {
                nll: value(terms.nll)?,
                mse: terms.mse.map_or(Ok(0.0), value)?,
                weighted_kl: value(local.weighted_kl)?,
                weighted_band: local.band.map_or(Ok(0.0), value)? * band,
                ar: local.ar.map_or(Ok(0.0), value)?,
            };
            sums.steps += 1.0;
            sums.nll += losses.nll;
            sums.weighted_kl += losses.weighted_kl;
            sums.weighted_band += losses.weighted_band;
            sums.ar += losses.ar;
            sums.weighted_ar += weight * losses.ar;
            if let (Some(rho), Some(own)) = (local.persistence, control.layer_mut(index)) {
                own.see_persistence(tape, rho);
            }
            control.observe(tape, model.stack(), (index, output), losses);
        }
        Ok(())
    }

    /// Ends an epoch: a line of the log.
    pub(crate) fn end_epoch(&mut self, epoch: usize, control: &StackControl, model: &Forecaster) {
        let sums = std::mem::replace(&mut self.sums, [Sums::default(); MAX_DEPTH]);
        let Some((_, first)) = control.iter().next() else { return };
        let mut entries =
            vec![("epoch".to_owned(), epoch as f64), ("step".to_owned(), first.step() as f64)];
        for (index, own) in control.iter() {
            let layer = match model.config().depth {
                1 => String::new(),
                _ => format!("layer{}.", index + 1),
            };
            let sums = &sums[index];
            let of = |sum: f64| sum / sums.steps;
            let whole = sums.nll.abs() + sums.weighted_kl + sums.weighted_band + sums.weighted_ar;
            for (name, value) in [
                ("weighted_kl", of(sums.weighted_kl)),
                ("weighted_band", of(sums.weighted_band)),
                ("ar", of(sums.ar)),
                ("weighted_ar", of(sums.weighted_ar)),
                ("ar_share", sums.weighted_ar / whole.max(1e-12)),
            ] {
                entries.push((format!("{layer}{name}"), value));
            }
            own.report(|name, what, value| entries.push((format!("{layer}{name}.{what}"), value)));
        }
        let (columns, row): (Vec<String>, Vec<f64>) = entries.into_iter().unzip();
        self.log.columns = columns;
        self.log.rows.push(row);
    }

    /// The log so far.
    pub(crate) fn log(&self) -> &ControlLog {
        &self.log
    }
}
