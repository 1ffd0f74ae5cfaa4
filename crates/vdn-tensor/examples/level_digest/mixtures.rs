//! The log-scores of mixtures.

use crate::{Digest, numbers, zeros};
use vdn_tensor::Element;
use vdn_tensor::kernels::likelihood::{
    Density, Mixture, MixtureGradients, Score, mixture_nll, mixture_nll_backward,
};

pub(crate) fn lines<T: Element>(digest: &Digest) {
    let dims = [4, 9, 37];
    let [samples, batch, horizon] = dims;
    let full = samples * batch * horizon;
    let (mu, y) = (numbers::<T>(60, full), numbers::<T>(61, batch * horizon));
    let deviation = |x: T| T::from_f64(0.05 + x.to_f64().abs());
    let sigma: Vec<T> = numbers::<T>(62, full).into_iter().map(deviation).collect();
    let weights = numbers::<T>(63, samples * batch);
    for score in [Score::Tempered, Score::Marginal, Score::Joint] {
        for (form, len) in [("step", horizon), ("window", batch * horizon), ("sample", full)] {
            for (name, log_weights, density) in [
                ("equal weights", None, Density::default()),
                ("weighted, guarded", Some(&weights[..]), Density { sigma_floor: 0.3, eps: 1e-6 }),
            ] {
                digest.case(format!("mixture {score:?}, sigma per {form}, {name}"), || {
                    let sigma = &sigma[..len];
                    let m = Mixture { dims, mu: &mu, sigma, y: &y, log_weights, density, score };
                    let (mut saved, mut nll) = (zeros(m.saved_len()), zeros(batch));
                    mixture_nll(&m, &mut saved, &mut nll);
                    let [mut d_mu, mut d_y, mut d_weights] =
                        [full, batch * horizon, samples * batch].map(zeros);
                    let mut d_sigma = zeros(len.max(batch * horizon));
                    let gradients = MixtureGradients {
                        mu: Some(&mut d_mu),
                        sigma: Some(&mut d_sigma),
                        y: Some(&mut d_y),
                        log_weights: Some(&mut d_weights),
                    };
                    mixture_nll_backward(&m, &saved, T::from_f64(0.7), gradients);
                    let forward = [("nll", nll), ("saved", saved), ("d_mu", d_mu)];
                    let rest = [("d_sigma", d_sigma), ("d_y", d_y), ("d_log_weights", d_weights)];
                    forward.into_iter().chain(rest).collect()
                });
            }
        }
    }
}
