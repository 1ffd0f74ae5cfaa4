//! Every controller in its closed loop, on a small layer that the trainer trains. The controlled
//! quantity must come nearer to its goal than without the controller. A flipped sign, or a
//! controller that does nothing, makes the error grow or stay.

mod contexts;
mod controllers;
mod plant;
mod sequence;

use vdn_model::controllers::{ConstraintConfig, Goal, LayerControl, Observation, StackControl};
use vdn_model::core::Parameters;
use vdn_tensor::noise::NoiseKey;
use vdn_train::config::Selection;
use vdn_train::data::{Examples, Split};
use vdn_train::train::{Network, Trainer};

type Failure = Box<dyn std::error::Error>;

const UNITS: usize = 8;
const ROWS: usize = 64;
const INPUTS: usize = 12;
/// The last steps, over which the observations of a layer are averaged.
const SHOWN: usize = 50;

fn normals(stream: u32, count: usize) -> Vec<f64> {
    let mut x = vec![0.0; count];
    NoiseKey::new(5, stream, 0).fill_normal(0, &mut x);
    x
}

fn mean(x: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    x.iter().map(|&x| f(x)).sum::<f64>() / x.len() as f64
}

/// So soft that the stiffness alone cannot bring a measure to its goal: the multipliers are needed.
fn budget(goal: Goal) -> ConstraintConfig {
    ConstraintConfig { goal, stiffness: 0.5, gain: 0.5, limit: 10.0, ..ConstraintConfig::default() }
}

/// Trains a network of one layer for one epoch with these controllers; an example is a step. `see`
/// is called with the observation of the layer in each of the last steps. Returns the controllers
/// as a checkpoint would restore them.
fn train<N, D>(
    network: &N,
    parameters: &mut Parameters<f64>,
    data: &D,
    controllers: &dyn Fn() -> Result<LayerControl, Failure>,
    mut see: impl FnMut(&Observation),
) -> Result<LayerControl, Failure>
where
    N: Network<f64>,
    D: for<'b> Examples<f64, Batch<'b> = N::Batch<'b>>,
{
    let mut trainer = Trainer::default();
    let train = &mut trainer.train;
    (train.epochs, train.batch, train.learning_rate) = (1, 1, 0.02);
    (train.selection, train.ema_decay, train.seed) = (Selection::Last, 0.0, 1);
    let (mut step, steps) = (0, data.split(Split::Train).len());
    let mut session =
        trainer.session(network, parameters, data)?.on_statistics(move |_, observation| {
            step += 1;
            if step + SHOWN > steps {
                see(observation);
            }
        });
    *session.controllers() = StackControl::new(vec![Some(controllers()?)]);
    let trained = session.run(|_| {})?;
    let mut control = StackControl::new(vec![Some(controllers()?)]);
    control.restore(&trained.control.ok_or("no controllers")?)?;
    Ok(control.into_layers().swap_remove(0).ok_or("no controllers")?)
}
