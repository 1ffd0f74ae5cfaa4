//! The registry of noise streams: which module draws from which stream, at which step.
//!
//! Noise is addressed by `(seed, stream, step, sample, row, column)`. Two draws with the same
//! address give the same number, so two modules with the same stream share their noise. Nothing
//! fails then; samples are silently correlated. Therefore no module chooses a number. A module asks
//! its [`Builder`](crate::core::Builder::stream), which knows the path of the module (the names of
//! its scopes), and states the purpose of the noise ([`Purpose`]):
//!
//! ```text
//! stream(path, purpose) = the number in the table below, if there is one
//!                       = 2^31 + fold(FNV-1a(path, 0, purpose)), else          2^31 .. 2^31 + 2^30
//! taken[stream] = (path, purpose), or an error that names both if the stream is taken
//! ```
//!
//! A derived number depends only on the module's own path and purpose, so a module keeps its noise
//! whatever is built before it, after it or in place of other modules. Counting modules as they are
//! built would not have this property, and a table alone could not serve networks of other crates.
//! Derived numbers are fixed within a major version.
//!
//! The hash maps names to 2^30 numbers: among 100 streams, two collide with a probability of 5e-6.
//! The builder then refuses the second module; rename it.
//!
//! The [`Parameters`](crate::core::Parameters) hold the registry, so all builders of the same
//! parameters, and all scopes of a builder, share it.
//!
//! # Streams with fixed numbers
//!
//! These numbers predate derived streams. Changing them would change every published result.
//!
//! | path | purpose | stream |
//! |---|---|---|
//! | `neuron`, `units`, the root | units | 0 |
//! | `head` | dropout | 1 |
//! | `neuron` | draws from the prior | 2 |
//! | `neuron` | swaps of latents between windows, of any layer | 3 |
//! | `neuron` | latents drawn anew, of any layer | 4 |
//! | `neuron2` ... `neuron16` | units | 17 ... 31 |
//! | `neuron2` ... `neuron16` | draws from the prior | 33 ... 47 |
//!
//! The root, `neuron` (the layers of a forecaster) and `units` (a forecaster of sequences) are the
//! units of different networks. Two of them in one network are refused.
//!
//! # Address spaces
//!
//! | who | seed | stream | step |
//! |---|---|---|---|
//! | modules in training | the run's | their own | the training step, below [`TRAINING_STEPS`] |
//! | order of windows in training | the run's | [`TRAINING_ORDER`] | the epoch |
//! | modules in an evaluation | folded by the batch | their own | [`EVALUATION_STEP`] |
//! | order of windows before swaps | the run's | [`EVALUATION_ORDER`] | [`EVALUATION_STEP`] |
//! | seeds for whole-forecast scores | the run's | [`WHOLE_FORECASTS`] | [`EVALUATION_STEP`] |
//! | noise of sampled paths | folded by window | [`PATH_NOISE`], caller's | [`EVALUATION_STEP`] |
//! | order of rows before they are divided | the data's | [`ROW_SPLITS`] | the split |
//! | draws of predictions of rows | folded by the row | [`TARGET_DRAWS`] | [`EVALUATION_STEP`] |
//! | modules in a probe | folded by batch and lag | their own | [`PROBE_STEP`] |
//! | initial values of parameters | folded by the name | 0 | 0 |
//! | initialisation on a first batch | 0 | the units' | 0 |
//! | shuffled rate targets | the setting's | 0 | 0 |
//! | particles, forecasts of sequences | the caller's, folded by the use | the caller's | any |
//! | derivation of folded seeds | the seed to fold | the key's, then `u32::MAX` | any |
//!
//! A folded seed ([`NoiseKey::fold_in`](vdn_tensor::noise::NoiseKey::fold_in)) is a different
//! 64-bit seed. Its streams and steps coincide with others only if two seeds are equal by chance.

use crate::core::error::ModelError;
use crate::core::fnv1a::fnv1a;
use std::collections::BTreeMap;
use std::fmt;

/// The stream of the order of windows in training; the epoch is the step.
pub const TRAINING_ORDER: u32 = 1 << 30;
/// The stream of the order of windows before an evaluation that swaps latents between neighbours.
pub const EVALUATION_ORDER: u32 = (1 << 30) + 1;
/// The stream from which the seeds of unit samples are folded when whole forecasts are scored.
pub const WHOLE_FORECASTS: u32 = (1 << 30) + 2;
/// The stream of the output noise of sampled paths.
pub const PATH_NOISE: u32 = (1 << 30) + 3;
/// The stream of the order of rows before they are divided; the split is the step.
pub const ROW_SPLITS: u32 = (1 << 30) + 4;
/// The stream of draws from predictive distributions without closed forms.
pub const TARGET_DRAWS: u32 = (1 << 30) + 5;
/// The number of training steps that have their own addresses; the steps of other uses lie above.
pub const TRAINING_STEPS: u64 = 1 << 31;
/// The step of evaluations.
pub const EVALUATION_STEP: u32 = u32::MAX - 1;
/// The step of probes.
pub const PROBE_STEP: u32 = u32::MAX - 2;

