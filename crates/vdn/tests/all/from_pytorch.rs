//! The program of `docs/from-pytorch.md` learns its task.

use vdn::prelude::*;

struct Model {
    units: VariationalLayer,
    head: Linear,
}

struct State {
    parameters: Parameters<f32>,
    optimizer: AdamW<f32>,
    tape: Tape<f32>,
    bindings: Bindings,
}

fn step(
    model: &Model,
    state: &mut State,
    number: u32,
    x: &[f32],
    y: &[f32],
) -> Result<f32, Box<dyn std::error::Error>> {
    let State { parameters, optimizer, tape, bindings } = state;
    tape.reset();
    let noise = NoiseKey::new(7, 0, number); // seed, stream (each layer has its own), step
    let mut graph = Graph::new(tape, parameters, bindings, Mode::Train, noise);
    let x = graph.tape.constant([y.len(), 3], x)?;
    let units = model.units.forward(&mut graph, x)?; // z [4, batch, 8], statistics of every unit
    let mean = model.head.forward(&mut graph, units.z)?;
    let y = tape.constant([y.len(), 1], y)?;
    let sigma = tape.constant([], &[0.5])?;
    let nll = tape.gaussian_nll(mean, sigma, y)?;
    let weight = tape.constant([], &[1e-2])?;
    let kl = tape.weighted_kl(&units.units, weight)?; // summed over units, a mean over the batch
    let loss = tape.add(nll, kl)?;
    // Backward, and a step that clips the norm of all gradients at 1.
    optimizer.minimize(loss, tape, bindings, parameters, 1e-3)?;
    Ok(tape.scalar(loss)?)
}

fn state() -> Result<(Model, State), Box<dyn std::error::Error>> {
    let mut parameters = Parameters::new();
    let mut builder = Builder::new(&mut parameters, 0); // the seed of the first weights
    let units = VariationalLayer::new(&mut builder.scope("units"), LayerConfig::new(3, 8))?;
    let head = Linear::new(&mut builder, "head", 8, 1);
    let optimizer = AdamW::new(&parameters, AdamWConfig::default())?;
    let (tape, bindings) = (Tape::new(), Bindings::new());
    Ok((Model { units, head }, State { parameters, optimizer, tape, bindings }))
}

#[test]
fn it_learns_and_allocates_its_memory_once() -> Result<(), Box<dyn std::error::Error>> {
    let (model, mut state) = state()?;
    let rows = 64;
    let mut x = vec![0.0; 3 * rows];
    NoiseKey::new(1, 0, 0).fill_normal(0, &mut x);
    let y: Vec<f32> = x.chunks(3).map(|x| 2.0 * x[0] - x[1]).collect();
    let first = step(&model, &mut state, 0, &x, &y)?;
    let memory = state.tape.memory();
    let mut last = first;
    for number in 1..3000 {
        last = step(&model, &mut state, number, &x, &y)?;
    }
    // Noise of 0.5 costs 0.23 nats if nothing else is left. At first y has a variance of 5, which
    // costs ten nats.
    println!("{first:.2} nats, then {last:.2}");
    assert!(first > 5.0 && last < 1.5, "{first} {last}");
    assert_eq!(state.tape.memory(), memory);
    Ok(())
}
