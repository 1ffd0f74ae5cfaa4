//! The fused kernel of a Gaussian unit, forward and backward.

use crate::{Digest, numbers, zeros};
use vdn_tensor::Element;
use vdn_tensor::kernels::unit::{
    ClampGradient, LogVar, UnitGradients, UnitNoise, UnitOutputs, Units, unit_backward,
    unit_forward,
};
use vdn_tensor::noise::{Generator, NoiseKey};

pub(crate) fn lines<T: Element>(digest: &Digest) {
    for [rows, columns] in [[133, 100], [9, 1030]] {
        let size = rows * columns;
        // Means up to 24 deviations away: some lane groups regenerate their noise in the backward
        // pass, some do not. A few logvars lie outside the limits.
        let mut mu: Vec<T> = numbers(11, size);
        mu.iter_mut().enumerate().for_each(|(i, m)| {
            *m *= T::from_f64(if i % columns / 16 % 2 == 0 { 0.5 } else { 6.0 });
        });
        let mut logvar: Vec<T> = numbers(12, size);
        logvar.iter_mut().skip(5).step_by(13).for_each(|l| *l *= T::from_f64(7.0));
        let given = numbers::<T>(13, 4 * size);
        let d_columns = [0, 1, 2, 3, 4].map(|k| numbers::<T>(20 + k, columns));
        for (form, shape) in [
            ("element", LogVar::PerElement(&logvar[..])),
            ("column", LogVar::PerColumn(&logvar[..columns])),
            ("scalar", LogVar::Scalar(logvar[0])),
        ] {
            for samples in [1, 4] {
                let key = NoiseKey::new(42, 3, 9);
                let addressed = UnitNoise::Addressed(key);
                let ars = UnitNoise::Addressed(key.with_generator(Generator::Ars7));
                for (kind, noise, antithetic) in [
                    ("addressed", addressed, false),
                    ("antithetic", addressed, true),
                    ("addressed, ARS", ars, false),
                    ("antithetic, ARS", ars, true),
                    ("given", UnitNoise::Given(&given[..samples * size]), false),
                ] {
                    let mu = &mu[..];
                    let units =
                        Units { rows, columns, samples, mu, logvar: shape, noise, antithetic };
                    let name = format!("unit [{rows}, {columns}], logvar per {form}");
                    digest.case(format!("{name}, {samples} samples, {kind}"), || {
                        unit(&units, &d_columns)
                    });
                }
            }
        }
    }
}

fn unit<T: Element>(units: &Units<'_, T>, d_columns: &[Vec<T>; 5]) -> Vec<(&'static str, Vec<T>)> {
    let size = units.mu.len();
    let (mut z, mut kl) = (zeros(units.samples * size), zeros(size));
    let mut statistics = [(); 5].map(|()| zeros(units.columns));
    let [m1, m2, c2, d0, lv] = &mut statistics;
    unit_forward(units, UnitOutputs { z: &mut z, m1, m2, c2, d0, lv, kl: Some(&mut kl) });
    let (d_z, d_kl) = (numbers(14, z.len()), numbers(15, size));
    let [g1, g2, gc, gd, gl] = d_columns.each_ref().map(|d| Some(&d[..]));
    let logvars = match units.logvar {
        LogVar::PerElement(x) | LogVar::PerColumn(x) => x.len(),
        LogVar::Scalar(_) => 1,
    };
    let backward = |clamp| {
        let gradients = UnitGradients {
            z: &z,
            m1: &statistics[0],
            d_z: Some(&d_z),
            d_m1: g1,
            d_m2: g2,
            d_c2: gc,
            d_d0: gd,
            d_lv: gl,
            d_kl: Some(&d_kl),
            clamp,
        };
        let (mut d_mu, mut d_logvar) = (zeros(size), zeros(logvars));
        unit_backward(units, &gradients, Some(&mut d_mu), Some(&mut d_logvar));
        (d_mu, d_logvar)
    };
    let (d_mu, inward) = backward(ClampGradient::Inward);
    let (_, zero) = backward(ClampGradient::Zero);
    let mut parts = vec![("z", z), ("kl", kl), ("d_mu", d_mu)];
    parts.extend([("d_logvar", inward), ("d_logvar, zero outside", zero)]);
    parts.extend(["M1", "M2", "C2", "D0", "Lv"].into_iter().zip(statistics));
    parts
}
