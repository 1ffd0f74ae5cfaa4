//! Trains a first layer of distributional units with a hand-written training loop, on
//! `y = 2 x_1 - x_2`.
//!
//! Run with `cargo run --release -p vdn --example first_neuron`.

use vdn::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A layer of 8 units that see 3 inputs, and an affine map of their samples.
    let mut parameters = Parameters::<f32>::new();
    let mut builder = Builder::new(&mut parameters, 0); // the seed of the initial weights
    let units = VariationalLayer::new(&mut builder.scope("units"), LayerConfig::new(3, 8))?;
    let head = Linear::new(&mut builder, "head", 8, 1);
    let mut optimizer = AdamW::new(&parameters, AdamWConfig::default())?;

    let mut inputs = vec![0.0_f32; 3 * 64];
    NoiseKey::new(1, 0, 0).fill_normal(0, &mut inputs);
    let targets: Vec<f32> = inputs.chunks_exact(3).map(|x| 2.0 * x[0] - x[1]).collect();
    let (mut tape, mut bindings, mut last) = (Tape::new(), Bindings::new(), f32::NAN);
    for step in 0..1500 {
        tape.reset();
        let noise = NoiseKey::new(7, 0, step); // seed, stream (each layer has its own), step
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, noise);
        let x = graph.tape.constant([64, 3], &inputs)?;
        let sent = units.forward(&mut graph, x)?; // samples z [4, 64, 8], and the units' KL
        let mean = head.forward(&mut graph, sent.z)?;
        let y = tape.constant([64, 1], &targets)?;
        let sigma = tape.constant([], &[0.5])?;
        let nll = tape.gaussian_nll(mean, sigma, y)?;
        let price = tape.constant([], &[1e-2])?; // the price of a nat of KL
        let kl = tape.weighted_kl(&sent.units, price)?;
        let loss = tape.add(nll, kl)?;
        optimizer.minimize(loss, &mut tape, &bindings, &mut parameters, 3e-3)?;
        last = tape.scalar(nll)?;
        if step % 500 == 0 {
            let rate = tape.unit_rate(&sent.units)?;
            let rates = tape.value(rate).data();
            println!("step {step}: {last:.3} nats for each y; the units carry {rates:.2?}");
        }
    }
    println!("the end: {last:.3} nats for each y");
    assert!(last < 1.5, "without the inputs, y costs ten nats");
    Ok(())
}
