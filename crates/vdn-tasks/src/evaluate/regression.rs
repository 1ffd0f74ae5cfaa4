//! [`RegressionScores`]: scores of predicted numbers, in their own units.

use crate::data::{TargetEncoding, TaskEncoding, TaskRows};
use crate::evaluate::mixture::{Members, with_others};
use crate::evaluate::predictive::Predictive;
use crate::network::TaskNetwork;
use serde::Serialize;
use vdn_model::units::Intervention;
use vdn_tensor::parallel;
use vdn_train::TrainError;
use vdn_train::data::Request;
use vdn_train::evaluate::Evaluator;
use vdn_train::metrics::{BlockSums, MetricError, PitHistogram};

/// The number of histogram bins for the calibration error.
const PIT_BINS: usize = 20;

/// The scores of one target, or the means over several.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegressionScores {
    /// The number of rows that were predicted.
    pub rows: usize,
    /// The root of the mean squared error of the predicted mean.
    pub rmse: f64,
    /// The mean absolute error of the predicted median.
    pub mae: f64,
    /// The negative log-likelihood of the density in the target's units, in nats per row and
    /// target.
    pub nll: f64,
    /// The standard error of the NLL over rows; `None` with one row.
    pub nll_standard_error: Option<f64>,
    /// The continuous ranked probability score.
    pub crps: f64,
    /// The standard error of the CRPS over rows; `None` with one row.
    pub crps_standard_error: Option<f64>,
    /// The share of targets inside the central 50 % interval.
    pub coverage_50: f64,
    /// The share of targets inside the central 90 % interval.
    pub coverage_90: f64,
    /// The mean width of the 90 % interval.
    pub width_90: f64,
    /// The mean distance of the distribution of `P(Y <= y)` from a uniform one, over 19 levels.
    pub calibration_error: f64,
    /// The units' share of the predictive variance. Numerator and denominator are averaged
    /// separately.
    pub unit_share: f64,
    /// The scores of each target if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetScores>,
}

/// The scores of one of several targets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetScores {
    /// The name of the target.
    pub name: String,
    /// The scores of the target.
    #[serde(flatten)]
    pub scores: RegressionScores,
}

/// The number of columns that are averaged over rows.
const COLUMNS: usize = 9;

/// The scores of one prediction: the columns, and `P(Y <= y)`.
type Scored = Result<([f64; COLUMNS], f64), MetricError>;

fn score(predictive: &Predictive, y: f64) -> Scored {
    let [low_90, low_50, median, high_50, high_90] = {
        let mut all = [0.0; 5];
        for (to, level) in all.iter_mut().zip([0.05, 0.25, 0.5, 0.75, 0.95]) {
            *to = predictive.quantile(level)?;
        }
        all
    };
    let inside = |low: f64, high: f64| f64::from(u8::from(low <= y && y <= high));
    let [units, noise] = predictive.variance_parts();
    let columns = [
        (predictive.mean() - y).powi(2),
        (median - y).abs(),
        -predictive.ln_density(y),
        predictive.crps(y)?,
        inside(low_50, high_50),
        inside(low_90, high_90),
        high_90 - low_90,
        units,
        units + noise,
    ];
    Ok((columns, predictive.probability(y)?))
}

struct Sums {
    columns: BlockSums,
    pit: PitHistogram,
}

impl Sums {
    fn new() -> Result<Self, MetricError> {
        Ok(Self { columns: BlockSums::new(COLUMNS, 1)?, pit: PitHistogram::new(PIT_BINS)? })
    }

    fn finish(&self) -> Result<RegressionScores, MetricError> {
        let of = |column| self.columns.estimate(column);
        let (nll, crps) = (of(2)?, of(3)?);
        Ok(RegressionScores {
            rows: self.columns.windows(),
            rmse: of(0)?.mean.sqrt(),
            mae: of(1)?.mean,
            nll: nll.mean,
            nll_standard_error: nll.standard_error,
            crps: crps.mean,
            crps_standard_error: crps.standard_error,
            coverage_50: of(4)?.mean,
            coverage_90: of(5)?.mean,
            width_90: of(6)?.mean,
            calibration_error: self.pit.calibration_error().unwrap_or(f64::NAN),
            unit_share: self.columns.ratio(7, 8)?.mean,
            targets: Vec::new(),
        })
    }
}

