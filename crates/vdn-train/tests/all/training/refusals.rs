//! Settings that a training cannot combine.

use super::network::{Regression, rows};
use vdn_train::config::ControlName;
use vdn_train::train::Trainer;

/// Rates, variances and bands are computed over a whole batch; its parts cannot give them.
#[test]
fn controllers_and_accumulation_are_refused_before_the_first_step() {
    let data = rows(1.0);
    let train = |mode: ControlName, accumulate: usize| {
        let (network, mut parameters) = Regression::new();
        let before = parameters.clone();
        let mut trainer = Trainer::default();
        (trainer.train.epochs, trainer.train.batch) = (1, 8);
        (trainer.train.accumulate, trainer.control.mode) = (accumulate, mode);
        let mut events = 0;
        let result = trainer.train(&network, &mut parameters, &data, |_| events += 1);
        let same = before.iter().zip(parameters.iter());
        let same = same.into_iter().all(|(a, b)| a.tensor().data() == b.tensor().data());
        (result.map(drop), events, same)
    };
    let (result, events, same) = train(ControlName::Rate, 2);
    let error = result.unwrap_err().to_string();
    let start = "configuration: train.accumulate = 2: controllers need rates, variances";
    assert!(error.starts_with(start) && error.lines().count() == 1, "{error}");
    assert!(events == 0 && same, "{events} events");
    // Each of them alone can be trained.
    for (mode, accumulate) in [(ControlName::Rate, 1), (ControlName::None, 2)] {
        let (result, events, same) = train(mode, accumulate);
        assert!(result.is_ok() && events > 0 && !same, "{mode:?} {accumulate}: {result:?}");
    }
}
