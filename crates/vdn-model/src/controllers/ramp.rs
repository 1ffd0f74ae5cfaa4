//! Warm-up and linear ramps \[ref\].

/// A ramp: 0 during the warm-up, then linear to 1.
///
/// After `g` steps its value is `min(1, (g - warmup) / length)`; it is 1 at once if `length` is 0.
///
/// ```
/// use vdn_model::controllers::Ramp;
/// let ramp = Ramp { warmup: 5, length: 8 };
/// assert_eq!([4, 5, 9, 13, 99].map(|step| ramp.at(step)), [0.0, 0.0, 0.5, 1.0, 1.0]);
/// assert_eq!(Ramp::default().at(0), 1.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ramp {
    /// The number of steps at 0.
    pub warmup: u64,
    /// The number of steps of the rise.
    pub length: u64,
}

impl Ramp {
    /// Returns the factor after `step` training steps, in `[0, 1]`.
    #[must_use]
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            0.0
        } else if self.length == 0 {
            1.0
        } else {
            ((step - self.warmup) as f64 / self.length as f64).min(1.0)
        }
    }
}
