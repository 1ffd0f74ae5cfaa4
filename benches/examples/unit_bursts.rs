//! The speed of noise and of the fused unit with both generators, and of units under an
//! autoregressive prior compared with units under the standard prior, in short alternating bursts.
//!
//! On a shared machine two consecutive measurements are not comparable. Here bursts of a fraction
//! of a millisecond alternate between the generators, or between the priors. The output has the
//! best and the median of each in Gsamples/s, and the ratio of the best; for priors the ratio is
//! the time of the autoregressive prior over the time of the standard prior.
//!
//! Run with `cargo run --release -p vdn-benches --example unit_bursts`. A number after `--`
//! replaces the 400 bursts; a word selects the jobs whose name contains it. One thread.

use std::hint::black_box;
use std::time::Instant;
use vdn_benches::uniform;
use vdn_tensor::kernels::unit::{
    ClampGradient, ConditionalGradients, ConditionalOutputs, ConditionalUnits, LogVar,
    UnitGradients, UnitNoise, UnitOutputs, Units, conditional_backward, conditional_forward,
    unit_backward, unit_forward,
};
use vdn_tensor::noise::{Generator, NoiseKey};
use vdn_tensor::parallel::Pool;

const GENERATORS: [Generator; 2] = [Generator::Philox10, Generator::Ars7];

struct Unit {
    rows: usize,
    columns: usize,
    samples: usize,
    per_unit: bool,
    mu: Vec<f32>,
    logvar: Vec<f32>,
    z: Vec<f32>,
    /// The gradient of the samples; if it is empty, the samples themselves serve.
    d_z: Vec<f32>,
    statistics: [Vec<f32>; 5],
    gradients: [Vec<f32>; 2],
    half: Vec<f32>,
}

impl Unit {
    fn new([rows, columns, samples]: [usize; 3], per_unit: bool, spread: f32) -> Self {
        let size = rows * columns;
        Self {
            rows,
            columns,
            samples,
            per_unit,
            mu: uniform(0, size, -spread, spread),
            logvar: uniform(1, size, -1.0, 0.0),
            z: vec![0.0; samples * size],
            d_z: Vec::new(),
            statistics: [(); 5].map(|()| vec![0.0; columns]),
            gradients: [(); 2].map(|()| vec![0.0; size]),
            half: vec![0.5; columns],
        }
    }

    fn units<'a>(&self, mu: &'a [f32], logvar: &'a [f32], key: NoiseKey) -> Units<'a, f32> {
        let Self { rows, columns, samples, .. } = *self;
        let logvar = match self.per_unit {
            true => LogVar::PerColumn(&logvar[..columns]),
            false => LogVar::PerElement(logvar),
        };
        let noise = UnitNoise::Addressed(key);
        Units { rows, columns, samples, mu, logvar, noise, antithetic: false }
    }

    fn forward(&mut self, key: NoiseKey) {
        let (mu, logvar) = (std::mem::take(&mut self.mu), std::mem::take(&mut self.logvar));
        let units = self.units(&mu, &logvar, key);
        let [m1, m2, c2, d0, lv] = &mut self.statistics;
        unit_forward(&units, UnitOutputs { z: &mut self.z, m1, m2, c2, d0, lv, kl: None });
        (self.mu, self.logvar) = (mu, logvar);
    }

    fn backward(&mut self, key: NoiseKey) {
        let [mut d_mu, mut d_logvar] = std::mem::take(&mut self.gradients);
        let units = self.units(&self.mu, &self.logvar, key);
        let gradients = UnitGradients {
            z: &self.z,
            m1: &self.statistics[0],
            d_z: Some(if self.d_z.is_empty() { &self.z } else { &self.d_z }),
            d_m1: None,
            d_m2: Some(&self.half),
            d_c2: None,
            d_d0: Some(&self.half),
            d_lv: None,
            d_kl: None,
            clamp: ClampGradient::Inward,
        };
        let logvars = if self.per_unit { self.columns } else { d_logvar.len() };
        unit_backward(&units, &gradients, Some(&mut d_mu), Some(&mut d_logvar[..logvars]));
        self.gradients = [d_mu, d_logvar];
    }
}

/// Units with memory over time: the means and log-variances of `unit` are their messages.
struct Memory {
    unit: Unit,
    previous: Vec<f32>,
    phi: Vec<f32>,
    prior: Vec<f32>,
    d_previous: Vec<f32>,
}

impl Memory {
    fn new([rows, columns]: [usize; 2]) -> Self {
        let mut unit = Unit::new([rows, columns, 1], false, 2.0);
        unit.d_z = uniform(4, rows * columns, -1.0, 1.0);
        let phi = uniform(3, columns, 0.3, 0.99);
        Self {
            unit,
            previous: uniform(2, rows * columns, -2.0, 2.0),
            prior: phi.iter().map(|phi| (1.0 - phi * phi).ln()).collect(),
            phi,
            d_previous: vec![0.0; rows * columns],
        }
    }

    fn standard(&mut self, key: NoiseKey, backward: bool) {
        self.unit.forward(key);
        if backward {
            self.unit.backward(key);
        }
    }

