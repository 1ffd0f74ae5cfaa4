//! Operations of the tape on grids of extreme and equal arguments: values and gradients in `f32`
//! compared with `f64`, which has a wider range, and known limits in both.

use vdn_autograd::{
    ConditionalPrior, Error, Gap, ObservationFamily, Persistence, Score, Tape, Var,
};
use vdn_tensor::Element;
use vdn_tensor::families::StudentT;

type Record<T> = fn(&mut Tape<T>, &[Var]) -> Result<Var, Error>;

/// The value of an operation, summed, and its gradients.
fn run<T: Element>(record: Record<T>, inputs: &[Vec<f32>]) -> Vec<f64> {
    let mut tape = Tape::<T>::new();
    let variables: Vec<Var> = inputs
        .iter()
        .map(|x| {
            let x: Vec<T> = x.iter().map(|&x| T::from_f64(f64::from(x))).collect();
            tape.variable([x.len()], &x).expect("a vector")
        })
        .collect();
    let y = record(&mut tape, &variables).expect("the operation is recorded");
    let mut all: Vec<f64> = tape.value(y).data().iter().map(|x| x.to_f64()).collect();
    let loss = tape.sum(y).expect("a sum");
    tape.backward(loss).expect("a gradient");
    for x in variables {
        if let Some(d) = tape.gradient(x) {
            all.extend(d.data().iter().map(|x| x.to_f64()));
        }
    }
    all
}

/// An operation in both precisions, and the arguments of its grid.
struct Case {
    name: &'static str,
    single: Record<f32>,
    double: Record<f64>,
    grid: Vec<Vec<Vec<f32>>>,
}

macro_rules! case {
    ($name:literal, $grid:expr, |$tape:ident, $x:ident| $body:expr) => {
        Case { name: $name, single: |$tape, $x| $body, double: |$tape, $x| $body, grid: $grid }
    };
}

/// All combinations of one number for each input.
fn product(choices: &[&[f32]]) -> Vec<Vec<Vec<f32>>> {
    let mut all: Vec<Vec<Vec<f32>>> = vec![vec![]];
    for choice in choices {
        all = all
            .iter()
            .flat_map(|head| {
                choice.iter().map(move |&x| head.iter().cloned().chain([vec![x]]).collect())
            })
            .collect();
    }
    all
}

/// Each row as the only input.
fn rows(rows: &[&[f32]]) -> Vec<Vec<Vec<f32>>> {
    rows.iter().map(|row| vec![row.to_vec()]).collect()
}

fn agrees(got: f64, want: f64) -> bool {
    if got.is_nan() || want.is_nan() {
        return false;
    }
    // Two steps from the end of the range a factor may be one step beyond.
    if want.abs() > 1e38 {
        return got.abs() > 1e37 && got.is_sign_positive() == want.is_sign_positive();
    }
    (got - want).abs() <= 2e-4 * want.abs() + 2e-6
}

