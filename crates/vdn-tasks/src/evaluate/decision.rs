//! Decisions with abstention: answering, abstaining or deferring, whichever has the least expected
//! cost.

/// The costs of decisions. A wrong answer costs 1 and a correct answer 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// The cost of abstaining, at least 0.
    pub abstain: f64,
    /// The cost of asking another model, and the probability that it is wrong; `None` if there is
    /// no other model.
    pub defer: Option<[f64; 2]>,
}

/// The decision about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Answer with the most probable class.
    Answer,
    /// Abstain from an answer.
    Abstain,
    /// Defer to another model.
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

/// The decision with the least expected cost, and that cost, for a row whose most probable class
/// has the probability `confidence`.
///
/// The cost of an answer is `1 - confidence`. The cost of deferring is its own cost plus the other
/// model's risk. For equal costs the order is answer, abstain, defer.
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