    fn autoregressive(&mut self, key: NoiseKey, backward: bool) {
        let unit = &mut self.unit;
        let units = ConditionalUnits {
            rows: unit.rows,
            columns: unit.columns,
            samples: 1,
            m: &unit.mu,
            log_r: &unit.logvar,
            previous: &self.previous,
            phi: &self.phi,
            logvar: &self.prior,
            noise: UnitNoise::Addressed(key),
        };
        let [mean_kl, d_phi, d_logvar, ..] = &mut unit.statistics;
        conditional_forward(&units, ConditionalOutputs { z: &mut unit.z, kl: None, mean_kl });
        if !backward {
            return;
        }
        let [d_m, d_log_r] = &mut unit.gradients;
        let gradients = ConditionalGradients {
            z: &unit.z,
            d_z: Some(&unit.d_z),
            d_kl: None,
            d_mean_kl: Some(&unit.half),
            d_m: Some(d_m),
            d_log_r: Some(d_log_r),
            d_previous: Some(&mut self.d_previous),
            d_phi: Some(d_phi),
            d_logvar: Some(d_logvar),
        };
        conditional_backward(&units, gradients);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let bursts = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(400);
    let word = arguments.iter().find(|a| a.parse::<usize>().is_err());
    let measure = |name: &str, samples: usize, work: &mut (dyn FnMut(NoiseKey) + Send)| {
        if word.is_none_or(|word| name.contains(word.as_str())) {
            let pool = Pool::new(1).expect("a thread can be started");
            pool.run(|| {
                let mut work = |k: usize, key: NoiseKey| work(key.with_generator(GENERATORS[k]));
                let [philox, ars] = alternate(samples, bursts, &mut work);
                print(name, philox, ars, ars[0] / philox[0]);
            });
        }
    };
    println!("| job | Philox: best, median | ARS: best, median | ratio |");
    println!("|---|---|---|---|");
    let mut out = vec![0.0_f32; 1 << 14];
    measure("normals", out.len(), &mut |key| key.fill_normal(0, black_box(&mut out)));
    measure("uniforms", out.len(), &mut |key| key.fill_uniform(0, black_box(&mut out)));
    for (shape, per_unit, spread, name) in [
        ([256, 1024, 1], false, 2.0, "256x1024, a deviation per element"),
        ([256, 1024, 1], true, 2.0, "256x1024, one per unit"),
        ([256, 1024, 4], false, 2.0, "256x1024, four samples"),
        ([256, 1024, 4], true, 2.0, "256x1024, one per unit, four samples"),
        ([1024, 1024, 1], false, 2.0, "1024x1024, a deviation per element"),
        ([4096, 4096, 1], false, 2.0, "4096x4096, a deviation per element"),
    ] {
        if word.is_none_or(|word| format!("forward {name}").contains(word.as_str())) {
            let mut unit = Unit::new(shape, per_unit, spread);
            let samples = unit.z.len();
            measure(&format!("forward {name}"), samples, &mut |key| {
                black_box(&mut unit).forward(key)
            });
        }
    }
    for (spread, name) in [(2.0, "z - mu"), (20.0, "regenerated")] {
        let mut unit = Unit::new([256, 1024, 1], false, spread);
        unit.forward(NoiseKey::new(1, 0, 0));
        let samples = unit.z.len();
        measure(&format!("backward ({name}) 256x1024"), samples, &mut |key| {
            black_box(&mut unit).backward(key);
        });
    }
    println!("\n| job | standard prior: best, median | autoregressive: best, median | times |");
    println!("|---|---|---|---|");
    for (backward, pass) in [(false, "forward"), (true, "forward and backward")] {
        for (generator, note) in GENERATORS.into_iter().zip(["Philox", "ARS"]) {
            let name = format!("{pass} 256x1024, priors, {note}");
            if word.is_some_and(|word| !name.contains(word.as_str())) {
                continue;
            }
            let mut job = Memory::new([256, 1024]);
            let samples = job.previous.len();
            Pool::new(1).expect("a thread can be started").run(|| {
                let [standard, memory] = alternate(samples, bursts, &mut |k, key| {
                    let key = key.with_generator(generator);
                    match k {
                        0 => black_box(&mut job).standard(key, backward),
                        _ => black_box(&mut job).autoregressive(key, backward),
                    }
                });
                print(&name, standard, memory, standard[0] / memory[0]);
            });
        }
    }
}

/// Returns the best and the median rate of both, measured in turns.
fn alternate(
    samples: usize,
    bursts: usize,
    work: &mut dyn FnMut(usize, NoiseKey),
) -> [[f64; 2]; 2] {
    // Bursts of about a quarter of a millisecond, or one call.
    let calls = (100_000 / samples).max(1);
    let bursts = if samples > 1 << 22 { bursts.div_ceil(16) } else { bursts };
    let mut rates = [(); 2].map(|()| Vec::new());
    for burst in 0..bursts {
        for (k, rates) in rates.iter_mut().enumerate() {
            let start = Instant::now();
            for call in 0..calls {
                work(k, NoiseKey::new(1, 0, (burst * calls + call) as u32));
            }
            rates.push((calls * samples) as f64 / start.elapsed().as_nanos() as f64);
        }
    }
    rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        [rates[rates.len() - 1], rates[rates.len() / 2]]
    })
}

fn print(name: &str, first: [f64; 2], second: [f64; 2], ratio: f64) {
    let [[a, b], [c, d]] = [first, second];
    println!("| {name} | {a:.3}, {b:.3} | {c:.3}, {d:.3} | {ratio:.2} |");
}