fn cases() -> Vec<Case> {
    let means: &[f32] = &[0.0, 3e-25, 1.0, -1e10, 1e18];
    let logvars: &[f32] = &[-120.0, -115.0, -90.0, -1.0, 0.0, 1.0, 80.0];
    let sigmas: &[f32] = &[1e-25, 1e-10, 0.01, 1.0, 1e10, 1e25];
    let wide: &[f32] = &[-1e30, -1e4, -100.0, -1.0, -1e-30, 0.0, 1e-30, 1.0, 100.0, 1e4, 1e30];
    let positive: &[f32] = &[1e-36, 1e-10, 1.0, 1e10, 1e36];
    let vectors = rows(&[
        &[0.0, 0.0],
        &[1e7, 1e7],
        &[1e8, 1e8],
        &[-1e8, -1e8],
        &[1e30, 1e30, -1e30],
        &[1000.0, 1000.25, 999.5],
        &[-50.0, -49.0],
        &[1e-30, 0.0],
    ]);
    let norms = rows(&[
        &[1e19, -1e19, 2e19, 0.0],
        &[1e38, -1e38, 2e38, 0.0],
        &[3e38, -3e38, -3e38, -3e38],
        &[1e-3, -1e-3, 2e-3, 0.0],
        &[5.0, 5.0, 5.0, 5.0],
        &[1e30, 1e30, 1e30, 1e30],
    ]);
    let variances = rows(&[
        &[1e19, -1e19, 2e19, 0.0],
        &[1e-15, -1e-15, 2e-15, 0.0],
        &[1e6, 1e6, 1e6, 1e6 + 1.0],
        &[5.0, 5.0, 5.0, 5.0],
    ]);
    let freedom: &[f32] = &[1.0, 30.0, 1e7, 1e32];
    let (zero, joined): (&[f32], &[f32]) = (&[0.0], &[-120.0, 0.0, 80.0]);
    vec![
        case!("tanh", product(&[wide]), |t, x| t.tanh(x[0])),
        case!("sigmoid", product(&[wide]), |t, x| t.sigmoid(x[0])),
        case!("softplus", product(&[wide]), |t, x| t.softplus(x[0])),
        case!("gelu", product(&[wide]), |t, x| t.gelu(x[0])),
        case!("ln_normal_cdf", product(&[&[-1e4, -40.0, -2.0, 0.0, 3.0, 1e30]]), |t, x| {
            t.ln_normal_cdf(x[0])
        }),
        case!("relu", product(&[wide]), |t, x| t.relu(x[0])),
        case!("square", product(&[wide]), |t, x| t.square(x[0])),
        case!("ln", product(&[positive]), |t, x| t.ln(x[0])),
        case!("sqrt", product(&[positive]), |t, x| t.sqrt(x[0])),
        case!("exp", product(&[&[-80.0, -1.0, 0.0, 1.0, 80.0]]), |t, x| t.exp(x[0])),
        case!("mul", product(&[&[0.0, 1.0, -1e18], &[0.0, 1e-18, 1e18]]), |t, x| t.mul(x[0], x[1])),
        case!("div", product(&[&[0.0, 1.0, -1e10], &[1e-12, 1.0, 1e12]]), |t, x| t.div(x[0], x[1])),
        case!("softmax", vectors.clone(), |t, x| t.softmax(x[0])),
        case!("logsumexp", vectors.clone(), |t, x| t.logsumexp(x[0], 0)),
        case!("layer_norm", norms, |t, x| {
            let (one, zero) = (T_ONE.map(Into::into), T_ZERO.map(Into::into));
            let (weight, bias) = (t.constant([4], &one)?, t.constant([4], &zero)?);
            let y = t.layer_norm(x[0], weight, bias, 1e-5)?;
            // A loss whose gradient is not 0.
            let factors = t.constant([4], &[1.0, -2.0, 0.5, 3.0])?;
            t.mul(y, factors)
        }),
        case!("kl_gaussian", product(&[means, logvars, means, logvars]), |t, x| {
            t.kl_gaussian(x[0], x[1], x[2], x[3])
        }),
        case!("gaussian_nll", product(&[means, sigmas, means]), |t, x| {
            t.gaussian_nll(x[0], x[1], x[2])
        }),
        case!("laplace_nll", product(&[means, sigmas, means]), |t, x| {
            t.laplace_nll(x[0], x[1], x[2])
        }),
        case!("student_t_nll", product(&[means, sigmas, freedom, means]), |t, x| {
            t.student_t_nll(x[0], x[1], x[2], x[3])
        }),
        case!("log_density", product(&[means, &[-55.0, -1.0, 0.0, 40.0], means]), |t, x| {
            let family = ObservationFamily::StudentT(StudentT::new(1e17).expect("degrees"));
            t.log_density(family, x[0], x[1], x[2])
        }),
        case!("bernoulli_nll", product(&[wide]), |t, x| {
            let y = t.indices([1], &[1])?;
            t.bernoulli_nll(x[0], y)
        }),
        case!("poisson_nll", product(&[&[-80.0, 0.0, 13.815_511, 16.588_099, 30.0]]), |t, x| {
            let (none, many) = (t.indices([1], &[0])?, t.indices([1], &[16_000_000])?);
            let (none, many) = (t.poisson_nll(x[0], none)?, t.poisson_nll(x[0], many)?);
            t.add(none, many)
        }),
        case!(
            "negative_binomial_nll",
            product(&[&[-30.0, 0.0, 13.815_511, 30.0], &[-80.0, -30.0, 0.0, 30.0]]),
            |t, x| {
                let (none, many) = (t.indices([1], &[0])?, t.indices([1], &[1_000_000])?);
                let none = t.negative_binomial_nll(x[0], x[1], none)?;
                let many = t.negative_binomial_nll(x[0], x[1], many)?;
                t.add(none, many)
            }
        ),
        case!("cross_entropy", vectors.clone(), |t, x| {
            let class = t.indices([], &[1])?;
            t.cross_entropy(x[0], class)
        }),
        case!("class_log_prob", vectors.clone(), |t, x| {
            let class = t.indices([], &[1])?;
            t.class_log_prob(x[0], class)
        }),
        case!("log_softmax", vectors.clone(), |t, x| t.log_softmax(x[0], 0)),
        case!("max_axis", vectors, |t, x| t.max_axis(x[0], 0)),
        case!("var_axis", variances, |t, x| t.var_axis(x[0], 0)),
        case!("abs", product(&[wide]), |t, x| t.abs(x[0])),
        case!("pow", product(&[positive]), |t, x| t.pow(x[0], 0.5)),
        case!(
            "kl_autoregressive",
            product(&[
                means,
                logvars,
                &[0.0, 1e10],
                &[0.0, 1e-20, -0.9],
                logvars,
                &[-120.0, 0.0, 89.0]
            ]),
            |t, x| {
                let prior = ConditionalPrior { previous: x[2], phi: x[3], logvar: x[4] };
                t.kl_autoregressive(x[0], x[1], prior, Some(x[5]))
            }
        ),
        case!("ar_transition", product(&[&[-40.0, -1.0, 0.0, 1e-20, 3.0, 40.0]]), |t, x| {
            let [phi, logvar] = t.ar_transition(x[0], None, Persistence::Tanh, Gap::Steps(3))?;
            t.add(phi, logvar)
        }),
        // A factor of 1e-25 turns a mean of 1 into one of 1e25, whose rounding error exceeds the
        // other mean.
        case!(
            "combine_messages",
            [
                product(&[zero, joined, zero, joined, &[1e-25, 1e-3, 0.9], joined]),
                product(&[&[3.0], joined, &[-2.0], joined, &[1e-3, 0.9], joined])
            ]
            .concat(),
            |t, x| {
                let [mean, log_r] = t.combine_messages([x[0], x[1]], [x[2], x[3]], x[4], x[5])?;
                t.add(mean, log_r)
            }
        ),
    ]
}

