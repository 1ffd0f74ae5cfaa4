//! Gradient checks: compares the gradients of the tape with central differences, in `f64`.
//!
//! The check differentiates a weighted sum of all elements of the result, in which each element has
//! its own fixed weight (a scalar has the weight 1). An operation whose result is a tensor can
//! therefore be checked directly.
//!
//! The step at `x` is `h = cbrt(eps) max(1, |x|)`, which balances truncation and rounding. Both
//! parts of the error of `D(h) = (f(x + h) - f(x - h)) / 2h` are estimated. The tolerance is ten
//! times their sum:
//!
//! * truncation: `D(h) = f' + h^2 f'''/6 + O(h^4)`, so `D(2h) - D(h) = 3 h^2 f'''/6 + O(h^4)`, a
//!   third of which is the truncation error of `D(h)`;
//! * rounding: each value of `f` carries an error of about `eps F`, with `F` the sum of the
//!   magnitudes of its terms, at least 1; the difference quotient divides it by `h`.

mod report;

pub use report::{Entry, Report};

use crate::error::Error;
use crate::node::Origin;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::Tensor;
use vdn_tensor::noise::NoiseKey;

/// The factor on the sum of the two error estimates. An operation rounds more than once, and the
/// truncation estimate itself is known only to the next order in `h`.
const SAFETY: f64 = 10.0;

/// Checks the gradient of every element of every input of `f`.
///
/// `f` records on the given tape, starting from one variable for each input, and returns its
/// result. It has to be smooth at the inputs: choose inputs away from kinks.
///
/// ```
/// use vdn_autograd::check_gradients;
/// use vdn_tensor::Tensor;
/// let x = Tensor::from_slice([3], &[0.5, -1.0, 2.0])?;
/// let report = check_gradients(&[x], |tape, vars| tape.softplus(vars[0]))?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), vdn_autograd::Error>(())
/// ```
///
/// # Errors
/// Fails if `f` does, or if its result depends on no input.
pub fn check_gradients(
    inputs: &[Tensor<f64>],
    f: impl FnMut(&mut Tape<f64>, &[Var]) -> Result<Var, Error>,
) -> Result<Report, Error> {
    let mut check = Check::new(inputs, f)?;
    for input in 0..inputs.len() {
        for index in 0..inputs[input].data().len() {
            let x = inputs[input].data()[index];
            let analytic = check.gradients[input].data()[index];
            let step = f64::EPSILON.cbrt() * x.abs().max(1.0);
            let entry = check.compare(analytic, step, |inputs, step| {
                // The actual step is the difference of two representable numbers.
                inputs[input].data_mut()[index] = x + step;
                inputs[input].data()[index] - x
            })?;
            check.inputs[input].data_mut()[index] = x;
            check.report.add(Entry { input, index, ..entry });
        }
    }
    Ok(check.report)
}

/// Checks the derivative of `f` in one random direction of all inputs together. Use it for graphs
/// that are too large to move every element. The report has one entry, of input 0 and index 0.
///
/// # Errors
/// Fails as [`check_gradients`] does.
pub fn check_direction(
    inputs: &[Tensor<f64>],
    f: impl FnMut(&mut Tape<f64>, &[Var]) -> Result<Var, Error>,
    key: NoiseKey,
) -> Result<Report, Error> {
    let mut check = Check::new(inputs, f)?;
    let mut direction: Vec<Tensor<f64>> = inputs.to_vec();
    for (sample, part) in direction.iter_mut().enumerate() {
        key.fill_normal(sample as u32, part.data_mut());
    }
    let norm = direction.iter().flat_map(Tensor::data).map(|v| v * v).sum::<f64>().sqrt();
    for part in &mut direction {
        part.data_mut().iter_mut().for_each(|v| *v /= norm);
    }
    let pairs = check.gradients.iter().zip(&direction);
    let analytic = pairs.flat_map(|(g, v)| g.data().iter().zip(v.data())).map(|(g, v)| g * v).sum();
    let entry = check.compare(analytic, f64::EPSILON.cbrt(), |moved, step| {
        for ((moved, at), along) in moved.iter_mut().zip(inputs).zip(&direction) {
            let (at, along) = (at.data(), along.data());
            for (to, (x, v)) in moved.data_mut().iter_mut().zip(at.iter().zip(along)) {
                *to = x + step * v;
            }
        }
        step
    })?;
    check.report.add(entry);
    Ok(check.report)
}

