//! The exact model: a stationary latent of variance 1, `z_t = phi z_{t-1} + Normal(0, 1 - phi^2)`,
//! observed as `x_t = z_t + Normal(0, r)`, or missing (`None`).

use vdn_tensor::noise::NoiseKey;

/// Returns a series without missing steps.
pub(crate) fn series(phi: f64, r: f64, steps: usize, seed: u64) -> Vec<f64> {
    let draw = |stream| {
        let mut noise = vec![0.0; steps];
        NoiseKey::new(seed, stream, 0).fill_normal(0, &mut noise);
        noise
    };
    let (inner, outer) = (draw(0), draw(1));
    let mut z = inner[0];
    let deviation = (1.0 - phi * phi).sqrt();
    let mut x = Vec::with_capacity(steps);
    for t in 0..steps {
        if t > 0 {
            z = phi * z + deviation * inner[t];
        }
        x.push(z + r.sqrt() * outer[t]);
    }
    x
}

/// The log-likelihood in nats, by the filter of Kalman (1960).
pub(crate) fn log_likelihood(x: &[Option<f64>], phi: f64, r: f64) -> f64 {
    let (mut mean, mut variance, mut total) = (0.0, 1.0, 0.0);
    for x in x {
        if let Some(x) = x {
            let (innovation, f) = (x - mean, variance + r);
            total -= 0.5 * ((std::f64::consts::TAU * f).ln() + innovation * innovation / f);
            let gain = variance / f;
            mean += gain * innovation;
            variance *= 1.0 - gain;
        }
        mean *= phi;
        variance = phi * phi * variance + 1.0 - phi * phi;
    }
    total
}

/// Returns mean and variance of the message about `z_t` from the observations at step `t` and
/// later, for every step. The variance is infinite if there are none.
pub(crate) fn future(x: &[Option<f64>], phi: f64, r: f64) -> Vec<[f64; 2]> {
    // Precision, and precision times mean.
    let (mut precision, mut sum) = (0.0, 0.0);
    let mut messages = Vec::new();
    for x in x.iter().rev() {
        // Through the prior to the step before.
        let shrink = 1.0 + (1.0 - phi * phi) * precision;
        (precision, sum) = (phi * phi * precision / shrink, phi * sum / shrink);
        if let Some(x) = x {
            precision += 1.0 / r;
            sum += x / r;
        }
        let mean = if precision > 0.0 { sum / precision } else { 0.0 };
        messages.push([mean, 1.0 / precision]);
    }
    messages.reverse();
    messages
}

/// Returns the maximum of `f` on an interval that contains one, by golden-section search, to 1e-6.
pub(crate) fn maximum(mut low: f64, mut high: f64, mut f: impl FnMut(f64) -> f64) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let mut inner = [high - ratio * (high - low), low + ratio * (high - low)];
    let mut values = inner.map(&mut f);
    while high - low > 1e-6 {
        if values[0] < values[1] {
            low = inner[0];
            inner = [inner[1], low + ratio * (high - low)];
            values = [values[1], f(inner[1])];
        } else {
            high = inner[1];
            inner = [high - ratio * (high - low), inner[0]];
            values = [f(inner[0]), values[0]];
        }
    }
    0.5 * (low + high)
}
