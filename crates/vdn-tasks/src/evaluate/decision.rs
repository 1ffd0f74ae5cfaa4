//! Decisions with abstention: of answering, abstaining and deferring the one of least expected
//! cost.

/// What a decision costs, where a wrong answer costs 1 and a right one nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Of no answer, at least 0.
    pub abstain: f64,
    /// Of asking another model, and the probability that it is wrong; none: there is no other.
    pub defer: Option<[f64; 2]>,
}

/// What is done about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The most probable class is the answer.
    Answer,
    /// There is no answer.
    Abstain,
    /// Another model is asked.
    Defer,
}

impl Decision {
    /// `answer`, `abstain` or `defer`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Abstain => "abstain",
            Self::Defer => "defer",
        }
    }
}

/// The decision of least expected cost for a row whose most probable class has the probability
/// `confidence`, and that cost: `1 - confidence` of the answer, the cost of abstaining, or the cost
/// of deferring and the other model's risk. Of equal costs the first of these is taken.
///
/// ```
/// use vdn_tasks::evaluate::{Costs, Decision, decide};
/// let costs = Costs { abstain: 0.3, defer: Some([0.1, 0.05]) };
/// assert_eq!(decide(0.9, costs).0, Decision::Answer);
/// assert_eq!(decide(0.8, costs).0, Decision::Defer); // 0.15 against 0.2
/// assert_eq!(decide(0.6, Costs { defer: None, ..costs }).0, Decision::Abstain);
/// ```
#[must_use]
pub fn decide(confidence: f64, costs: Costs) -> (Decision, f64) {
    let defer = costs.defer.map(|[cost, risk]| (Decision::Defer, cost + risk));
    let others = [Some((Decision::Abstain, costs.abstain)), defer].into_iter().flatten();
    let answer = (Decision::Answer, 1.0 - confidence);
    others.fold(answer, |best, other| if other.1 < best.1 { other } else { best })
}
