//! Special properties of training with a joint head: the learning rate of its loadings, and its
//! defaults.

use super::control::SMALL;
use super::support::{Failure, Run, train};
use vdn_forecast::config::RunConfig;
use vdn_forecast::forecaster::{Forecaster, Variant};
use vdn_train::network::Network;

/// A run of one step over all windows.
fn step(rate: f64) -> Result<Run, Failure> {
    let mut config = super::support::config(SMALL, "")?;
    config.train.epochs = 1;
    config.train.batch = 1 << 12;
    config.train.ema_decay = 0.0;
    config.train.learning_rate = rate;
    train(config, None)
}

#[test]
fn loadings_move_24_times_as_far_as_other_weights() -> Result<(), Failure> {
    const RATE: f64 = 1e-3;
    // A learning rate that changes no weight shows the initial weights.
    let [before, after] = [step(1e-30)?, step(RATE)?];
    let mut loadings = 0;
    for (a, b) in before.parameters.iter().zip(after.parameters.iter()) {
        let moves = a.tensor().data().iter().zip(b.tensor().data());
        let largest = moves.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        let own = a.name() == "head.loadings";
        loadings += usize::from(own);
        let rate = if own { 24.0 * RATE } else { RATE };
        // The first step of Adam equals the learning rate, and is smaller for a gradient near the
        // epsilon 1e-8. The rest is rounding of weights below 4.
        assert!(largest < rate + 1e-6, "{}: {largest}", a.name());
        assert!(!own || largest > 0.9 * rate, "{largest}");
    }
    assert_eq!(loadings, 1);
    Ok(())
}

#[test]
fn the_group_is_that_of_a_joint_head_with_units() -> Result<(), Failure> {
    let of = |text: &str, variant: Variant| -> Result<Vec<String>, Failure> {
        let model = vdn_forecast::forecaster::ForecasterConfig {
            variant,
            ..RunConfig::from_toml(text)?.model
        };
        let (model, parameters) = Forecaster::new::<f32>(model, 0)?;
        let groups = Network::<f32>::parameter_groups(&model);
        let names = groups.into_iter().map(|group| group.prefix);
        Ok(names.inspect(|name| assert!(parameters.find(name).is_some())).collect())
    };
    assert_eq!(of("", Variant::Variational)?, ["head.loadings"]);
    assert!(of("", Variant::Twin)?.is_empty());
    assert!(of("[model]\ndependence = \"sampled\"\n", Variant::Variational)?.is_empty());
    Ok(())
}

#[test]
fn rates_are_held_from_a_tenth_of_a_nat_on_under_a_joint_head() -> Result<(), Failure> {
    let low =
        |text: &str| -> Result<f64, Failure> { Ok(RunConfig::from_toml(text)?.control.rate.low) };
    assert_eq!(low("")?, 0.1);
    assert_eq!(low("[model]\ndependence = \"sampled\"\n")?, 0.08);
    assert_eq!(low("[model]\ndepth = 2\n")?, 0.08);
    assert_eq!(low("[control.rate]\nlow = 0.06\n")?, 0.06);
    Ok(())
}
