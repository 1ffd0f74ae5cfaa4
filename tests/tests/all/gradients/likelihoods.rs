//! Likelihoods, alone and in mixtures.

use super::Case;
use super::Domain::{self, Positive, Real};
use vdn_autograd::{Density, Error, MixtureNll, Score, Tape, Var};

fn mixture(t: &mut Tape<f64>, v: &[Var], score: Score) -> Result<Var, Error> {
    let options = MixtureNll { log_weights: v.get(3).copied(), ..MixtureNll::new(score) };
    t.mixture_nll_with(v[0], v[1], v[2], options)
}

/// 3 samples, batch 4, horizon 19 (a full block of lanes and a remainder).
const MU: (&[usize], Domain) = (&[3, 4, 19], Real);
const Y: (&[usize], Domain) = (&[4, 19], Real);
const Y_SCALE: (&[usize], Domain) = (&[4, 19], Positive);
const WEIGHTS: (&[usize], Domain) = (&[3, 4], Real);

pub(super) const LIKELIHOODS: &[Case<'_>] = &[
    ("gaussian_nll", &[Y, (&[4, 19], Positive), Y], |t, v| t.gaussian_nll(v[0], v[1], v[2])),
    ("gaussian_nll broadcast", &[MU, (&[19], Positive), Y], |t, v| {
        t.gaussian_nll(v[0], v[1], v[2])
    }),
    ("gaussian_nll guarded", &[Y, (&[19], Positive), Y], |t, v| {
        // Sigma is at least 0.2, with a median of 1.2, so the floor of 1 applies to some elements.
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
