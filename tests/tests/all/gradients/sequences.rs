//! The operations of autoregressive priors and their posteriors.

use super::Case;
use super::Domain::{self, NearZero, Real};
use vdn_autograd::{
    ConditionalPrior, Error, Gap, Noise, ObservationFamily, Persistence, Tape, Var,
};
use vdn_tensor::families::StudentT;
use vdn_tensor::noise::NoiseKey;

/// Both outputs of an operation as one vector.
fn joined(t: &mut Tape<f64>, outputs: &[Var]) -> Result<Var, Error> {
    let mut flat = Vec::new();
    for &output in outputs {
        let len = t.shape(output).numel();
        flat.push(t.reshape(output, [len])?);
    }
    t.concat(&flat, 0)
}

/// The message, its log-variance, then the prior; the outputs are samples and divergence.
fn structured(t: &mut Tape<f64>, v: &[Var], log_r: Var) -> Result<Var, Error> {
    let prior = ConditionalPrior { previous: v[2], phi: v[3], logvar: v[4] };
    let noise = Noise::Addressed(NoiseKey::new(6, 5, 4));
    let step = t.structured_step(v[0], log_r, prior, 2, noise)?;
    joined(t, &[step.z, step.kl])
}

/// The last row has no observation.
fn with_missing(t: &mut Tape<f64>, log_r: Var) -> Result<Var, Error> {
    let mask = t.constant([3, 1], &[0.0, 0.0, f64::INFINITY])?;
    t.add(log_r, mask)
}

fn transition(
    t: &mut Tape<f64>,
    v: &[Var],
    persistence: Persistence,
    gap: Gap,
) -> Result<Var, Error> {
    let outputs = t.ar_transition(v[0], v.get(1).copied(), persistence, gap)?;
    joined(t, &outputs)
}

const MESSAGE: (&[usize], Domain) = (&[3, 5], Real);
const PREVIOUS: (&[usize], Domain) = (&[2, 3, 5], Real);
const PER_UNIT: (&[usize], Domain) = (&[5], Real);
const STRUCTURED: &[(&[usize], Domain)] = &[MESSAGE, MESSAGE, PREVIOUS, PER_UNIT, PER_UNIT];
const TIME: Persistence = Persistence::TimeConstant(0.7);

pub(crate) const SEQUENCES: &[Case<'_>] = &[
    ("structured_step", STRUCTURED, |t, v| structured(t, v, v[1])),
    ("structured_step with missing", STRUCTURED, |t, v| {
        let log_r = with_missing(t, v[1])?;
        structured(t, v, log_r)
    }),
    ("structured_step with vague messages", STRUCTURED, |t, v| {
        let log_r = t.add_scalar(v[1], 8.0)?;
        structured(t, v, log_r)
    }),
    (
        "structured_step from one number",
        &[MESSAGE, PER_UNIT, (&[], Real), (&[], Real), PER_UNIT],
        |t, v| structured(t, v, v[1]),
    ),
    ("kl_autoregressive", &[MESSAGE, MESSAGE, PREVIOUS, PER_UNIT, PER_UNIT], |t, v| {
        let prior = ConditionalPrior { previous: v[2], phi: v[3], logvar: v[4] };
        t.kl_autoregressive(v[0], v[1], prior, None)
    }),
    (
        "kl_autoregressive mean field",
        &[MESSAGE, MESSAGE, MESSAGE, PER_UNIT, PER_UNIT, MESSAGE],
        |t, v| {
            let prior = ConditionalPrior { previous: v[2], phi: v[3], logvar: v[4] };
            t.kl_autoregressive(v[0], v[1], prior, Some(v[5]))
        },
    ),
    ("combine_messages", &[MESSAGE, MESSAGE, MESSAGE, MESSAGE, PER_UNIT, PER_UNIT], |t, v| {
        let outputs = t.combine_messages([v[0], v[1]], [v[2], v[3]], v[4], v[5])?;
        joined(t, &outputs)
    }),
    (
        "combine_messages, one missing",
        &[MESSAGE, MESSAGE, MESSAGE, MESSAGE, PER_UNIT, PER_UNIT],
        |t, v| {
            let here = with_missing(t, v[1])?;
            let outputs = t.combine_messages([v[0], here], [v[2], v[3]], v[4], v[5])?;
            let again = t.combine_messages([v[2], v[3]], [v[0], here], v[4], v[5])?;
            joined(t, &[outputs[0], outputs[1], again[0], again[1]])
        },
    ),
    ("ar_transition", &[PER_UNIT], |t, v| transition(t, v, Persistence::Tanh, Gap::Steps(1))),
    ("ar_transition gap", &[PER_UNIT], |t, v| transition(t, v, Persistence::Tanh, Gap::Steps(13))),
    ("ar_transition near 0", &[(&[5], NearZero)], |t, v| {
        transition(t, v, Persistence::Tanh, Gap::Steps(6))
    }),
    ("ar_transition free", &[PER_UNIT, PER_UNIT], |t, v| {
        transition(t, v, Persistence::Tanh, Gap::Steps(2))
    }),
    ("ar_transition free initial", &[PER_UNIT, PER_UNIT], |t, v| {
        transition(t, v, Persistence::Tanh, Gap::Initial)
    }),
    ("ar_transition time", &[PER_UNIT], |t, v| transition(t, v, TIME, Gap::Steps(1))),
    ("ar_transition time gap", &[PER_UNIT, PER_UNIT], |t, v| transition(t, v, TIME, Gap::Steps(7))),
    ("ar_transition time initial", &[PER_UNIT, PER_UNIT], |t, v| {
        transition(t, v, TIME, Gap::Initial)
    }),
    ("log_density", &[PREVIOUS, PER_UNIT, MESSAGE], |t, v| {
        t.log_density(ObservationFamily::Gaussian, v[0], v[1], v[2])
    }),
    ("log_density of Student's t", &[PREVIOUS, PER_UNIT, MESSAGE], |t, v| {
        let family =
            StudentT::new(3.5).map_or(ObservationFamily::Gaussian, ObservationFamily::StudentT);
        t.log_density(family, v[0], v[1], v[2])
    }),
    ("levinson 1 of 4", &[(&[4, 3], Real)], |t, v| {
        let outputs = t.levinson(v[0], 1)?;
        joined(t, &outputs)
    }),
    ("levinson 4", &[(&[4, 3], Real)], |t, v| {
        let outputs = t.levinson(v[0], 4)?;
        joined(t, &outputs)
    }),
];