const T_ONE: [f32; 4] = [1.0; 4];
const T_ZERO: [f32; 4] = [0.0; 4];

/// Operations without a row in the table, and why.
const OTHERS: [(&str, &str); 28] = [
    ("add", "one rounding"),
    ("affine", "sums of products: as in any matrix product, a sum that overflows is infinite"),
    ("autoregression", "sums of products"),
    ("batch_matmul", "as affine"),
    ("matmul", "as affine"),
    ("broadcast_to", "copies"),
    ("concat", "copies"),
    ("gather", "copies"),
    ("permute", "copies"),
    ("slice_axis", "copies"),
    ("where_mask", "copies"),
    ("dropout", "one product"),
    ("neg", "exact"),
    ("scale", "one product"),
    ("clamp", "comparisons"),
    ("cumsum", "sums"),
    ("sum", "sums"),
    ("sum_axis", "sums"),
    ("pool", "means and root mean squares of ordinary numbers"),
    ("moving_average", "means"),
    ("log_prob", "the scores of the likelihoods above, before their mean is taken"),
    ("levinson", "its arguments lie in (-1, 1)"),
    ("low_rank_nll", "huge and tiny deviations in tests/all/low_rank.rs"),
    ("mixture_nll", "samples that are far apart, below"),
    ("sample_family", "the families' grid in vdn-tensor"),
    ("sample_kl", "the families' grid in vdn-tensor"),
    ("structured_step", "a fused kernel: in f32 the square of a distance below 1e-19 is 0"),
    ("unit_statistics", "means"),
];

