//! The inputs of a forecaster's pass: normalised windows, covariates, the encoder's context, and
//! the direct (linear) contributions to the forecast.

use crate::forecaster::{Batch, Beside, Forecaster, ForecasterConfig};
use vdn_autograd::{Error, Var};
use vdn_model::core::{Graph, ModelError};
use vdn_tensor::{Element, with_scratch};

impl Forecaster {
    pub(super) fn rows<T: Element>(&self, batch: &Batch<'_, T>) -> Result<usize, ModelError> {
        let ForecasterConfig { input_len, horizon, .. } = self.config;
        let rows = batch.current.len() / input_len;
        let good = rows > 0
            && batch.current.len() == rows * input_len
            && batch.previous.len() == batch.current.len()
            && (batch.target.is_empty() || batch.target.len() == rows * horizon)
            && batch.beside.floor.is_none_or(|floor| floor.len() == rows);
        if good {
            return Ok(rows);
        }
        let lengths = [batch.current.len(), batch.previous.len(), batch.target.len()];
        let reason = format!(
            "windows of {input_len} and targets of {horizon} do not fit lengths {lengths:?}"
        );
        Err(ModelError::Batch(reason))
    }

    /// Records the covariates and the categories of the windows.
    pub(super) fn record_covariates<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        rows: usize,
    ) -> Result<[Option<Var>; 2], ModelError> {
        let ForecasterConfig { covariates, categories, .. } = self.config;
        let Beside { numbers, categories: own, .. } = batch.beside;
        let fits = numbers.len() == rows * covariates
            && own.is_empty() == (categories == 0)
            && own.len().is_multiple_of(rows);
        if !fits {
            return Err(ModelError::Batch(format!(
                "{rows} windows have {} covariates and {} categories, the model has {covariates} \
                 covariates of each and {categories} categories",
                numbers.len(),
                own.len()
            )));
        }
        let tape = &mut *graph.tape;
        let numbers = match covariates {
            0 => None,
            _ => Some(tape.constant([rows, covariates], numbers)?),
        };
        let categories = match categories {
            0 => None,
            _ => Some(tape.constant([rows, own.len() / rows], own)?),
        };
        Ok([numbers, categories])
    }

    /// Records the encoder's context of windows and covariates, `[batch, hidden]`.
    pub(super) fn context<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        [current, previous]: [Var; 2],
        side: [Option<Var>; 2],
    ) -> Result<Var, Error> {
        let part = match &self.covariates {
            Some(maps) => maps.context(graph, side)?,
            None => None,
        };
        self.encoder.forward_beside(graph, current, previous, part)
    }

    /// Records the direct contributions of windows (skip) and covariates to the forecast,
    /// `[batch, horizon]`; `None` if the model has neither.
    pub(super) fn direct<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        current: Var,
        side: [Option<Var>; 2],
    ) -> Result<Option<Var>, Error> {
        let skip = match &self.skip {
            Some(skip) => Some(graph.labelled("skip", |graph| skip.forward(graph, current))?),
            None => None,
        };
        let beside = match &self.covariates {
            Some(maps) => maps.forecast(graph, side)?,
            None => None,
        };
        match (skip, beside) {
            (Some(a), Some(b)) => Ok(Some(graph.tape.add(a, b)?)),
            (one, other) => Ok(one.or(other)),
        }
    }

    /// Records the normalised windows, and their centres and scales.
    pub(super) fn record_inputs<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        batch: &Batch<'_, T>,
        rows: usize,
    ) -> Result<[Var; 4], Error> {
        let length = self.config.input_len;
        with_scratch(2 * rows, |statistics: &mut [T]| {
            let (centres, scales) = statistics.split_at_mut(rows);
            let windows = batch.current.chunks_exact(length);
            for ((centre, scale), window) in centres.iter_mut().zip(&mut *scales).zip(windows) {
                (*centre, *scale) = self.config.instance_norm().statistics(window);
            }
            let tape = &mut *graph.tape;
            let mut normalized = |from: &[T]| {
                tape.constant_with([rows, length], |to| {
                    let windows = from.chunks_exact(length).zip(to.chunks_exact_mut(length));
                    for ((from, to), (&centre, &scale)) in windows.zip(centres.iter().zip(&*scales))
                    {
                        to.iter_mut().zip(from).for_each(|(to, &x)| *to = (x - centre) / scale);
                    }
                })
            };
            let (current, previous) = (normalized(batch.current)?, normalized(batch.previous)?);
            let centre = tape.constant([rows, 1], centres)?;
            let scale = tape.constant([rows, 1], scales)?;
            Ok([current, previous, centre, scale])
        })
    }
}
