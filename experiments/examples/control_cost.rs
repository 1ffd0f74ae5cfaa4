//! The cost of the controllers of a layer of 1024 units in a training step.
//!
//! ```sh
//! cargo run --release -p vdn-experiments --example control_cost -- [rounds]
//! ```
//!
//! The default forecaster is trained on artificial windows with batch size 128. The models train
//! side by side in one process, in bursts of steps in turn. One model has a constant beta, the
//! others have controllers:
//!
//! * One model has all controllers that can be combined with the homeostat: calibrated bands with
//!   their penalty, thermostat on the KL of every row, homeostat, sigma guard, rate budget, KL
//!   budget, free bits, annealing.
//! * Controllers that replace one of these are in other models, with all controllers that they can
//!   be combined with: projection replaces the homeostat; PI, GECO and the capacity target replace
//!   the thermostat.
//! * The AR penalty with the control of its share and scale encodes a second pair of windows, and
//!   is shown separately.
//!
//! The cost includes the terms in the loss, the observation, and the actions every fifth step.
//!
//! Times are wall-clock times, because processor time is counted in ticks that are longer than the
//! difference. Run this on an idle machine.
//!
//! The steps are written out here and not left to the trainer. Seven models take turns in bursts of
//! five steps, so that drifts of the machine affect all of them equally, but a training of the
//! library runs to its end.

use std::time::Instant;
use vdn_autograd::Tape;
use vdn_forecast::forecaster::{Batch, Forecaster, ForecasterConfig, LossOptions};
use vdn_model::controllers::{LayerControl, LossValues};
use vdn_model::core::{Bindings, Graph, Mode, Parameters};
use vdn_model::objective::local_objectives;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_train::config::ControlConfig;
use vdn_train::optim::{AdamW, AdamWConfig};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const BATCH: usize = 128;
const BURST: u32 = 5; // one action of each controller

struct Training {
    model: Forecaster,
    parameters: Parameters<f32>,
    optimizer: AdamW<f32>,
    tape: Tape<f32>,
    bindings: Bindings,
    control: Option<LayerControl>,
    windows: [Vec<f32>; 4],
    step: u32,
}

impl Training {
    fn new(names: Option<&str>) -> Result<Self, Failure> {
        let config = ForecasterConfig::default();
        let (model, parameters) = Forecaster::new::<f32>(config, 0)?;
        let optimizer = AdamW::new(&parameters, AdamWConfig::default())?;
        let mut control =
            ControlConfig { band_spread: 1.0, band_target: 0.2, ..ControlConfig::default() };
        control.ar.ramp_steps = 0;
        control.geco.tolerance = Some(1.0);
        control.capacity.target = 0.2 * config.units as f64;
        control.pi.target = 0.1;
        control.choose(names.unwrap_or("none").split(','))?;
        let l = config.input_len;
        let mut stream = 0;
        let windows = [l, l, l, config.horizon].map(|length| {
            let mut numbers = vec![0.0; BATCH * length];
            stream += 1;
            NoiseKey::new(0, stream, 0).fill_normal(0, &mut numbers);
            numbers
        });
        let (tape, bindings) = (Tape::new(), Bindings::new());
        let control =
            control.build(&config.controlled_layers(), false)?.into_layers().swap_remove(0);
        Ok(Self { model, parameters, optimizer, tape, bindings, control, windows, step: 0 })
    }

    fn step(&mut self) -> Result<(), Failure> {
        let Self { model, parameters, optimizer, tape, bindings, control, windows, step } = self;
        tape.reset();
        let [current, previous, earlier, target] = &*windows;
        let batch = Batch { current, previous, target, earlier: Some(earlier), ..Batch::default() };
        let key = NoiseKey::new(1, 0, *step);
        let rows = control.as_ref().is_some_and(|control| control.needs().kl_rows);
        let mut graph = Graph::new(tape, parameters, bindings, Mode::Train, key).with_kl_rows(rows);
        let options = LossOptions {
            locals: local_objectives([control.as_ref().map(|control| &control.levers().objective)]),
            ..LossOptions::default()
        };
        let terms = model.loss_with(&mut graph, &batch, &options)?;
        if let (Some(control), Some(layer), Some(local)) =
            (control.as_mut(), terms.outputs[0], terms.locals[0])
        {
            let losses = LossValues {
                nll: f64::from(tape.scalar(terms.score)?),
                weighted_kl: f64::from(tape.scalar(local.weighted_kl)?),
                ..LossValues::default()
            };
            control.observe(tape, model.layer(), &layer, losses);
        }
        tape.backward(terms.loss)?;
        tape.release_shared();
        let gradients =
            (0..parameters.len()).map(|i| tape.gradient(bindings.get(i)?).map(|g| g.data()));
        optimizer.step(parameters, 1e-4, gradients)?;
        if let Some(control) = control
            && let Some(gain) = control.act(model.layer(), parameters)
        {
            for id in model.layer().mean_parameters() {
                optimizer.rescale_rows(id.index(), gain);
            }
        }
        *step += 1;
        Ok(())
    }

    fn burst(&mut self) -> Result<f64, Failure> {
        let start = Instant::now();
        for _ in 0..BURST {
            self.step()?;
        }
        Ok(start.elapsed().as_secs_f64() / f64::from(BURST))
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rounds = arguments.first().map_or(Ok(60), |text| text.parse::<usize>())?;
    Pool::new(1)?.run(|| {
        let sets = [
            "homeo,rate,kl,free_bits,annealing",
            "proj_on,rate,kl,free_bits,annealing",
            "rate,kl,free_bits,annealing,pi",
            "rate,kl,free_bits,annealing,geco",
            "rate,kl,capacity",
            "homeo,rate,kl,free_bits,annealing,ar",
        ];
        let mut models = vec![Training::new(None)?];
        for set in sets {
            models.push(Training::new(Some(set))?);
        }
        let mut times = vec![Vec::new(); models.len()];
        for round in 0..rounds + 3 {
            for (model, times) in models.iter_mut().zip(&mut times) {
                let time = model.burst()?;
                if round >= 3 {
                    times.push(time);
                }
            }
        }
        let times: Vec<[f64; 2]> = times
            .into_iter()
            .map(|mut times| {
                times.sort_unstable_by(f64::total_cmp);
                [times[0], times[times.len() / 2]]
            })
            .collect();
        println!("1024 units, batch {BATCH}, one thread: ms per step, fastest and median burst");
        let [best_plain, median_plain] = times[0];
        for (name, [best, median]) in std::iter::once("constant beta").chain(sets).zip(times) {
            println!(
                "{name:38} {:8.2} {:8.2}   {:+.1} % {:+.1} %",
                best * 1e3,
                median * 1e3,
                100.0 * (best / best_plain - 1.0),
                100.0 * (median / median_plain - 1.0)
            );
        }
        Ok(())
    })
}
