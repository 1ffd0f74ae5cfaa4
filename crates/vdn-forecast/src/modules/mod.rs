//! The parts of a forecaster other than its units: the encoder of two windows, the gated head and
//! its moments, the joint head, per-window normalisation, covariate maps, and the output noise.

pub(crate) mod covariate_maps;
pub(crate) mod head;
pub(crate) mod head_moments;
pub(crate) mod instance_norm;
pub(crate) mod joint_head;
pub(crate) mod output_noise;
pub(crate) mod pair_encoder;
pub(crate) mod replacement;

pub use covariate_maps::CovariateMaps;
pub use head::{GatedHead, HeadConfig};
pub use instance_norm::{Centre, InstanceNorm};
pub use joint_head::JointHead;
pub use output_noise::{OutputNoise, OutputNoiseMode};
pub use pair_encoder::PairEncoder;
