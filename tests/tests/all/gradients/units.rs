//! Fused units and divergences.

use super::Case;
use super::Domain::{NearZero, Real};
use vdn_autograd::{Error, Noise, SampleKl, Tape, UnitOutputs, Var};
use vdn_tensor::noise::NoiseKey;

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

pub(super) const UNITS: &[Case<'_>] = &[
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