/// Scores rows against their targets, in the targets' own units.
///
/// # Errors
/// Returns an error if there are no rows, if rows do not fit the network, or if a prediction or a
/// score is not finite.
pub fn score_regression(
    evaluator: &Evaluator<'_, f32, TaskNetwork, TaskRows>,
    encoding: &TaskEncoding,
    rows: &[usize],
    intervention: Intervention,
) -> Result<RegressionScores, TrainError> {
    score_mixture_of_numbers((evaluator, &[]), encoding, rows, intervention)
}

/// Like [`score_regression`], for the mixture of a network and others.
pub(crate) fn score_mixture_of_numbers(
    (evaluator, others): Members<'_, '_>,
    encoding: &TaskEncoding,
    rows: &[usize],
    intervention: Intervention,
) -> Result<RegressionScores, TrainError> {
    let share = encoding.outlier_share();
    let TargetEncoding::Numbers(scales) = &encoding.targets else {
        return Err(TrainError::config("scores of numbers, of a network for classes"));
    };
    let mut sums = scales.iter().map(|_| Sums::new()).collect::<Result<Vec<_>, _>>()?;
    let (network, data) = (evaluator.network, evaluator.data);
    evaluator.for_each_pass(rows, Request::INPUTS, |place, graph, batch, chunk| {
        let prediction = network.predict(graph, batch, intervention)?;
        let prediction = with_others(prediction, others, chunk)?;
        let columns = scales.len();
        let mut found: Vec<Option<Scored>> =
            chunk.iter().flat_map(|_| 0..columns).map(|_| None).collect();
        parallel::for_each_chunk(&mut found, 1, |at, to| {
            let (row, column) = (at / columns, at % columns);
            let scale = &scales[column];
            let y = scale.mean + scale.std * data.targets(chunk[row])[column];
            let number = (place.start + row) as u64 * columns as u64 + column as u64;
            let from = (evaluator.noise, number);
            let own = Predictive::of(network, &prediction, [row, column], (scale, share), from);
            to[0] = own.transpose().map(|own| own.and_then(|own| score(&own, y)));
        });
        for (at, own) in found.into_iter().enumerate() {
            let refused = || TrainError::config("a network for classes predicts no numbers");
            let (values, probability) = own.ok_or_else(refused)??;
            let to = &mut sums[at % columns];
            to.columns.push(&values)?;
            to.pit.push(probability)?;
        }
        Ok(())
    })?;
    let mut each = sums.iter().map(Sums::finish).collect::<Result<Vec<_>, _>>()?;
    if each.len() == 1 {
        return Ok(each.remove(0));
    }
    Ok(averaged(&each, scales.iter().map(|scale| scale.name.clone())))
}

/// The means over targets; for the RMSE, the root of the mean of mean squares.
fn averaged(each: &[RegressionScores], names: impl Iterator<Item = String>) -> RegressionScores {
    let n = each.len() as f64;
    let mean = |of: fn(&RegressionScores) -> f64| each.iter().map(of).sum::<f64>() / n;
    RegressionScores {
        rows: each[0].rows,
        rmse: mean(|own| own.rmse * own.rmse).sqrt(),
        mae: mean(|own| own.mae),
        nll: mean(|own| own.nll),
        // Targets of one row are not independent.
        nll_standard_error: None,
        crps: mean(|own| own.crps),
        crps_standard_error: None,
        coverage_50: mean(|own| own.coverage_50),
        coverage_90: mean(|own| own.coverage_90),
        width_90: mean(|own| own.width_90),
        calibration_error: mean(|own| own.calibration_error),
        unit_share: mean(|own| own.unit_share),
        targets: names
            .zip(each)
            .map(|(name, scores)| TargetScores { name, scores: scores.clone() })
            .collect(),
    }
}
