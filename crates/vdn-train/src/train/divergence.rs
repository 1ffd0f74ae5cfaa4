//! [`Divergence`]: a training that ended worse than it began, with finite numbers.

use crate::units::history::Epoch;
use std::fmt;

/// A training whose kept epoch is far worse than the network before its first step. A learning rate
/// that is too large can end in finite numbers of any size.
///
/// Scores are the values of [`Network::loss`](crate::network::Network::loss); smaller is better.
/// The score before the first step is the score of the first batch, which costs nothing extra.
///
/// Training has diverged if both scores of the kept epoch are worse than this score by more than 1
/// (a nat if scores are likelihoods) and by more than its absolute value. Both scores are needed:
/// the training score alone may include steps before the network recovered, and the validation
/// score alone may be worse because the data changed.
///
/// ```
/// use vdn_train::train::Divergence;
/// // A likelihood: one nat, or the size of the score.
/// assert!(Divergence::of(0.5, 1.4, 1.4).is_none());
/// assert!(Divergence::of(0.5, 1.6, 1.6).is_some());
/// // A squared error of a tenth, and one of a hundred.
/// assert!(Divergence::of(0.1, 0.9, 0.9).is_none());
/// assert!(Divergence::of(100.0, 190.0, 210.0).is_none());
/// assert!(Divergence::of(100.0, 210.0, 210.0).is_some());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Divergence {
    /// The score of the first batch, before the first step.
    pub untrained: f64,
    /// The mean training score of the kept epoch, or of the next epoch if that is worse.
    pub training: f64,
    /// The validation score of the kept epoch.
    pub validation: f64,
}

impl Divergence {
    /// Compares these scores; `None` if training did not diverge. NaN counts as worse than any
    /// number.
    #[must_use]
    pub fn of(untrained: f64, training: f64, validation: f64) -> Option<Self> {
        let most = untrained + untrained.abs().max(1.0);
        let near = |score: f64| score <= most;
        let diverged = untrained.is_finite() && !near(training) && !near(validation);
        diverged.then_some(Self { untrained, training, validation })
    }

    /// Judges the kept epoch of a history, counted from 1.
    ///
    /// The mean training score of an epoch belongs to the weights before its steps as much as to
    /// those after them. In an epoch of one step it belongs only to the weights before it. The
    /// score of the next epoch, if there is one, belongs to the kept weights.
    pub(crate) fn of_history(
        untrained: Option<f64>,
        history: &[Epoch],
        best_epoch: usize,
    ) -> Option<Self> {
        let place = history.iter().position(|epoch| epoch.epoch == best_epoch)?;
        let (kept, next) = (&history[place], history.get(place + 1));
        let training = [kept.train_nll, next.map_or(f64::NEG_INFINITY, |next| next.train_nll)];
        Self::of(untrained?, training[0].max(training[1]), kept.validation_nll)
    }
}

/// One line: the finding, and a suggestion.
impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { untrained, training, validation } = self;
        write!(
            f,
            "training has diverged: the score of the kept epoch is {training:.3e} on training and \
             {validation:.3e} on validation examples, before the first step it was \
             {untrained:.3e}; a smaller train.learning_rate may help"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_scores_have_to_be_far_worse_than_before_the_first_step() {
        let diverged = |u, t, v| Divergence::of(u, t, v).is_some();
        for untrained in [1.5, 30.0, 1e9] {
            for (factor, worse) in [(1.9, false), (2.1, true), (9.0, true), (11.0, true)] {
                let score = factor * untrained;
                assert_eq!(diverged(untrained, score, score), worse, "{untrained} {factor}");
                assert!(!diverged(untrained, score, untrained), "validation is good");
                assert!(!diverged(untrained, untrained, score), "the data changed");
            }
        }
        // Scores around 0 and below.
        assert!(!diverged(0.0, 0.9, 0.9) && diverged(0.0, 1.1, 1.1));
        assert!(!diverged(-5.0, -0.1, -0.1) && diverged(-5.0, 0.1, 0.1));
        for bad in [f64::INFINITY, f64::NAN] {
            assert!(diverged(1.0, bad, bad) && !diverged(1.0, bad, 1.0));
            assert!(!diverged(bad, 1.0, 1.0) && !diverged(bad, bad, bad), "nothing to compare");
        }
    }

    #[test]
    fn it_is_one_line_with_the_three_scores() {
        let line = Divergence::of(1.4, 3e11, 2e10).unwrap().to_string();
        for part in ["3.000e11 on training", "2.000e10 on validation", "1.400e0"] {
            assert!(line.contains(part) && line.lines().count() == 1, "{line}");
        }
    }
}
