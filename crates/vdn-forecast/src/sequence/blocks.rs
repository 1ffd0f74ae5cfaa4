//! The pass of a sequence forecaster over time, one block of steps at a time. Encoder and emission
//! process the rows of a whole block at once; the units are computed step by step. A block is one
//! step of a [`Recurrence`].

use crate::sequence::SequenceForecaster;
use crate::sequence::series::Series;
use std::cell::RefCell;
use std::ops::Range;
use vdn_autograd::{Error, Var};
use vdn_model::core::Graph;
use vdn_model::priors::PriorSteps;
use vdn_model::sequence::{
    Innovations, Message, Past, Posterior, Recurrence, StepInput, Taken, unroll_terms,
};
use vdn_model::units::LayerOutput;
use vdn_tensor::Element;

/// The number of steps of a block: the maximum number of inputs of an operation.
pub(super) const BLOCK: usize = vdn_autograd::MAX_INPUTS;

/// A whole pass with `samples` samples.
pub(super) struct Pass<'a, T: Element> {
    pub(super) model: &'a SequenceForecaster,
    pub(super) series: Series<'a, T>,
    pub(super) samples: usize,
}

/// The observations of a pass's units, in addition to the totals.
#[derive(Default)]
struct Seen {
    innovations: Innovations,
    latents: Vec<Var>,
}

/// The results of a whole pass with observed units.
pub(super) struct Observed {
    /// The negative log-likelihood and the KL divergence, in nats per sequence.
    pub(super) totals: Vec<Var>,
    /// The output of the units over samples, sequences and steps.
    pub(super) output: LayerOutput,
    /// The latents of every step, `[samples, batch, units]`.
    pub(super) latents: Vec<Var>,
}

/// The results of a block.
pub(super) struct Block {
    /// The KL divergences of its steps: `[samples, batch, units]` (or their mean, `[units]`) for
    /// the structured posterior, else `[batch, units]`.
    pub(super) kl: Vec<Var>,
    /// The log-densities, `[samples, steps of the block * batch, channels]`; 0 for a missing step.
    pub(super) log_density: Var,
    pub(super) past: Past,
}

