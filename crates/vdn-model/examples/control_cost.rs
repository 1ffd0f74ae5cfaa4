//! What the controllers of a layer of 1024 units cost per training step: observation of the fused statistics and acts.
//! Beside it the recorded terms are a dozen operations on vectors of 1024.

use std::time::Instant;
use vdn_autograd::Tape;
use vdn_model::controllers::*;
use vdn_model::{
    BandTerm, Bindings, Builder, Graph, LayerConfig, Mode, Parameters, VariationalLayer,
};
use vdn_tensor::noise::NoiseKey;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (units, batch) = (1024, 128);
    let config = LayerConfig { units, emit_kl: true, ..LayerConfig::default() };
    let mut parameters = Parameters::<f32>::new();
    let layer = VariationalLayer::new(&mut Builder::new(&mut parameters, 0), config, 0)?;
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let h =
        tape.constant_with([batch, config.inputs], |to| NoiseKey::new(1, 0, 0).fill_normal(0, to))?;
    let key = NoiseKey::new(0, 0, 0);
    let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
    let output = layer.forward(&mut graph, h)?;
    let base = EnergyBand::new(units, &BandConfig::default())?;
    let hinge =
        Hinge { form: HingeForm::Relative { eps: 1e-3 }, weight_low: 1.0, weight_high: 1.0 };
    let mut control = LayerControl::new(units, 1, LayerControlConfig::default());
    control.levers_mut().objective.band =
        Some(BandTerm { bounds: base.clone(), hinge, weight: 0.0 });
    let every = |every| Timing { warmup: 0, every };
    control.add(BandCalibration::new(base, BandCalibrationConfig::default())?, every(50))?;
    control.add(BetaThermostat::new(units, ThermostatConfig::default())?, every(5))?;
    control.add(Homeostat::new(HomeostatConfig::default())?, every(5))?;
    control.add(SigmaGuard::new(SigmaGuardConfig::default())?, every(5))?;
    control.add(RateBudget::new(units, ConstraintConfig::default())?, every(5))?;
    control.add(KlBudget::new(units, ConstraintConfig::default())?, every(5))?;
    control
        .add(BandWeight::new(3.0, Ramp::default(), Some(FocusLow::default())), Timing::ALWAYS)?;
    tape.release_shared();
    let mut best = f64::INFINITY;
    for _ in 0..40 {
        let start = Instant::now();
        for _ in 0..50 {
            control.observe(&tape, &layer, &output, LossValues::default());
            control.act(&layer, &mut parameters);
        }
        best = best.min(start.elapsed().as_secs_f64() / 50.0);
    }
    println!("all controllers, {units} units, batch {batch}: {:.1} us per step", best * 1e6);
    Ok(())
}