/// The first derived number.
const DERIVED: u32 = 1 << 31;
/// The number of bits of the hash that a derived number keeps.
const DERIVED_BITS: u32 = 30;
/// The largest number of layers with fixed stream numbers.
const NUMBERED_LAYERS: u32 = 16;
/// The fixed numbers of single paths; the numbers of layers above the first follow a rule.
const NUMBERED: [(&str, Purpose, u32); 7] = [
    ("", Purpose::Units, 0),
    ("neuron", Purpose::Units, 0),
    ("units", Purpose::Units, 0),
    ("head", Purpose::Dropout, 1),
    ("neuron", Purpose::PriorDraws, 2),
    ("neuron", Purpose::Swap, 3),
    ("neuron", Purpose::Redraw, 4),
];

/// The purpose for which a module draws noise.
///
/// A module that draws for two purposes needs two streams. [`Purpose::Other`] names a purpose of a
/// module outside this crate:
///
/// ```
/// use vdn_model::core::{Builder, Parameters, Purpose};
/// let mut parameters = Parameters::<f32>::new();
/// let mut builder = Builder::new(&mut parameters, 0);
/// let masks = builder.scope("encoder").stream(Purpose::Other("masks"))?;
/// assert!(masks.number() >= 1 << 31);
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Samples of the posteriors of units.
    Units,
    /// Draws from the prior of units, in place of their samples.
    PriorDraws,
    /// Dropout.
    Dropout,
    /// The permutation by which latents are swapped between windows.
    Swap,
    /// Samples of the posteriors of units, drawn anew beside the samples of [`Purpose::Units`].
    Redraw,
    /// Another purpose, by its name. The name of a listed purpose means that purpose.
    Other(&'static str),
}

impl Purpose {
    /// Returns the name, from which streams are derived.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::PriorDraws => "prior draws",
            Self::Dropout => "dropout",
            Self::Swap => "swap",
            Self::Redraw => "redraw",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A noise stream that belongs to one module. [`Builder::stream`](crate::core::Builder::stream)
/// gives it out once, and [`Graph::noise`](crate::core::Graph::noise) turns it into noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream(u32);

impl Stream {
    /// Returns the number, as in [`NoiseKey::stream`](vdn_tensor::noise::NoiseKey).
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// The registry: which module has which stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    taken: BTreeMap<u32, String>,
}

impl Streams {
    /// Gives the module at `path` its stream for `purpose`.
    ///
    /// # Errors
    /// Fails if the stream is taken.
    pub(crate) fn take(&mut self, path: &str, purpose: Purpose) -> Result<Stream, ModelError> {
        self.claim(number(path, purpose), path, purpose)
    }

    /// Gives the stream numbered `stream` to the module at `path`, unless another module has it.
    fn claim(&mut self, stream: u32, path: &str, purpose: Purpose) -> Result<Stream, ModelError> {
        let path = if path.is_empty() { "the root" } else { path };
        let name = format!("{path} ({purpose})");
        if let Some(holder) = self.taken.get(&stream) {
            let holder = holder.clone();
            return Err(ModelError::SharedNoise { stream, holder, refused: name });
        }
        self.taken.insert(stream, name);
        Ok(Stream(stream))
    }
}

/// Returns the number of a stream: fixed or derived.
fn number(path: &str, purpose: Purpose) -> u32 {
    numbered(path, purpose).unwrap_or_else(|| derived(path, purpose))
}

/// Returns the fixed number, if the path and purpose have one.
fn numbered(path: &str, purpose: Purpose) -> Option<u32> {
    let same =
        |&&(of, what, _): &&(&str, Purpose, u32)| of == path && what.name() == purpose.name();
    if let Some(&(_, _, number)) = NUMBERED.iter().find(same) {
        return Some(number);
    }
    let name = path.strip_prefix("neuron")?;
    // Layers count from 0 here: the first is `neuron`, the second `neuron2`.
    let layer = (1..NUMBERED_LAYERS).find(|layer| name == (layer + 1).to_string())?;
    if purpose.name() == Purpose::Units.name() {
        return Some(16 + layer);
    }
    let prior = purpose.name() == Purpose::PriorDraws.name();
    prior.then_some(16 + NUMBERED_LAYERS + layer)
}

/// Returns the derived number: the FNV-1a hash of the path, a zero byte and the name of the
/// purpose, with the high bits folded onto the low bits.
fn derived(path: &str, purpose: Purpose) -> u32 {
    let hash = fnv1a(&[path.as_bytes(), b"\0", purpose.name().as_bytes()].concat());
    let folded = hash ^ (hash >> DERIVED_BITS) ^ (hash >> (2 * DERIVED_BITS));
    DERIVED | (folded as u32 & ((1 << DERIVED_BITS) - 1))
}

#[cfg(test)]
mod tests;
