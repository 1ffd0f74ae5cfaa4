//! The coefficients of a stationary autoregression of any order from its partial autocorrelations.
//!
//! `kappa_k = tanh a_k` in (-1, 1) is the partial autocorrelation at lag `k`. Every choice of
//! partial autocorrelations is stationary, and every stationary autoregression has one
//! (Barndorff-Nielsen and Schou 1973). A tanh on the coefficients themselves would not ensure
//! stationarity. The recursion of Levinson and Durbin, for `k = 1, 2, ...`, is
//!
//! ```text
//! c[k][k] = kappa_k       c[k][j] = c[k-1][j] - kappa_k c[k-1][k-j]       v_k = v_{k-1} (1 - kappa_k^2),  v_0 = 1
//! ```
//!
//! `c[k]` and `v_k` are the best linear prediction from `k` past values and its variance, for a
//! process of variance 1. They are therefore also the exact distribution of the first steps, which
//! have fewer than `p` past values.

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::{Element, Real, Shape, ShapeError, View, ViewMut, with_scratch};

const NAME: &str = "levinson";

/// The number of partial autocorrelations used.
struct Levinson {
    order: usize,
}

/// `ln(1 - tanh^2 a)`.
fn log_sech_squared(a: f64) -> f64 {
    2.0 * (std::f64::consts::LN_2 - a.abs() - Real::softplus(-2.0 * a.abs()))
}

/// Fills `rows`: row `k - 1`, of length `order`, gets `c[k][1..=k]` for the partial
/// autocorrelations `kappa`.
fn recursion(kappa: impl Fn(usize) -> f64, order: usize, rows: &mut [f64]) {
    for k in 1..=order {
        let (before, row) = rows.split_at_mut((k - 1) * order);
        let before = &before[(k.max(2) - 2) * order..];
        let kappa = kappa(k);
        for j in 1..k {
            row[j - 1] = before[j - 1] - kappa * before[k - j - 1];
        }
        row[k - 1] = kappa;
    }
}

compiled_once!(Levinson);
impl<T: Element> Definition<T> for Levinson {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let &[lags, units] = inputs[0].dims() else {
            return Err(ShapeError::new(NAME, inputs, "needs the shape [lags, units]"));
        };
        if self.order == 0 || self.order > lags {
            let reason = format!("order {}, there are {lags} lags", self.order);
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        outputs.push(Shape::new(&[self.order, units])?);
        outputs.push(Shape::new(&[units])?);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let (p, units, a) = (self.order, inputs[0].shape().last(), inputs[0].data());
        let [coefficients, logvar] = outputs else { unreachable!("two outputs were declared") };
        with_scratch(p * p, |rows: &mut [f64]| {
            for unit in 0..units {
                let at = |k: usize| a[(k - 1) * units + unit].to_f64();
                recursion(|k| at(k).tanh(), p, rows);
                for (j, c) in rows[(p - 1) * p..].iter().enumerate() {
                    coefficients.data_mut()[j * units + unit] = T::from_f64(*c);
                }
                let log: f64 = (1..=p).map(|k| log_sech_squared(at(k))).sum();
                logvar.data_mut()[unit] = T::from_f64(log);
            }
        });
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let Some(d_a) = &mut d_inputs[0] else { return };
        let (p, units, a) = (self.order, inputs[0].shape().last(), inputs[0].data());
        let d_a = d_a.data_mut();
        // Lags beyond the order have no effect.
        d_a.fill(T::ZERO);
        with_scratch(p * p + 2 * p, |scratch: &mut [f64]| {
            let (rows, slopes) = scratch.split_at_mut(p * p);
            let (slopes, earlier) = slopes.split_at_mut(p);
            for unit in 0..units {
                let at = |k: usize| a[(k - 1) * units + unit].to_f64();
                recursion(|k| at(k).tanh(), p, rows);
                let d_logvar = d_outputs[1].map_or(0.0, |d| d.data()[unit].to_f64());
                for (j, slope) in slopes.iter_mut().enumerate() {
                    *slope = d_outputs[0].map_or(0.0, |d| d.data()[j * units + unit].to_f64());
                }
                for k in (1..=p).rev() {
                    let kappa = at(k).tanh();
                    let mut d_kappa = slopes[k - 1];
                    earlier.fill(0.0);
                    for j in 1..k {
                        d_kappa -= slopes[j - 1] * rows[(k - 2) * p + k - j - 1];
                        earlier[j - 1] += slopes[j - 1];
                        earlier[k - j - 1] -= kappa * slopes[j - 1];
                    }
                    slopes.copy_from_slice(earlier);
                    let rest = log_sech_squared(at(k)).exp();
                    d_a[(k - 1) * units + unit] =
                        T::from_f64(d_kappa * rest - 2.0 * kappa * d_logvar);
                }
            }
        });
    }
}

impl<T: Element> Tape<T> {
    /// The autoregression of this order for units of variance 1, from the first `order` rows of `a`
    /// `[lags, units]` (inverse hyperbolic tangents of partial autocorrelations). Returns the
    /// coefficients `[order, units]`, the coefficient of the last value first, and the log-variance
    /// of the innovations, `[units]`.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f64>::new();
    /// let a = tape.variable([2, 1], &[0.5_f64.atanh(), 0.2_f64.atanh()])?;
    /// let [coefficients, logvar] = tape.levinson(a, 2)?;
    /// let c = tape.value(coefficients).data().to_vec();
    /// assert!((c[0] - 0.4).abs() < 1e-15 && (c[1] - 0.2).abs() < 1e-15); // 0.5 - 0.2 * 0.5
    /// assert!((tape.scalar(logvar)? - (0.75_f64 * 0.96).ln()).abs() < 1e-15);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if `a` has another shape, or fewer lags, if the order is 0, or if a variable is stale.
    pub fn levinson(&mut self, a: Var, order: usize) -> Result<[Var; 2], Error> {
        let outputs = self.record(Levinson { order }, &[a])?;
        Ok([outputs[0], outputs[1]])
    }
}
