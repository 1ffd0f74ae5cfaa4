//! The connection of a training step with the controllers of the layers: the terms that they add to
//! the loss, the terms of the loss that they observe, and the log of both over the epochs.

use crate::error::TrainError;
use crate::network::{Locals, Network, Terms};
use crate::run::atomic_file::write_atomically;
use std::fmt::Write;
use std::path::Path;
use vdn_autograd::Tape;
use vdn_model::controllers::{
    ArShareRule, ControlState, LayerControl, LossValues, Observation, StackControl,
};
use vdn_model::core::ModelError;
use vdn_model::objective::EarlierWindow;
use vdn_model::units::{Layers, MAX_DEPTH};
use vdn_tensor::Element;

/// The terms of the loss and the values that controllers report, one line per epoch.
///
/// The columns are
///
/// * `epoch` and `step`;
/// * `weighted_kl`, `weighted_band`, `ar`, `weighted_ar`: the weighted KL, the weighted band
///   penalty, and the AR penalty without and with its weight, as means over the epoch's steps in
///   nats per time step;
/// * `ar_share`: the share of the weighted AR penalty in the loss;
/// * `controller.number` for each value that a controller reports, NaN before its first action.
///
/// In a model of several layers, the columns after `step` exist for every layer with controllers,
/// as `layer1.weighted_kl` and so on. `ar_share` is then the share in the score plus the terms of
/// that layer.
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

    /// The lines, one per epoch. Each has as many values as there are columns.
    #[must_use]
    pub fn rows(&self) -> &[Vec<f64>] {
        &self.rows
    }

    /// The values of one column by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<Vec<f64>> {
        let index = self.columns.iter().position(|column| column == name)?;
        Some(self.rows.iter().map(|row| row[index]).collect())
    }

    /// The first line of the file, with a line break.
    pub(crate) fn header(&self) -> String {
        self.columns.join(",") + "\n"
    }

    /// Line number `index` (from 0), with a line break.
    pub(crate) fn line(&self, index: usize) -> String {
        let cells: Vec<String> = self.rows[index].iter().map(f64::to_string).collect();
        cells.join(",") + "\n"
    }

    /// Parses a file of a header and lines; `None` if the text is not such a file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let columns: Vec<String> = lines.next()?.split(',').map(str::to_owned).collect();
        let row = |line: &str| {
            let row =
                line.split(',').map(|cell| cell.parse().ok()).collect::<Option<Vec<f64>>>()?;
            (row.len() == columns.len()).then_some(row)
        };
        let rows = lines.map(row).collect::<Option<_>>()?;
        Some(Self { columns, rows })
    }

    /// Writes the log as CSV. Numbers are the shortest decimals that parse to the same bits.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        let mut text = self.header();
        for index in 0..self.rows.len() {
            write!(text, "{}", self.line(index)).expect("writing to a string cannot fail");
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

impl Sums {
    fn numbers(&self) -> [f64; 6] {
        [self.steps, self.nll, self.weighted_kl, self.weighted_band, self.ar, self.weighted_ar]
    }
}

/// The state around each training step that the controllers of the layers need.
#[derive(Debug)]
pub(crate) struct ControlStep {
    want_mse: bool,
    /// The sums of each layer.
    sums: [Sums; MAX_DEPTH],
    log: ControlLog,
}

impl ControlStep {
    /// `rule` says which loss the AR share refers to.
    pub(crate) fn new(rule: ArShareRule) -> Self {
        Self {
            want_mse: rule == ArShareRule::Reference,
            sums: [Sums::default(); MAX_DEPTH],
            log: ControlLog::default(),
        }
    }

    /// The terms that the controllers add to the loss of a step.
    pub(crate) fn locals<'a>(&self, control: &'a StackControl) -> Locals<'a> {
        let mut terms = control.iter().filter_map(|(_, own)| own.levers().objective.autoregression);
        Locals {
            objectives: control.objectives(),
            measures: control.measures(),
            want_mse: self.want_mse && terms.next().is_some(),
        }
    }

    /// Whether a layer compares its examples with the predecessors of earlier ones. A layer along a
    /// sequence compares its own steps and needs no predecessors.
    pub(crate) fn wants_predecessors(control: &StackControl, layers: &Layers<'_>) -> bool {
        let wants = |(index, own): (usize, &LayerControl)| {
            let objective = &own.levers().objective;
            let ar = objective.autoregression;
            let in_stack = layers.get(index).is_none_or(|own| own.prior_over_time().is_none());
            in_stack && objective.persistence.is_some()
                || ar.is_some_and(|ar| ar.earlier == EarlierWindow::Predecessor)
        };
        control.iter().any(wants)
    }

    /// Passes a recorded step to the controllers. `adjust` may change the observation of each layer
    /// first.
    ///
    /// # Errors
    /// Returns an error if a term of the loss is not a scalar, or if a controller needs a value
    /// that the network did not record.
    pub(crate) fn observe<T: Element, N: Network<T>>(
        &mut self,
        control: &mut StackControl,
        tape: &Tape<T>,
        network: &N,
        terms: &Terms,
        adjust: &mut impl FnMut(usize, &mut Observation),
    ) -> Result<(), TrainError> {
        let value = |var| tape.scalar(var).map(T::to_f64);
        for (index, sums) in self.sums.iter_mut().enumerate() {
            let (Some(own), Some(output), Some(local)) =
                (control.layer(index), &terms.outputs[index], terms.locals[index])
            else {
                continue;
            };
            if own.needs().kl_rows && output.units.kl.is_none() {
                let reason = "a controller needs the KL of each row, and the layer was recorded \
                              without: record it on the graph that the loss is given";
                let layer = index + 1;
                return Err(TrainError::config(format!("control: layer {layer}: {reason}")));
            }
            let objective = &own.levers().objective;
            let band = objective.band.as_ref().map_or(0.0, |band| band.weight);
            let weight = objective.autoregression.map_or(0.0, |ar| ar.weight * ar.ramp);
            let losses = LossValues {
                nll: value(terms.score)?,
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
            let adjust = |observation: &mut Observation| adjust(index, observation);
            control.observe(tape, network.layers(), (index, output), losses, adjust);
        }
        Ok(())
    }

    /// Saves the sums of an unfinished epoch.
    pub(crate) fn save(&self, state: &mut ControlState) {
        for (index, sums) in self.sums.iter().enumerate().filter(|(_, sums)| sums.steps > 0.0) {
            state.put(format!("sums{index}"), &sums.numbers());
        }
    }

    /// Restores sums that [`ControlStep::save`] wrote, and a log.
    pub(crate) fn restore(
        &mut self,
        state: &ControlState,
        log: ControlLog,
    ) -> Result<(), ModelError> {
        for (index, sums) in self.sums.iter_mut().enumerate() {
            let mut numbers = [0.0; 6];
            if state.values(&format!("sums{index}")).is_ok() {
                state.fill(&format!("sums{index}"), &mut numbers)?;
            }
            let [steps, nll, weighted_kl, weighted_band, ar, weighted_ar] = numbers;
            *sums = Sums { steps, nll, weighted_kl, weighted_band, ar, weighted_ar };
        }
        self.log = log;
        Ok(())
    }

    /// Ends an epoch: adds a line to the log.
    pub(crate) fn end_epoch(&mut self, epoch: usize, control: &StackControl, depth: usize) {
        let sums = std::mem::replace(&mut self.sums, [Sums::default(); MAX_DEPTH]);
        let Some((_, first)) = control.iter().next() else { return };
        let mut entries =
            vec![("epoch".to_owned(), epoch as f64), ("step".to_owned(), first.step() as f64)];
        for (index, own) in control.iter() {
            let layer = match depth {
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
