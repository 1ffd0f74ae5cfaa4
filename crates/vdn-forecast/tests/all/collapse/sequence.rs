//! Trained units along a sequence: a unit that stores a constant is captured by its past, a unit
//! that follows changes is living.

use vdn_forecast::sequence::{
    PriorConfig, Segments, SequenceForecaster, SequenceForecasterConfig, Series,
};
use vdn_model::controllers::StackControl;
use vdn_model::diagnostics::{
    CollapseMode, CollapseThresholds, Living, SequenceDiagnostics, UnitBudget,
};
use vdn_model::priors::OrderOneConfig;
use vdn_tensor::noise::NoiseKey;
use vdn_train::config::Selection;
use vdn_train::train::Trainer;

const BATCH: usize = 16;
const STEPS: usize = 48;

/// Sequences of an autoregressive process with this coefficient and variance 1 (a constant, for
/// coefficient 1), observed with noise of standard deviation 0.4, `[count, steps]`.
fn sequences(phi: f64, seed: u64, [count, steps]: [usize; 2]) -> Vec<f64> {
    let mut noise = vec![0.0_f64; 2 * count * steps];
    NoiseKey::new(seed, 7, 0).fill_normal(0, &mut noise);
    let (moves, seen) = noise.split_at(count * steps);
    let mut x = Vec::with_capacity(count * steps);
    for b in 0..count {
        let mut level = moves[b * steps];
        for t in 0..steps {
            if t > 0 {
                level = phi * level + (1.0 - phi * phi).sqrt() * moves[b * steps + t];
            }
            x.push(level + 0.4 * seen[b * steps + t]);
        }
    }
    x
}

/// Trains a forecaster of one unit on such sequences for 400 steps. Returns its measures and its
/// report on other sequences.
fn trained(
    prior: PriorConfig,
    phi: f64,
) -> Result<(SequenceDiagnostics, Living), Box<dyn std::error::Error>> {
    let config = SequenceForecasterConfig {
        window: 1,
        hidden: vec![4],
        units: 1,
        prior,
        ..SequenceForecasterConfig::default()
    };
    let (model, mut parameters) = SequenceForecaster::new::<f32>(config, 1)?;
    let trains = sequences(phi, 100, [400 * BATCH, STEPS]);
    let mut series: Vec<_> = trains.chunks(STEPS).map(|x| (x.to_vec(), vec![])).collect();
    // A sequence of double length is included for validation.
    series[0].0.extend(sequences(phi, 2, [1, STEPS]));
    let data = Segments::new(model.config(), series, STEPS)?.split_at(STEPS, STEPS)?;
    let mut trainer = Trainer::default();
    let train = &mut trainer.train;
    (train.epochs, train.batch, train.learning_rate) = (1, BATCH, 0.02);
    (train.selection, train.ema_decay) = (Selection::Last, 0.0);
    let mut session = trainer.session(&model, &mut parameters, &data)?;
    *session.controllers() = StackControl::default();
    session.run(|_| {})?;
    let x: Vec<f32> = sequences(phi, 1, [BATCH, STEPS]).into_iter().map(|x| x as f32).collect();
    let found = model.diagnostics(&parameters, Series::new(model.config(), &x, &[], BATCH)?)?;
    let budget = UnitBudget { high: 2.0, ..UnitBudget::default() };
    let living = found.living(&CollapseThresholds::default(), &budget);
    println!("phi {phi}: {living}; {found:?}");
    Ok((found, living))
}

#[test]
fn a_unit_that_stores_a_constant_is_captured_by_its_past_and_one_that_follows_lives()
-> Result<(), Box<dyn std::error::Error>> {
    let memory = PriorConfig::OrderOne(OrderOneConfig::default());
    let (constant, living) = trained(memory, 1.0)?;
    assert_eq!(living.to_string(), "0 of 1 units living; 1 ar_capture");
    assert!(constant.coefficients[0][0] > 0.97 && constant.persistence[0] > 0.9, "{constant:?}");
    let (follows, living) = trained(memory, 0.6)?;
    assert_eq!(living.to_string(), "1 of 1 units living");
    // Its memory is about what its learned prior expects. The standard error of an autocorrelation
    // over 752 steps is 0.03.
    let [phi, rho] = [follows.coefficients[0][0], follows.persistence[0]];
    assert!(phi > 0.3 && (rho - phi).abs() < 0.12, "{follows:?}");
    // Under a prior without memory, the past explains nothing.
    let (told, living) = trained(PriorConfig::StandardNormal, 1.0)?;
    assert_eq!(living.in_mode(CollapseMode::ArCapture), 0);
    // The same number, summed in another order.
    assert!((told.rate[0] / told.rate_given_past[0] - 1.0).abs() < 1e-12, "{told:?}");
    Ok(())
}
