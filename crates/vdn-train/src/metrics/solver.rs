//! The root of an increasing function in a bracket, for the quantiles of mixtures.

/// `cdf - tau` with its first and second derivatives.
pub(super) struct Residual {
    pub(super) value: f64,
    pub(super) density: f64,
    pub(super) slope: f64,
}

/// A bracket with a starting point in it, and the length scale of the function.
pub(super) struct Solver {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) start: f64,
    pub(super) narrowest: f64,
}

impl Solver {
    /// The root of an increasing function, and the slope of the function there.
    ///
    /// The method uses Halley steps, with two exceptions that bisect: a step that leaves the
    /// bracket, and every fourth step if over the last four neither the bracket halved nor the
    /// residual fell by 1e-6.
    ///
    /// A bracket of doubles halves at most about 60 times before it is below the tolerance, and a
    /// residual falls at most 55 times from 1 to the smallest double. Therefore 500 evaluations are
    /// always enough. A search in a smooth mixture takes three or four.
    pub(super) fn solve(&self, residual: impl Fn(f64) -> Residual) -> (f64, f64) {
        let (mut low, mut high, mut x) = (self.low, self.high, self.start);
        let (mut watched_width, mut watched_value) = (high - low, 1.0);
        let mut density = 0.0;
        for iteration in 1..=500 {
            let at = residual(x);
            density = at.density;
            if at.value == 0.0 {
                break;
            }
            if at.value < 0.0 {
                low = x;
            } else {
                high = x;
            }
            let newton = at.value / at.density;
            let bend = 1.0 - 0.5 * newton * at.slope / at.density;
            let mut next = x - if bend > 0.5 { newton / bend } else { newton };
            let mut stalled = false;
            if iteration % 4 == 0 {
                stalled = high - low > 0.5 * watched_width && at.value.abs() > 1e-6 * watched_value;
                (watched_width, watched_value) = (high - low, at.value.abs());
            }
            // The condition also bisects if `next` is NaN (zero density).
            let bisect = stalled || !(next > low && next < high);
            if bisect {
                next = 0.5 * (low + high);
            }
            let step = (next - x).abs();
            x = next;
            // After a Halley step of d deviations, the error is about c d^3 deviations. c is of the
            // order of the squared logarithmic slope of the density, at most 40^2 where the density
            // is not zero. Here the error is below 2e-12.
            let reach = if bisect || bend <= 0.5 { 1e-13 } else { 1e-5 };
            if step <= reach * self.narrowest + 2.0 * f64::EPSILON * x.abs() {
                break;
            }
        }
        (x, density)
    }
}
