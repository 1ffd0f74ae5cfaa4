//! [`Segments`]: long series as training examples, that is, segments of equal length.

use crate::sequence::config::SequenceForecasterConfig;
use crate::sequence::series::Series;
use vdn_tensor::Element;
use vdn_train::TrainError;
use vdn_train::data::{Examples, Noun, Request, Split};

/// The position of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentIndex {
    /// The number of the series.
    pub series: u32,
    /// The number of the segment's first step.
    pub start: u32,
}

/// One long series: observations `[steps, channels]` and covariates `[steps, covariates]`.
pub type LongSeries = (Vec<f64>, Vec<f64>);

/// Segments of long series, all of the same length. A batch of them is a [`Series`].
///
/// All segments are for training, until [`Segments::split_at`] splits the steps in order.
///
/// ```
/// use vdn_forecast::sequence::{Segments, SequenceForecasterConfig, Series};
/// use vdn_train::data::{Examples, Request, Split};
/// let config = SequenceForecasterConfig::default(); // one channel, no covariates
/// let long = (0..12).map(f64::from).collect();
/// let data = Segments::new(&config, vec![(long, vec![])], 4)?.split_at(6, 5)?;
/// let starts = |split| -> Vec<u32> {
///     Examples::<f32>::split(&data, split).iter().map(|at| at.start).collect()
/// };
/// // Segments that train may overlap; those that are evaluated do not.
/// assert_eq!((starts(Split::Train), starts(Split::Validation)), (vec![0, 1, 2], vec![6]));
/// let all = Examples::<f32>::split(&data, Split::Train);
/// let mut buffers = Default::default();
/// let series: Series<'_, f32> = data.fill(&mut buffers, &all[..2], Request::TARGETS)?;
/// assert_eq!((series.batch(), series.steps()), (2, 4));
/// # Ok::<(), vdn_train::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Segments {
    config: SequenceForecasterConfig,
    series: Vec<LongSeries>,
    steps: usize,
    splits: [Vec<SegmentIndex>; 3],
}

impl Segments {
    /// Cuts series that fit this model configuration into segments of `steps` steps.
    ///
    /// # Errors
    /// Fails if there are no series, and for a series that is shorter than a segment, is too long,
    /// or does not fit the configuration: see [`Series::new`].
    pub fn new(
        config: &SequenceForecasterConfig,
        series: Vec<LongSeries>,
        steps: usize,
    ) -> Result<Self, TrainError> {
        let refuse = |reason: String| Err(TrainError::config(format!("segments: {reason}")));
        if series.is_empty() || steps == 0 {
            return refuse(format!("{} series, segments of {steps} steps", series.len()));
        }
        for (number, (observations, covariates)) in series.iter().enumerate() {
            let length = Series::new(config, observations, covariates, 1)?.steps();
            if length < steps || u32::try_from(length).is_err() {
                return refuse(format!("series {number} has {length} steps, a segment {steps}"));
            }
        }
        let mut own = Self { config: config.clone(), series, steps, splits: Default::default() };
        own.splits[0] = own.inside([0, usize::MAX], 1);
        Ok(own)
    }

    /// Splits the steps of every series in order: the first `train` steps for training, the next
    /// `validation` steps for validation, the rest for tests. Each segment lies within one part.
    /// Training segments start at every step; the others do not overlap.
    ///
    /// # Errors
    /// Fails if the first part is shorter than a segment.
    pub fn split_at(mut self, train: usize, validation: usize) -> Result<Self, TrainError> {
        let next = train.saturating_add(validation);
        self.splits = [
            self.inside([0, train], 1),
            self.inside([train, next], self.steps),
            self.inside([next, usize::MAX], self.steps),
        ];
        if self.splits[0].is_empty() {
            let reason = format!("no segment of {} steps in the first {train}", self.steps);
            return Err(TrainError::config(format!("segments: {reason}")));
        }
        Ok(self)
    }

    /// Returns the number of steps of series number `series`.
    fn length(&self, series: usize) -> usize {
        self.series[series].0.len() / self.config.channels
    }

    /// Returns the segments inside a part of every series, `stride` steps apart.
    fn inside(&self, [first, end]: [usize; 2], stride: usize) -> Vec<SegmentIndex> {
        let of = |series: usize| {
            let end = (end.min(self.length(series)) + 1).saturating_sub(self.steps);
            let starts = (first..end.max(first)).step_by(stride);
            starts.map(move |start| SegmentIndex { series: series as u32, start: start as u32 })
        };
        (0..self.series.len()).flat_map(of).collect()
    }
}

/// The buffers for a batch of [`Segments`]: observations and covariates.
#[derive(Clone, Debug, Default)]
pub struct SegmentBuffers<T>([Vec<T>; 2]);

/// A series is its own target, so it is present whether or not targets are requested.
impl<T: Element> Examples<T> for Segments {
    type Index = SegmentIndex;
    type Buffers = SegmentBuffers<T>;
    type Batch<'a> = Series<'a, T>;

    const NOUN: Noun = Noun::WINDOW;

    fn split(&self, split: Split) -> &[SegmentIndex] {
        &self.splits[split as usize]
    }

    fn fill<'a>(
        &self,
        buffers: &'a mut SegmentBuffers<T>,
        examples: &[SegmentIndex],
        request: Request,
    ) -> Result<Series<'a, T>, TrainError> {
        if request.predecessors || request.lag > 0 {
            let reason = "segments: nothing is compared with earlier segments";
            return Err(TrainError::config(reason));
        }
        let [observations, covariates] = &mut buffers.0;
        observations.clear();
        covariates.clear();
        for &SegmentIndex { series, start } in examples {
            let Some((x, known)) = self.series.get(series as usize) else {
                let reason = format!("series {series} of {} series", self.series.len());
                return Err(TrainError::config(format!("segments: {reason}")));
            };
            let steps = start as usize..start as usize + self.steps;
            if steps.end > self.length(series as usize) {
                let reason = format!("series {series} does not reach to step {}", steps.end);
                return Err(TrainError::config(format!("segments: {reason}")));
            }
            for (from, width, to) in [
                (x, self.config.channels, &mut *observations),
                (known, self.config.covariates, &mut *covariates),
            ] {
                let own = &from[steps.start * width..steps.end * width];
                to.extend(own.iter().map(|&x| T::from_f64(x)));
            }
        }
        Ok(Series::new(&self.config, observations, covariates, examples.len())?)
    }

    fn group(&self, example: SegmentIndex) -> u32 {
        example.series
    }
}
