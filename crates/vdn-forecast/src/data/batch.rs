//! Implements [`Examples`] for [`Dataset`]: batches of windows.

use crate::data::{Dataset, WindowIndex};
use crate::forecaster::{Batch, Beside};
use vdn_tensor::Element;
use vdn_train::TrainError;
use vdn_train::data::{Examples, Lags, Noun, Request, Split};
use vdn_train::metrics::overlap_block;

/// Buffers for one batch of windows, reused for every batch.
#[derive(Clone, Debug, Default)]
pub struct WindowBuffers<T> {
    current: Vec<T>,
    previous: Vec<T>,
    earlier: Vec<T>,
    target: Vec<T>,
    lagged: Vec<WindowIndex>,
    floor: Vec<f64>,
    numbers: Vec<T>,
    earlier_numbers: Vec<T>,
    categories: Vec<T>,
}

impl<T: Element> Examples<T> for Dataset {
    type Index = WindowIndex;
    type Buffers = WindowBuffers<T>;
    type Batch<'a> = Batch<'a, T>;

    const NOUN: Noun = Noun::WINDOW;

    fn split(&self, split: Split) -> &[WindowIndex] {
        let splits = self.splits();
        match split {
            Split::Train => &splits.train,
            Split::Validation => &splits.validation,
            Split::Test => &splits.test,
        }
    }

    fn fill<'a>(
        &self,
        buffers: &'a mut WindowBuffers<T>,
        examples: &[WindowIndex],
        request: Request,
    ) -> Result<Batch<'a, T>, TrainError> {
        let spec = self.spec();
        let WindowBuffers { current, previous, earlier, target, lagged, floor, .. } = buffers;
        let WindowBuffers { numbers, earlier_numbers, categories, .. } = buffers;
        lagged.clear();
        lagged.extend(examples.iter().map(|w| WindowIndex { t: w.t - request.lag as u32, ..*w }));
        let windows = &lagged[..];
        if request.predecessors && !spec.extra_lag {
            let reason = "the AR penalty or the persistence target needs windows from L + 2 stride on: data.extra_lag = true";
            return Err(TrainError::config(reason));
        }
        let rows = windows.len();
        for (buffer, shift, wanted) in [
            (&mut *current, 0, true),
            (&mut *previous, 1, true),
            (&mut *earlier, 2, request.predecessors),
        ] {
            buffer.resize(if wanted { rows * spec.input_len } else { 0 }, T::ZERO);
            if wanted {
                self.fill_inputs(windows, shift, buffer, T::from_f64)?;
            }
        }
        target.resize(if request.targets { rows * spec.horizon } else { 0 }, T::ZERO);
        if request.targets {
            self.fill_targets(windows, target, T::from_f64)?;
        }
        let earlier = request.predecessors.then_some(&earlier[..]);
        floor.clear();
        floor.extend(windows.iter().filter_map(|window| self.floor(window.series as usize)));
        let width = self.covariate_numbers();
        for (buffer, lag, wanted) in
            [(&mut *numbers, 0, true), (&mut *earlier_numbers, 1, request.predecessors)]
        {
            buffer.resize(if wanted { rows * width } else { 0 }, T::ZERO);
            if wanted {
                self.fill_covariates(windows, lag, buffer, T::from_f64)?;
            }
        }
        categories.clear();
        categories.extend(self.categories_of(windows).map(|category| T::from_f64(category as f64)));
        let beside = Beside {
            floor: (!floor.is_empty()).then_some(&floor[..]),
            numbers,
            earlier_numbers,
            categories,
        };
        Ok(Batch { current, previous, target, earlier, beside })
    }

    fn group(&self, example: WindowIndex) -> u32 {
        example.series
    }

    /// The fraction of the window's targets that are not missing.
    fn weight(&self, example: WindowIndex) -> f64 {
        self.share_of_targets(example)
    }

    /// The number of consecutive windows whose targets overlap.
    fn block(&self, examples: &[WindowIndex]) -> usize {
        let pairs = examples.windows(2).filter(|w| w[0].series == w[1].series && w[0].t < w[1].t);
        let spacing = pairs.map(|w| w[1].t - w[0].t).min().unwrap_or(1);
        overlap_block(self.spec().horizon, spacing as usize)
    }

    fn lags(&self) -> Option<Lags> {
        Some(Lags { apart: self.spec().input_len, near: self.spec().stride })
    }

    fn has_earlier(&self, example: WindowIndex, lag: usize) -> bool {
        example.t as usize >= self.spec().first_start() + lag
    }
}
