//! The operations, one file each. A file contains the type, its forward and backward pass, and the
//! method of [`Tape`](crate::Tape) that records it.

mod abs;
mod add;
mod affine;
mod ar_transition;
mod autoregression;
mod batch_matmul;
mod bernoulli_nll;
mod broadcast_to;
mod clamp;
mod class_log_prob;
mod combine_messages;
mod concat;
mod cross_entropy;
mod cumsum;
mod div;
mod domain;
mod dropout;
mod exp;
mod gather;
mod gaussian_nll;
mod gelu;
mod kl_autoregressive;
mod kl_gaussian;
mod laplace_nll;
mod layer_norm;
mod levinson;
mod ln;
mod ln_normal_cdf;
mod log_density;
mod log_prob;
mod log_softmax;
mod logsumexp;
mod low_rank_nll;
mod matmul;
mod max_axis;
mod mean_score;
mod mixture_nll;
mod moving_average;
mod mul;
mod neg;
mod negative_binomial_nll;
mod permute;
mod poisson_nll;
mod pool;
mod pow;
mod relu;
mod sample_family;
mod sample_kl;
mod scale;
mod sigmoid;
mod slice_axis;
mod softmax;
mod softplus;
mod sqrt;
mod square;
mod structured_step;
mod student_t_nll;
mod sum;
mod sum_axis;
mod tanh;
mod unit_statistics;
mod var_axis;
mod where_mask;

pub use ar_transition::{Gap, Persistence};
pub use log_density::ObservationFamily;
pub use low_rank_nll::{LowRankNll, LowRankOutputs};
pub use mixture_nll::MixtureNll;
pub use sample_family::LocationScale;
pub use sample_kl::{Noise, SampleKl, UnitOutputs};
pub use structured_step::{ConditionalPrior, StepOutputs};

use vdn_tensor::{Shape, ShapeError};

/// Does what [`Shape::around`] does, with an error that names the operation.
fn around(
    name: &'static str,
    shape: &Shape,
    axis: usize,
) -> Result<(usize, usize, usize), ShapeError> {
    let around = shape.around(axis);
    around.ok_or_else(|| ShapeError::new(name, &[shape], format!("there is no axis {axis}")))
}
