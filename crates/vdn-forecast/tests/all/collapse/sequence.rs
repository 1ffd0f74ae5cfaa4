//! Units along a sequence, trained: one that stores what never changes is captured by its past, one that follows what changes
//! lives.

use vdn_autograd::Tape;
use vdn_forecast::sequence::{
    PriorConfig, SequenceForecaster, SequenceForecasterConfig, SequenceObjective, Series,
};
use vdn_model::core::{Bindings, Graph, Mode};
use vdn_model::diagnostics::{
    CollapseMode, CollapseThresholds, Living, SequenceDiagnostics, UnitBudget,
};
use vdn_model::priors::OrderOneConfig;
use vdn_tensor::noise::NoiseKey;
use vdn_train::optim::{AdamW, AdamWConfig};

const BATCH: usize = 16;
const STEPS: usize = 48;

/// Sequences of an autoregressive process of this coefficient and variance 1 (with 1: a constant), seen through noise of
/// deviation 0.4.
fn sequences(phi: f64, seed: u64) -> Vec<f32> {
    let mut noise = vec![0.0_f64; 2 * BATCH * STEPS];
    NoiseKey::new(seed, 7, 0).fill_normal(0, &mut noise);
    let (steps, seen) = noise.split_at(BATCH * STEPS);
    let mut x = Vec::with_capacity(BATCH * STEPS);
    for b in 0..BATCH {
        let mut level = steps[b * STEPS];
        for t in 0..STEPS {
            if t > 0 {
                level = phi * level + (1.0 - phi * phi).sqrt() * steps[b * STEPS + t];
            }
            x.push((level + 0.4 * seen[b * STEPS + t]) as f32);
        }
    }
    x
}

/// A forecaster of one unit, trained on such sequences: its measures and its verdict on others.
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
    let mut optimizer = AdamW::new(&parameters, AdamWConfig::default())?;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    for step in 0..400_u32 {
        let x = sequences(phi, 100 + u64::from(step));
        let series = Series::new(model.config(), &x, &[], BATCH)?;
        tape.reset();
        let key = NoiseKey::new(1, 0, step);
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
        let loss = model.loss(&mut graph, series, SequenceObjective::default())?;
        tape.backward(loss.loss)?;
        tape.release_shared();
        let gradients =
            (0..parameters.len()).map(|i| tape.gradient(bindings.get(i)?).map(|g| g.data()));
        optimizer.step(&mut parameters, 0.02, gradients)?;
    }
    let x = sequences(phi, 1);
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
    // It remembers about as much as its prior has learned to expect; the standard error of an autocorrelation over 752 steps is
    // 0.03.
    let [phi, rho] = [follows.coefficients[0][0], follows.persistence[0]];
    assert!(phi > 0.3 && (rho - phi).abs() < 0.12, "{follows:?}");
    // Under a prior without memory no past can explain anything.
    let (told, living) = trained(PriorConfig::StandardNormal, 1.0)?;
    assert_eq!(living.in_mode(CollapseMode::ArCapture), 0);
    assert_eq!(told.rate, told.rate_given_past);
    Ok(())
}
