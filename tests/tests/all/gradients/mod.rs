//! Compares every operation of the tape with central differences in `f64`. The tolerance comes from
//! `vdn_autograd::check_gradients`, which derives it from the step. Prints the worst error over all
//! operations.

mod likelihoods;
mod operations;
mod sequences;
mod units;

use likelihoods::LIKELIHOODS;
use operations::{ELEMENTWISE, STRUCTURE};
use sequences::SEQUENCES;
use units::UNITS;
use vdn_autograd::{
    Error, Noise, Report, SampleKl, Score, Tape, Var, check_direction, check_gradients,
};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Shape, Tensor};

/// The range of an input's elements.
#[derive(Clone, Copy)]
enum Domain {
    /// Standard normal.
    Real,
    /// Between 0.2 and about 5.
    Positive,
    /// At least 0.01 away from -1, 0 and 1, so that clamp and relu are smooth.
    AwayFromKinks,
    /// A standard normal times 1e-5, where differences of exponentials cancel.
    NearZero,
}
use Domain::{AwayFromKinks, NearZero, Positive, Real};

type Graph = fn(&mut Tape<f64>, &[Var]) -> Result<Var, Error>;
type Case<'a> = (&'a str, &'a [(&'a [usize], Domain)], Graph);

fn input(stream: u32, dims: &[usize], domain: Domain) -> Tensor<f64> {
    let mut tensor = Tensor::<f64>::zeros(Shape::new(dims).expect("a small shape"));
    NoiseKey::new(17, stream, 0).fill_normal(0, tensor.data_mut());
    for x in tensor.data_mut() {
        *x = match domain {
            Real => *x,
            Positive => 0.2 + (0.5 * *x).exp(),
            NearZero => 1e-5 * *x,
            AwayFromKinks if [-1.0, 0.0, 1.0].iter().any(|kink: &f64| (*x - kink).abs() < 0.01) => {
                *x + 0.02
            }
            AwayFromKinks => *x,
        };
    }
    tensor
}

fn inputs(shapes: &[(&[usize], Domain)]) -> Vec<Tensor<f64>> {
    let streams = 0..;
    shapes
        .iter()
        .zip(streams)
        .map(|(&(dims, domain), stream)| input(stream, dims, domain))
        .collect()
}

/// Runs a table of cases, prints the worst error, and adds the failing reports to `failures`.
fn run(cases: &[Case<'_>], failures: &mut Vec<String>) -> [(f64, String); 2] {
    let mut worst = [(0.0, String::new()), (0.0, String::new())];
    for (name, shapes, graph) in cases {
        let report = match check_gradients(&inputs(shapes), graph) {
            Ok(report) => report,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        if !report.passed() {
            failures.push(format!("{name}: {report}"));
        }
        let values = report.worst_error.zip(report.worst_ratio);
        for (worst, value) in
            worst.iter_mut().zip(values.map(|(e, r)| [e.error(), r.ratio()]).unwrap_or_default())
        {
            if value > worst.0 {
                *worst = (value, (*name).to_owned());
            }
        }
    }
    worst
}

#[test]
fn every_operation() {
    let mut failures = Vec::new();
    let mut worst = [(0.0, String::new()), (0.0, String::new())];
    for table in [ELEMENTWISE, STRUCTURE, LIKELIHOODS, UNITS, SEQUENCES] {
        for (worst, found) in worst.iter_mut().zip(run(table, &mut failures)) {
            if found.0 > worst.0 {
                *worst = found;
            }
        }
    }
    let [(error, at), (ratio, ratio_at)] = worst;
    let count =
        ELEMENTWISE.len() + STRUCTURE.len() + LIKELIHOODS.len() + UNITS.len() + SEQUENCES.len();
    println!(
        "{count} cases: worst error {error:.2e} ({at}), worst error/tolerance {ratio:.3} ({ratio_at})"
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Two layers, a unit and a loss: a whole step in one random direction.
fn network(t: &mut Tape<f64>, v: &[Var]) -> Result<Var, Error> {
    let hidden = t.affine(v[0], v[1], Some(v[2]))?;
    let hidden = t.gelu(hidden)?;
    let hidden = t.layer_norm(hidden, v[3], v[4], 1e-5)?;
    let logvar = t.affine(hidden, v[5], None)?;
    let units =
        t.sample_kl(hidden, logvar, SampleKl::new(3, Noise::Addressed(NoiseKey::new(1, 2, 3))))?;
    let sigma = t.softplus(v[4])?;
    let sigma = t.add_scalar(sigma, 0.1)?;
    let y = t.detach(v[6])?;
    let nll = t.mixture_nll(units.z, sigma, y, Score::Marginal)?;
    let kl = t.unit_kl(&units)?;
    let kl = t.sum(kl)?;
    t.add(nll, kl)
}

const NETWORK: &[(&[usize], Domain)] = &[
    (&[8, 12], Real),
    (&[24, 12], NearZero),
    (&[24], Real),
    (&[24], Positive),
    (&[24], Real),
    (&[24, 24], NearZero),
    (&[8, 24], Real),
];

#[test]
fn a_network_in_a_random_direction() -> Result<(), Error> {
    for stream in 0..4 {
        // The last input is detached, so its direction must not count: it is a constant here.
        let (last, moved) = NETWORK.split_last().expect("not empty");
        let y = inputs(&[*last]).remove(0);
        let graph = |t: &mut Tape<f64>, v: &[Var]| {
            let y = t.constant(*y.shape(), y.data())?;
            let mut all = v.to_vec();
            all.push(y);
            network(t, &all)
        };
        let report = check_direction(&inputs(moved), graph, NoiseKey::new(5, stream, 0))?;
        assert!(report.passed(), "{report}");
    }
    Ok(())
}

/// The check itself can fail: it finds a slope that is wrong by one part in a million.
#[test]
fn a_wrong_slope_is_found() -> Result<(), Error> {
    struct Wrong(f64);
    impl vdn_autograd::UnaryFormula for Wrong {
        const NAME: &'static str = "wrong";
        const READS: vdn_autograd::SlopeReads = vdn_autograd::SlopeReads::Output;
        #[inline(always)]
        fn value<R: vdn_tensor::Real>(&self, x: R) -> R {
            x.exp()
        }
        #[inline(always)]
        fn slope<R: vdn_tensor::Real>(&self, _x: R, y: R) -> R {
            y * y.lit(self.0)
        }
    }
    let check = |factor: f64| -> Result<Report, Error> {
        check_gradients(&inputs(&[(&[9], Real)]), |t, v| {
            t.record_single(vdn_autograd::Unary(Wrong(factor)), v)
        })
    };
    assert!(check(1.0)?.passed());
    let report = check(1.0 + 1e-6)?;
    assert_eq!(
        (report.operation, report.checked, report.failures.len()),
        ("wrong", 9, 9),
        "{report}"
    );
    assert!(!check(f64::NAN)?.passed());
    Ok(())
}