#[test]
fn every_operation_is_in_the_table_or_says_why_not() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops");
    let known: Vec<&str> =
        cases().iter().map(|case| case.name).chain(OTHERS.map(|(name, _)| name)).collect();
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the operations") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        let name = name.trim_end_matches(".rs");
        if !known.contains(&name) && !["mod", "domain", "mean_score"].contains(&name) {
            missing.push(name.to_owned());
        }
    }
    assert!(missing.is_empty(), "neither in the table nor in the list: {missing:?}");
}

#[test]
fn single_precision_at_its_ends() {
    let mut failures = Vec::new();
    for Case { name, single, double, grid } in cases() {
        for inputs in grid {
            let (got, want) = (run(single, &inputs), run(double, &inputs));
            if got.len() != want.len() || got.iter().zip(&want).any(|(&g, &w)| !agrees(g, w)) {
                failures.push(format!("{name} at {inputs:?}: {got:?}, not {want:?}"));
            }
        }
    }
    let shown = failures.iter().take(30).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} failures:\n{shown}", failures.len());
}

/// Scores of mixtures whose samples are far apart: the far sample has no weight and no influence.
fn far_mixture<T: Element>() {
    for score in [Score::Tempered, Score::Marginal, Score::Joint] {
        let mut tape = Tape::<T>::new();
        let number = T::from_f64;
        let mu = tape.variable([2, 1, 1], &[number(0.0), number(1e18)]).expect("means");
        let sigma = tape.variable([1], &[number(0.01)]).expect("a deviation");
        let y = tape.variable([1, 1], &[number(0.0)]).expect("a value");
        let nll = tape.mixture_nll(mu, sigma, y, score).expect("a score");
        tape.backward(nll).expect("gradients");
        let slope = tape.gradient(sigma).expect("a gradient").data()[0].to_f64();
        assert!((slope / 100.0 - 1.0).abs() < 1e-5, "{score:?} {}: {slope}", T::NAME);
        for x in [mu, y] {
            let d = tape.gradient(x).expect("a gradient");
            assert!(d.data().iter().all(|d| d.to_f64() == 0.0), "{score:?}: {:?}", d.data());
        }
    }
}

#[test]
fn far_samples_have_no_say() {
    far_mixture::<f32>();
    far_mixture::<f64>();
}

/// Limits in double precision, for which no wider type is available.
#[test]
fn double_precision_at_its_ends() {
    let gradient = |record: Record<f64>, inputs: &[Vec<f32>]| run(record, inputs);
    // Equal distributions, and a distance of one deviation at log-variance -1000.
    let kl: Record<f64> = |t, x| t.kl_gaussian(x[0], x[1], x[2], x[3]);
    let equal = gradient(kl, &[vec![0.3], vec![-1000.0], vec![0.3], vec![-1000.0]]);
    assert_eq!(equal, [0.0; 5]);
    let slopes = gradient(|t, x| t.logsumexp(x[0], 0), &[vec![1e17, 1e17]]);
    assert_eq!(slopes[1..], [0.5; 2]);
    let mut tape = Tape::<f64>::new();
    let x = tape.variable([4], &[1e200, -1e200, 2e200, 0.0]).expect("a row");
    let (one, zero) = (tape.constant([4], &[1.0; 4]), tape.constant([4], &[0.0; 4]));
    let y = tape.layer_norm(x, one.expect("weights"), zero.expect("biases"), 1e-5).expect("a norm");
    let want = [0.447_213_595, -1.341_640_786, 1.341_640_786, -0.447_213_595];
    for (got, want) in tape.value(y).data().iter().zip(want) {
        assert!((got - want).abs() < 1e-8, "{got} {want}");
    }
}
