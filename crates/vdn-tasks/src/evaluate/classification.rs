//! [`ClassificationScores`]: scores of predicted classes.

use crate::data::TaskRows;
use crate::evaluate::calibration_error::{Bins, calibration_error};
use crate::evaluate::mixture::{Members, with_others};
use crate::network::{Prediction, TaskNetwork, brier, mean_probabilities};
use serde::Serialize;
use vdn_model::units::Intervention;
use vdn_train::TrainError;
use vdn_train::data::Request;
use vdn_train::evaluate::Evaluator;
use vdn_train::metrics::BlockSums;
use vdn_train::metrics::risk::risk_coverage;

/// The scores of predicted classes. The prediction of a row is the mean of its probabilities over
/// samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassificationScores {
    /// The number of rows that were predicted.
    pub rows: usize,
    /// The share of rows whose most probable class is correct.
    pub accuracy: f64,
    /// The share of rows whose most probable class is wrong.
    pub error: f64,
    /// The negative logarithm of the probability of the correct class, in nats per row.
    pub nll: f64,
    /// The standard error of the NLL over rows; `None` with one row.
    pub nll_standard_error: Option<f64>,
    /// `sum_c (p_c - 1{c is right})^2`, in [0, 2].
    pub brier: f64,
    /// The expected calibration error over 15 bins of equal width.
    pub ece_equal_width: f64,
    /// The expected calibration error over 15 bins with equal numbers of rows.
    pub ece_equal_mass: f64,
    /// The mean entropy of the prediction in nats.
    pub entropy: f64,
    /// The mean information of the samples about the class: the entropy of the mean minus the mean
    /// of the entropies, in nats.
    pub mutual_information: f64,
    /// The mean sum of the units' KL in nats per row.
    pub kl: f64,
    /// The area under the curve of the error over the share of answered rows, with the most
    /// confident rows first.
    pub risk_coverage_area: f64,
    /// The smallest area that any order of these errors can have.
    pub risk_coverage_least: f64,
    /// The share of errors among the most confident 80 % of the rows.
    pub risk_80: f64,
    /// The share of errors among the most confident 90 %.
    pub risk_90: f64,
    /// The share of errors among the most confident 95 %.
    pub risk_95: f64,
}

/// The prediction of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassPrediction {
    /// The probabilities of the classes.
    pub probabilities: Vec<f64>,
    /// The entropy of the probabilities in nats.
    pub entropy: f64,
    /// The information of the samples about the class in nats.
    pub mutual_information: f64,
    /// The sum of the units' KL in nats.
    pub kl: f64,
}

/// `-sum p ln p` in nats.
fn entropy(p: &[f64]) -> f64 {
    p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum()
}

impl ClassPrediction {
    /// The prediction of one row.
    ///
    /// ```
    /// use vdn_tasks::evaluate::ClassPrediction;
    /// use vdn_tasks::network::Prediction;
    /// // Two samples that are sure of different classes.
    /// let prediction = Prediction {
    ///     shape: [2, 1, 2],
    ///     location: vec![50.0, 0.0, 0.0, 50.0],
    ///     scale: vec![],
    ///     kl: vec![0.3],
    /// };
    /// let own = ClassPrediction::of(&prediction, 0);
    /// assert!((own.entropy - 2_f64.ln()).abs() < 1e-12);
    /// assert!((own.mutual_information - 2_f64.ln()).abs() < 1e-12);
    /// ```
    #[must_use]
    pub fn of(prediction: &Prediction, row: usize) -> Self {
        let samples = prediction.probabilities(row);
        let probabilities = mean_probabilities(prediction, row);
        let whole = entropy(&probabilities);
        let within = samples.iter().map(|p| entropy(p)).sum::<f64>() / samples.len() as f64;
        // Rounding could make it negative.
        let mutual_information = (whole - within).max(0.0);
        Self { entropy: whole, mutual_information, kl: prediction.kl[row], probabilities }
    }

    /// The most probable class; the first of several.
    #[must_use]
    pub fn class(&self) -> usize {
        let best = |best: usize, (class, p): (usize, &f64)| match *p > self.probabilities[best] {
            true => class,
            false => best,
        };
        self.probabilities.iter().enumerate().fold(0, best)
    }

    /// The probability of the most probable class.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        self.probabilities[self.class()]
    }
}

/// Scores rows against their classes.
///
/// # Errors
/// Returns an error if there are no rows, if rows do not fit the network, or if a prediction is not
/// finite.
pub fn score_classification(
    evaluator: &Evaluator<'_, f32, TaskNetwork, TaskRows>,
    rows: &[usize],
    intervention: Intervention,
) -> Result<ClassificationScores, TrainError> {
    score_mixture_of_classes((evaluator, &[]), rows, intervention)
}

/// Like [`score_classification`], for the mixture of a network and others.
pub(crate) fn score_mixture_of_classes(
    (evaluator, others): Members<'_, '_>,
    rows: &[usize],
    intervention: Intervention,
) -> Result<ClassificationScores, TrainError> {
    let (network, data) = (evaluator.network, evaluator.data);
    // Correct, NLL, Brier, entropy, information, KL.
    let mut sums = BlockSums::new(6, 1)?;
    let (mut confidence, mut wrong) = (Vec::new(), Vec::new());
    evaluator.for_each_pass(rows, Request::INPUTS, |_, graph, batch, chunk| {
        let prediction = network.predict(graph, batch, intervention)?;
        let prediction = with_others(prediction, others, chunk)?;
        for (row, &number) in chunk.iter().enumerate() {
            let class = data.targets(number)[0] as usize;
            let own = ClassPrediction::of(&prediction, row);
            let l = network.sample_ln_densities(&prediction, [row, 0], class as f64);
            let right = f64::from(u8::from(own.class() == class));
            confidence.push(own.confidence());
            wrong.push(1.0 - right);
            sums.push(&[
                right,
                -crate::network::log_mean_exp(&l),
                brier(&own.probabilities, class),
                own.entropy,
                own.mutual_information,
                own.kl,
            ])?;
        }
        Ok(())
    })?;
    let of = |column| sums.estimate(column);
    let (accuracy, nll) = (of(0)?.mean, of(1)?);
    let unsure: Vec<f64> = confidence.iter().map(|p| 1.0 - p).collect();
    let curve = risk_coverage(&unsure, &wrong)?;
    let [risk_80, risk_90, risk_95] = [0.8, 0.9, 0.95].map(|share| curve.risk_at(share));
    Ok(ClassificationScores {
        rows: sums.windows(),
        accuracy,
        error: 1.0 - accuracy,
        nll: nll.mean,
        nll_standard_error: nll.standard_error,
        brier: of(2)?.mean,
        ece_equal_width: calibration_error(&confidence, &wrong, Bins::EqualWidth)?,
        ece_equal_mass: calibration_error(&confidence, &wrong, Bins::EqualMass)?,
        entropy: of(3)?.mean,
        mutual_information: of(4)?.mean,
        kl: of(5)?.mean,
        risk_coverage_area: curve.area,
        risk_coverage_least: risk_coverage(&wrong, &wrong)?.area,
        risk_80,
        risk_90,
        risk_95,
    })
}
