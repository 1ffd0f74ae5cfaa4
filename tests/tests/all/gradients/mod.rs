//! Every operation of the tape against central differences in `f64`, with the tolerance of
//! `vdn_autograd::check_gradients` (derived there from the step). Prints the worst error over all operations.

mod sequences;

use sequences::SEQUENCES;
use vdn_autograd::{
    Density, Error, MixtureNll, Noise, Pool, Report, SampleKl, Score, Tape, UnitOutputs, Var,
    check_direction, check_gradients,
};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Shape, Tensor};

/// Where the elements of an input lie.
#[derive(Clone, Copy)]
enum Domain {
    /// Standard normal.
    Real,
    /// Between 0.2 and about 5.
    Positive,
    /// At least 0.01 away from -1, 0 and 1: where clamp and relu are smooth.
    AwayFromKinks,
    /// A standard normal times 1e-5: where differences of exponentials cancel.
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

const ELEMENTWISE: &[Case<'_>] = &[
    ("neg", &[(&[19], Real)], |t, v| t.neg(v[0])),
    ("scale", &[(&[19], Real)], |t, v| t.scale(v[0], -2.5)),
    ("add_scalar", &[(&[19], Real)], |t, v| t.add_scalar(v[0], -2.5)),
    ("exp", &[(&[3, 7], Real)], |t, v| t.exp(v[0])),
    ("ln", &[(&[19], Positive)], |t, v| t.ln(v[0])),
    ("sqrt", &[(&[19], Positive)], |t, v| t.sqrt(v[0])),
    ("square", &[(&[19], Real)], |t, v| t.square(v[0])),
    ("tanh", &[(&[40], Real)], |t, v| t.tanh(v[0])),
    ("sigmoid", &[(&[40], Real)], |t, v| t.sigmoid(v[0])),
    ("softplus", &[(&[40], Real)], |t, v| t.softplus(v[0])),
    ("relu", &[(&[40], AwayFromKinks)], |t, v| t.relu(v[0])),
    ("gelu", &[(&[40], Real)], |t, v| t.gelu(v[0])),
    ("ln_normal_cdf", &[(&[40], Real)], |t, v| t.ln_normal_cdf(v[0])),
    ("ln_normal_cdf far out", &[(&[40], Real)], |t, v| {
        let far = t.add_scalar(v[0], -6.0)?;
        t.ln_normal_cdf(far)
    }),
    ("abs", &[(&[40], AwayFromKinks)], |t, v| t.abs(v[0])),
    ("pow 3", &[(&[40], Real)], |t, v| t.pow(v[0], 3.0)),
    ("pow -2", &[(&[19], Positive)], |t, v| t.pow(v[0], -2.0)),
    ("pow 1.7", &[(&[19], Positive)], |t, v| t.pow(v[0], 1.7)),
    ("where_mask", &[(&[3, 5], Real), (&[5], Real)], |t, v| {
        let mask = t.constant([3, 1], &[1.0, 0.0, -1.0])?;
        t.where_mask(mask, v[0], v[1])
    }),
    ("clamp", &[(&[40], AwayFromKinks)], |t, v| t.clamp(v[0], -1.0, 1.0)),
    ("min_scalar", &[(&[40], AwayFromKinks)], |t, v| t.min_scalar(v[0], 1.0)),
    ("add", &[(&[3, 5], Real), (&[3, 5], Real)], |t, v| t.add(v[0], v[1])),
    ("add row", &[(&[3, 5], Real), (&[5], Real)], |t, v| t.add(v[0], v[1])),
    ("sub column", &[(&[3, 1], Real), (&[2, 3, 5], Real)], |t, v| t.sub(v[0], v[1])),
    ("sub scalar", &[(&[3, 5], Real), (&[], Real)], |t, v| t.sub(v[0], v[1])),
    ("mul", &[(&[3, 5], Real), (&[3, 5], Real)], |t, v| t.mul(v[0], v[1])),
    ("mul outer", &[(&[3, 1], Real), (&[1, 5], Real)], |t, v| t.mul(v[0], v[1])),
    ("mul by itself", &[(&[7], Real)], |t, v| t.mul(v[0], v[0])),
    ("div", &[(&[3, 5], Real), (&[3, 5], Positive)], |t, v| t.div(v[0], v[1])),
    ("div row", &[(&[3, 5], Real), (&[5], Positive)], |t, v| t.div(v[0], v[1])),
    ("div by itself", &[(&[7], Positive)], |t, v| t.div(v[0], v[0])),
    (
        "kl_gaussian",
        &[(&[4, 5], Real), (&[4, 5], Real), (&[4, 5], Real), (&[4, 5], Real)],
        |t, v| t.kl_gaussian(v[0], v[1], v[2], v[3]),
    ),
    (
        "kl_gaussian broadcast",
        &[(&[4, 5], Real), (&[5], Real), (&[], Real), (&[4, 1], Real)],
        |t, v| t.kl_gaussian(v[0], v[1], v[2], v[3]),
    ),
    (
        "kl_gaussian near equality",
        &[(&[9], NearZero), (&[9], NearZero), (&[9], NearZero), (&[9], NearZero)],
        |t, v| t.kl_gaussian(v[0], v[1], v[2], v[3]),
    ),
];

const STRUCTURE: &[Case<'_>] = &[
    ("sum", &[(&[3, 50], Real)], |t, v| t.sum(v[0])),
    ("mean", &[(&[3, 50], Real)], |t, v| t.mean(v[0])),
    ("sum_axis 0", &[(&[3, 4, 5], Real)], |t, v| t.sum_axis(v[0], 0)),
    ("sum_axis 1", &[(&[3, 4, 5], Real)], |t, v| t.sum_axis(v[0], 1)),
    ("mean_axis 2", &[(&[3, 4, 5], Real)], |t, v| t.mean_axis(v[0], 2)),
    ("mean_axis 0", &[(&[3, 4, 5], Real)], |t, v| t.mean_axis(v[0], 0)),
    ("max_axis 0", &[(&[3, 4, 5], Real)], |t, v| t.max_axis(v[0], 0)),
    ("max_axis 2", &[(&[3, 4, 17], Real)], |t, v| t.max_axis(v[0], 2)),
    ("var_axis 0", &[(&[4, 3, 2], Real)], |t, v| t.var_axis(v[0], 0)),
    ("var_axis 1", &[(&[3, 19], Real)], |t, v| t.var_axis(v[0], 1)),
    ("softmax", &[(&[3, 18], Real)], |t, v| t.softmax(v[0])),
    ("softmax_axis 0", &[(&[4, 3, 2], Real)], |t, v| t.softmax_axis(v[0], 0)),
    ("logsumexp 0", &[(&[4, 3], Real)], |t, v| t.logsumexp(v[0], 0)),
    ("logsumexp 1", &[(&[4, 19], Real)], |t, v| t.logsumexp(v[0], 1)),
    ("log_softmax 0", &[(&[4, 3, 2], Real)], |t, v| t.log_softmax(v[0], 0)),
    ("log_softmax 1", &[(&[4, 19], Real)], |t, v| t.log_softmax(v[0], 1)),
    ("cumsum 0", &[(&[4, 3], Real)], |t, v| t.cumsum(v[0], 0)),
    ("cumsum 1", &[(&[2, 4, 3], Real)], |t, v| t.cumsum(v[0], 1)),
    ("permute", &[(&[2, 3, 4], Real)], |t, v| t.permute(v[0], &[1, 2, 0])),
    ("gather", &[(&[4, 3], Real)], |t, v| {
        let rows = t.indices([2, 3], &[3, 0, 3, 3, 1, 0])?;
        t.gather(v[0], rows)
    }),
    ("concat", &[(&[2, 1, 3], Real), (&[2, 4, 3], Real)], |t, v| t.concat(&[v[0], v[1], v[0]], 1)),
    ("slice_axis", &[(&[2, 5, 3], Real)], |t, v| t.slice_axis(v[0], 1, 1, 3)),
    ("slices that overlap", &[(&[2, 5, 3], Real)], |t, v| {
        // The source itself is used as well, before and after its slices.
        let first = t.square(v[0])?;
        let [a, b] = [t.slice_axis(v[0], 1, 0, 4)?, t.slice_axis(v[0], 1, 2, 3)?];
        let [a, b] = [t.exp(a)?, t.tanh(b)?];
        let last = t.sigmoid(v[0])?;
        t.concat(&[first, a, b, last], 1)
    }),
    ("select", &[(&[2, 5, 3], Real)], |t, v| t.select(v[0], 1, 3)),
    ("split", &[(&[2, 5, 3], Real)], |t, v| {
        let parts = t.split(v[0], 1, &[1, 0, 4])?;
        let squares = t.square(parts[2])?;
        t.concat(&[squares, parts[0], parts[1]], 1)
    }),
    ("unbind", &[(&[3, 4], Real)], |t, v| {
        let rows = t.unbind(v[0], 0)?;
        let product = t.mul(rows[0], rows[2])?;
        t.mul(product, rows[1])
    }),
    ("broadcast_to", &[(&[3, 1], Real)], |t, v| t.broadcast_to(v[0], [2, 3, 4])),
    ("reshape", &[(&[6], Real)], |t, v| {
        let square = t.square(v[0])?;
        t.reshape(square, [2, 3])
    }),
    ("moving_average 5", &[(&[2, 9], Real)], |t, v| t.moving_average(v[0], 5)),
    ("moving_average 4", &[(&[2, 3], Real)], |t, v| t.moving_average(v[0], 4)),
    ("moving_average_adjoint 5", &[(&[2, 9], Real)], |t, v| t.moving_average_adjoint(v[0], 5)),
    ("moving_average_adjoint 4", &[(&[2, 3], Real)], |t, v| t.moving_average_adjoint(v[0], 4)),
    ("dropout", &[(&[4, 9], Real)], |t, v| t.dropout(v[0], 0.4, NoiseKey::new(1, 2, 3))),
    ("pool mean", &[(&[2, 3, 8], Real)], |t, v| t.pool(v[0], 4, Pool::Mean)),
    ("pool sum", &[(&[2, 3, 8], Real)], |t, v| t.pool(v[0], 2, Pool::Sum)),
    ("pool sum_sqrtk", &[(&[2, 3, 6], Real)], |t, v| t.pool(v[0], 3, Pool::SumSqrtK)),
    ("matmul", &[(&[3, 4], Real), (&[4, 5], Real)], |t, v| t.matmul(v[0], v[1], false, false)),
    ("matmul a^T", &[(&[4, 3], Real), (&[4, 5], Real)], |t, v| t.matmul(v[0], v[1], true, false)),
    ("matmul b^T", &[(&[3, 4], Real), (&[5, 4], Real)], |t, v| t.matmul(v[0], v[1], false, true)),
    ("matmul a^T b^T", &[(&[4, 3], Real), (&[5, 4], Real)], |t, v| {
        t.matmul(v[0], v[1], true, true)
    }),
    ("batch_matmul", &[(&[2, 2, 3, 4], Real), (&[2, 2, 4, 5], Real)], |t, v| {
        t.batch_matmul(v[0], v[1], false, false)
    }),
    ("batch_matmul a^T", &[(&[2, 4, 3], Real), (&[2, 4, 5], Real)], |t, v| {
        t.batch_matmul(v[0], v[1], true, false)
    }),
    ("batch_matmul b^T", &[(&[2, 3, 4], Real), (&[2, 5, 4], Real)], |t, v| {
        t.batch_matmul(v[0], v[1], false, true)
    }),
    ("batch_matmul a^T b^T", &[(&[2, 4, 3], Real), (&[2, 5, 4], Real)], |t, v| {
        t.batch_matmul(v[0], v[1], true, true)
    }),
    ("matmul by itself", &[(&[4, 4], Real)], |t, v| t.matmul(v[0], v[0], true, false)),
    ("affine", &[(&[3, 4], Real), (&[5, 4], Real), (&[5], Real)], |t, v| {
        t.affine(v[0], v[1], Some(v[2]))
    }),
    ("affine without bias", &[(&[2, 3, 4], Real), (&[5, 4], Real)], |t, v| {
        t.affine(v[0], v[1], None)
    }),
    ("layer_norm", &[(&[3, 20], Real), (&[20], Real), (&[20], Real)], |t, v| {
        t.layer_norm(v[0], v[1], v[2], 1e-5)
    }),
];

fn mixture(t: &mut Tape<f64>, v: &[Var], score: Score) -> Result<Var, Error> {
    let options = MixtureNll { log_weights: v.get(3).copied(), ..MixtureNll::new(score) };
    t.mixture_nll_with(v[0], v[1], v[2], options)
}

/// Samples 3, batch 4, horizon 19 (a block of lanes and a rest).
const MU: (&[usize], Domain) = (&[3, 4, 19], Real);
const Y: (&[usize], Domain) = (&[4, 19], Real);
const Y_SCALE: (&[usize], Domain) = (&[4, 19], Positive);
const WEIGHTS: (&[usize], Domain) = (&[3, 4], Real);

const LIKELIHOODS: &[Case<'_>] = &[
    ("gaussian_nll", &[Y, (&[4, 19], Positive), Y], |t, v| t.gaussian_nll(v[0], v[1], v[2])),
    ("gaussian_nll broadcast", &[MU, (&[19], Positive), Y], |t, v| {
        t.gaussian_nll(v[0], v[1], v[2])
    }),
    ("gaussian_nll guarded", &[Y, (&[19], Positive), Y], |t, v| {
        // Sigma is 0.2 and more with a median of 1.2: the floor of 1 holds for some elements.
        t.gaussian_nll_with(v[0], v[1], v[2], Density { sigma_floor: 1.0, eps: 1e-3 })
    }),
    ("cross_entropy", &[(&[2, 3, 7], Real)], |t, v| {
        let classes = t.indices([2, 3], &[0, 6, 3, 3, 1, 2])?;
        t.cross_entropy(v[0], classes)
    }),
    ("cross_entropy smoothed", &[(&[3, 7], Real)], |t, v| {
        let classes = t.indices([3], &[0, 6, 3])?;
        t.cross_entropy_smoothed(v[0], classes, 0.2)
    }),
    ("bernoulli_nll", &[MU, Y], |t, v| {
        let y = t.sigmoid(v[1])?;
        t.bernoulli_nll(v[0], y)
    }),
    ("poisson_nll", &[(&[3, 2, 4], Real)], |t, v| {
        let counts = t.indices([2, 4], &[0, 1, 2, 9, 3, 0, 1, 5])?;
        t.poisson_nll(v[0], counts)
    }),
    ("laplace_nll", &[MU, (&[19], Positive), Y], |t, v| t.laplace_nll(v[0], v[1], v[2])),
    ("student_t_nll", &[MU, (&[4, 1], Positive), (&[19], Positive), Y], |t, v| {
        t.student_t_nll(v[0], v[1], v[2], v[3])
    }),
    ("student_t_nll near normal", &[Y, Y_SCALE, (&[], Positive), Y], |t, v| {
        let freedom = t.scale(v[2], 80.0)?;
        t.student_t_nll(v[0], v[1], freedom, v[3])
    }),
    ("negative_binomial_nll", &[(&[3, 2, 4], Real), (&[4], Real)], |t, v| {
        let counts = t.indices([2, 4], &[0, 1, 2, 9, 40, 0, 1, 5])?;
        t.negative_binomial_nll(v[0], v[1], counts)
    }),
    ("mixture tempered", &[MU, (&[19], Positive), Y], |t, v| mixture(t, v, Score::Tempered)),
    ("mixture marginal", &[MU, (&[19], Positive), Y], |t, v| mixture(t, v, Score::Marginal)),
    ("mixture joint", &[MU, (&[19], Positive), Y], |t, v| mixture(t, v, Score::Joint)),
    ("mixture tempered rows", &[MU, (&[4, 19], Positive), Y, WEIGHTS], |t, v| {
        mixture(t, v, Score::Tempered)
    }),
    ("mixture marginal rows", &[MU, (&[1, 4, 19], Positive), Y, WEIGHTS], |t, v| {
        mixture(t, v, Score::Marginal)
    }),
    ("mixture joint rows", &[MU, (&[4, 19], Positive), Y, WEIGHTS], |t, v| {
        mixture(t, v, Score::Joint)
    }),
    ("mixture tempered samples", &[MU, (MU.0, Positive), Y, WEIGHTS], |t, v| {
        mixture(t, v, Score::Tempered)
    }),
    ("mixture marginal samples", &[MU, (MU.0, Positive), Y, WEIGHTS], |t, v| {
        mixture(t, v, Score::Marginal)
    }),
    ("mixture joint samples", &[MU, (MU.0, Positive), Y], |t, v| mixture(t, v, Score::Joint)),
    ("mixture guarded", &[MU, (MU.0, Positive), Y], |t, v| {
        let density = Density { sigma_floor: 1.0, eps: 1e-3 };
        t.mixture_nll_with(
            v[0],
            v[1],
            v[2],
            MixtureNll { density, ..MixtureNll::new(Score::Marginal) },
        )
    }),
];

/// The samples, the statistics and the KL joined into one vector, so that each output is checked.
fn all_outputs(t: &mut Tape<f64>, units: &UnitOutputs) -> Result<Var, Error> {
    let derived = [t.unit_kl(units)?, t.unit_rate(units)?, t.unit_mismatch(units)?];
    let outputs = [units.z, units.m1, units.m2, units.c2, units.d0, units.lv];
    let mut flat = Vec::new();
    for output in outputs.into_iter().chain(units.kl).chain(derived) {
        let len = t.shape(output).numel();
        flat.push(t.reshape(output, [len])?);
    }
    t.concat(&flat, 0)
}

fn unit(t: &mut Tape<f64>, v: &[Var], antithetic: bool, emit_kl: bool) -> Result<Var, Error> {
    let noise = Noise::Addressed(NoiseKey::new(3, 4, 5));
    let units =
        t.sample_kl(v[0], v[1], SampleKl { antithetic, emit_kl, ..SampleKl::new(2, noise) })?;
    all_outputs(t, &units)
}

const UNITS: &[Case<'_>] = &[
    ("sample_kl", &[(&[5, 19], Real), (&[5, 19], Real)], |t, v| unit(t, v, false, true)),
    ("sample_kl antithetic", &[(&[6, 3], Real), (&[6, 3], Real)], |t, v| unit(t, v, true, false)),
    ("sample_kl per unit", &[(&[5, 19], Real), (&[19], Real)], |t, v| unit(t, v, false, true)),
    ("sample_kl scalar", &[(&[5, 19], Real), (&[], Real)], |t, v| unit(t, v, false, false)),
    ("sample_kl near the prior", &[(&[5, 7], NearZero), (&[5, 7], NearZero)], |t, v| {
        unit(t, v, false, true)
    }),
    ("sample_kl given", &[(&[5, 7], Real), (&[5, 7], Real)], |t, v| {
        let mut eps = [0.0; 70];
        NoiseKey::new(9, 9, 9).fill_normal(0, &mut eps);
        let eps = t.constant([2, 5, 7], &eps)?;
        let units = t.sample_kl(v[0], v[1], SampleKl::new(2, Noise::Given(eps)))?;
        all_outputs(t, &units)
    }),
    ("weighted_kl", &[(&[5, 7], Real), (&[7], Real), (&[7], Real)], |t, v| {
        let units =
            t.sample_kl(v[0], v[1], SampleKl::new(1, Noise::Addressed(NoiseKey::new(1, 1, 1))))?;
        t.weighted_kl(&units, v[2])
    }),
];

/// Runs a table; prints the worst error, and returns the failing reports.
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
        // The last input is detached: its direction must not count, so it is a constant here.
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

/// The check itself is able to fail: a slope that is wrong by one part in a million is found.
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