impl<T: Element> Pass<'_, T> {
    /// Returns the number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.series.steps().div_ceil(BLOCK)
    }

    pub(super) fn range(&self, block: usize) -> Range<usize> {
        block * BLOCK..((block + 1) * BLOCK).min(self.series.steps())
    }

    /// Records a constant. `fill` writes its row `i * batch + b`, for step `range.start + i` of
    /// sequence `b`.
    fn rows(
        &self,
        graph: &mut Graph<'_, T>,
        range: Range<usize>,
        width: usize,
        fill: impl Fn(usize, usize, &mut [T]),
    ) -> Result<Var, Error> {
        let batch = self.series.batch();
        graph.tape.constant_with([range.len() * batch, width], |to| {
            for (row, to) in to.chunks_exact_mut(width).enumerate() {
                fill(row % batch, range.start + row / batch, to);
            }
        })
    }

    fn any_missing(&self, mut range: Range<usize>) -> bool {
        range.any(|t| (0..self.series.batch()).any(|b| !self.series.seen(b, t)))
    }

    /// Rejects missing steps, unless the posterior is the structured one.
    pub(super) fn refuse_missing(&self, range: Range<usize>) -> Result<(), Error> {
        let structured = self.model.config().posterior == Posterior::Structured;
        if structured || !self.any_missing(range) {
            return Ok(());
        }
        let reason = "missing steps need the structured posterior";
        Err(Error::invalid("sequence_forecaster", reason))
    }

    /// Records the messages of a block: means and log-variances,
    /// `[steps of the block * batch, units]`.
    pub(super) fn messages(
        &self,
        graph: &mut Graph<'_, T>,
        range: Range<usize>,
    ) -> Result<Message, Error> {
        let (model, series) = (self.model, &self.series);
        let config = model.config();
        let features = self.rows(graph, range.clone(), config.features(), |b, t, to| {
            series.features(b, t, 0, config.window, to);
        })?;
        let context = model.encoder.forward(graph, features)?;
        // The features are included as well, so that a linear message is exact.
        let context = graph.tape.concat(&[context, features], 1)?;
        let missing = match self.any_missing(range.clone()) {
            false => None,
            true => Some(self.rows(graph, range, 1, |b, t, to| {
                let missing = if series.seen(b, t) { 0.0 } else { f64::INFINITY };
                to[0] = T::from_f64(missing);
            })?),
        };
        let inputs = [StepInput { context, missing, gap: 1 }];
        let mut messages = model.layer.messages(graph, &inputs)?;
        messages.pop().ok_or_else(|| Error::invalid("sequence_forecaster", "no message"))
    }

    /// Records the emission's inputs other than the units, `[steps of the block * batch, width]`;
    /// `None` if there are none.
    fn emission_features(
        &self,
        graph: &mut Graph<'_, T>,
        range: Range<usize>,
    ) -> Result<Option<Var>, Error> {
        let config = self.model.config();
        let (width, lags) = (config.emission_features(), config.emission_lags);
        if width == 0 {
            return Ok(None);
        }
        let fill = |b: usize, t: usize, to: &mut [T]| self.series.features(b, t, 1, lags, to);
        self.rows(graph, range, width, fill).map(Some)
    }

    /// Records a block after `past`. With `mean_kl`, KL divergences are averaged where the
    /// operation supports it.
    pub(super) fn block(
        &self,
        graph: &mut Graph<'_, T>,
        block: usize,
        steps: &mut PriorSteps,
        past: Past,
        mean_kl: bool,
    ) -> Result<Block, Error> {
        self.block_seen(graph, block, steps, past, (mean_kl, None))
    }

    fn block_seen(
        &self,
        graph: &mut Graph<'_, T>,
        block: usize,
        steps: &mut PriorSteps,
        mut past: Past,
        (mean_kl, mut seen): (bool, Option<&mut Seen>),
    ) -> Result<Block, Error> {
        let (model, series, range) = (self.model, &self.series, self.range(block));
        let (batch, channels) = (series.batch(), model.config().channels);
        self.refuse_missing(range.clone())?;
        let all = self.messages(graph, range.clone())?;
        let how = model.layer.how(graph, self.samples, None);
        let (mut latents, mut kl) = (Vec::new(), Vec::new());
        for (i, t) in range.clone().enumerate() {
            let [mean, logvar] = [
                graph.tape.slice_axis(all.mean, 0, i * batch, batch)?,
                graph.tape.slice_axis(all.logvar, 0, i * batch, batch)?,
            ];
            let message = Message { mean, logvar, gap: 1 };
            if let Some(seen) = &mut seen {
                let before = steps.next(graph, past.latents(), 1)?;
                seen.innovations.push(graph.tape, &message, before);
            }
            let (z, cost) =
                past.step(graph, model.layer.prior(), steps, message, t as u64, (how, mean_kl))?;
            latents.push(z);
            kl.push(cost);
        }
        if let Some(seen) = seen {
            seen.latents.extend_from_slice(&latents);
        }
        let z = graph.tape.concat(&latents, 1)?;
        let features = self.emission_features(graph, range.clone())?;
        let locations = model.emission.locations(graph, z, features)?;
        let y = self.rows(graph, range.clone(), channels, |b, t, to| {
            if series.seen(b, t) {
                to.copy_from_slice(series.observed(b, t));
            } else {
                to.fill(T::ZERO);
            }
        })?;
        let mut log_density = model.emission.log_density(graph, locations, y)?;
        if self.any_missing(range.clone()) {
            let seen = self.rows(graph, range, 1, |b, t, to| {
                to[0] = if series.seen(b, t) { T::ONE } else { T::ZERO };
            })?;
            log_density = graph.tape.mul(log_density, seen)?;
        }
        Ok(Block { kl, log_density, past })
    }

    /// Records the whole pass of a structured posterior, with the observations of its units.
    pub(super) fn observed(&self, graph: &mut Graph<'_, T>) -> Result<Observed, Error> {
        let observing = Observing { pass: self, seen: RefCell::default() };
        let totals = unroll_terms(graph, &observing, self.blocks())?;
        let Seen { innovations, latents } = observing.seen.into_inner();
        let label = self.model.layer.label();
        let output = graph.labelled(label, |graph| innovations.output(graph, self.samples))?;
        Ok(Observed { totals, output, latents })
    }

    fn step_seen(
        &self,
        graph: &mut Graph<'_, T>,
        block: usize,
        shared: &[Var],
        state: &[Var],
        seen: Option<&mut Seen>,
    ) -> Result<Taken, Error> {
        let posterior = self.model.config().posterior;
        let mut steps = PriorSteps::from_shared(graph, self.model.layer.prior(), &[1], shared)?;
        let past = Past::from_vars(posterior, state);
        let Block { kl, log_density, past } =
            self.block_seen(graph, block, &mut steps, past, (true, seen))?;
        let sum = graph.tape.sum(log_density)?;
        let draws = (self.samples * self.series.batch()) as f64;
        let misfit = graph.tape.scale(sum, T::from_f64(-1.0 / draws))?;
        let mut cost: Option<Var> = None;
        for &kl in &kl {
            let sum = graph.tape.sum(kl)?;
            cost = Some(match cost {
                Some(cost) => graph.tape.add(cost, sum)?,
                None => sum,
            });
        }
        let cost = cost.ok_or_else(|| Error::invalid("sequence_forecaster", "an empty block"))?;
        let draws = match posterior {
            // The operation has already averaged them.
            Posterior::Structured => 1.0,
            _ => self.series.batch() as f64,
        };
        let cost = graph.tape.scale(cost, T::from_f64(1.0 / draws))?;
        Ok(Taken { state: past.vars(posterior), terms: vec![misfit, cost] })
    }
}

/// A pass that observes its units.
struct Observing<'a, T: Element> {
    pass: &'a Pass<'a, T>,
    seen: RefCell<Seen>,
}

impl<T: Element> Recurrence<T> for Observing<'_, T> {
    fn shared(&self, graph: &mut Graph<'_, T>) -> Result<Vec<Var>, Error> {
        self.pass.shared(graph)
    }

    fn step(
        &self,
        graph: &mut Graph<'_, T>,
        block: usize,
        shared: &[Var],
        state: &[Var],
    ) -> Result<Taken, Error> {
        self.pass.step_seen(graph, block, shared, state, Some(&mut self.seen.borrow_mut()))
    }
}

/// The terms are the negative log-likelihood and the KL divergence, in nats per sequence.
impl<T: Element> Recurrence<T> for Pass<'_, T> {
    fn shared(&self, graph: &mut Graph<'_, T>) -> Result<Vec<Var>, Error> {
        PriorSteps::new(graph, self.model.layer.prior())?.shared(graph, &[1])
    }

    fn step(
        &self,
        graph: &mut Graph<'_, T>,
        block: usize,
        shared: &[Var],
        state: &[Var],
    ) -> Result<Taken, Error> {
        self.step_seen(graph, block, shared, state, None)
    }
}