/// The function, its inputs as they are moved, and the gradients at the original inputs.
struct Check<F> {
    f: F,
    tape: Tape<f64>,
    inputs: Vec<Tensor<f64>>,
    gradients: Vec<Tensor<f64>>,
    weights: Vec<f64>,
    report: Report,
}

impl<F: FnMut(&mut Tape<f64>, &[Var]) -> Result<Var, Error>> Check<F> {
    fn new(inputs: &[Tensor<f64>], f: F) -> Result<Self, Error> {
        let gradients = inputs.iter().map(|input| Tensor::zeros(*input.shape())).collect();
        let (tape, inputs) = (Tape::new(), inputs.to_vec());
        let report = Report::default();
        let mut check = Self { f, tape, inputs, gradients, weights: Vec::new(), report };
        let (vars, result) = check.record()?;
        let tape = &mut check.tape;
        check.weights = vec![1.0; tape.shape(result).numel()];
        if check.weights.len() > 1 {
            // Weights between 1/2 and 3/2, all different: every element counts, and errors do not
            // cancel.
            NoiseKey::new(0, 0, 0).fill_uniform(0, &mut check.weights);
            check.weights.iter_mut().for_each(|w| *w += 0.5);
        }
        tape.backward_from(&[(result, &check.weights)])?;
        for (gradient, &var) in check.gradients.iter_mut().zip(&vars) {
            if let Some(found) = tape.gradient(var) {
                gradient.data_mut().copy_from_slice(found.data());
            }
        }
        check.report.operation = match tape.node("check", result).origin {
            Origin::Leaf(name) => name,
            Origin::Output { step, .. } => tape.ops[step as usize].op().name(),
        };
        Ok(check)
    }

    fn record(&mut self) -> Result<(Vec<Var>, Var), Error> {
        self.tape.reset();
        let mut vars = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            vars.push(self.tape.variable(*input.shape(), input.data())?);
        }
        let result = (self.f)(&mut self.tape, &vars)?;
        Ok((vars, result))
    }

    /// Returns the weighted sum of the result, and the sum of the magnitudes of its terms.
    fn evaluate(&mut self) -> Result<[f64; 2], Error> {
        let (_, result) = self.record()?;
        let terms = self.tape.value(result).data().iter().zip(&self.weights).map(|(y, w)| y * w);
        Ok(terms.fold([0.0, 0.0], |[sum, size], term| [sum + term, size + term.abs()]))
    }

    /// Returns the entry for moving the inputs by `step` and by twice as much in both directions.
    /// `shift` moves them and returns the actual step. The inputs stay moved.
    fn compare(
        &mut self,
        analytic: f64,
        step: f64,
        shift: impl Fn(&mut [Tensor<f64>], f64) -> f64,
    ) -> Result<Entry, Error> {
        let mut size = 1.0_f64;
        let mut quotient = |step: f64| -> Result<f64, Error> {
            let forward = shift(&mut self.inputs, step);
            let [after, after_size] = self.evaluate()?;
            let backward = shift(&mut self.inputs, -step);
            let [before, before_size] = self.evaluate()?;
            size = size.max(after_size).max(before_size);
            Ok((after - before) / (forward - backward))
        };
        let (wide, numeric) = (quotient(2.0 * step)?, quotient(step)?);
        let truncation = (wide - numeric).abs() / 3.0;
        let rounding = f64::EPSILON * size / step;
        let tolerance = SAFETY * (truncation + rounding);
        Ok(Entry { input: 0, index: 0, analytic, numeric, tolerance })
    }
}
