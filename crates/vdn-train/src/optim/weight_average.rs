//! [`WeightAverage`]: a moving average of the weights, which is validated and kept if it is
//! enabled.
//!
//! At a constant learning rate the weights of single steps fluctuate around their mean. Until the
//! decay is reached, this is the polynomial-decay averaging of Shamir and Zhang, "Stochastic
//! Gradient Descent for Non-smooth Optimization: Convergence Results and Optimal Averaging Schemes"
//! (2013), with other constants.

use crate::error::TrainError;
use vdn_model::core::Parameters;
use vdn_tensor::kernels::{Update, update};
use vdn_tensor::{Element, Real};

/// The exponential moving average of the weights.
///
/// After the first step the average is `w`. Step `t` sets it to `d a + (1 - d) w`, where `a` is the
/// previous average and `d = min(decay, (1 + t)/(4 + t))`.
///
/// The second argument of the minimum keeps the first steps from dominating a short training. `d`
/// reaches the decay at step `(4 decay - 1)/(1 - decay)` (296 for 0.99). Before that step, the last
/// third of all steps has 70 % of the weight, and the value of `decay` has no effect.
///
/// Losses and gradients do not depend on the average. In single precision, if the weights stay
/// constant, the average stops changing within `0.5/(1 - d)` units in the last place of them: 50
/// for 0.99.
///
/// ```
/// use vdn_model::core::Parameters;
/// use vdn_tensor::Tensor;
/// use vdn_train::optim::WeightAverage;
/// let mut parameters = Parameters::<f64>::new();
/// parameters.add("weight", Tensor::full([4], 0.5));
/// let first = parameters.data_mut(0)[0];
/// let mut average = WeightAverage::new(0.99)?;
/// average.follow(&parameters);
/// parameters.data_mut(0)[0] = first + 1.0;
/// average.follow(&parameters);
/// // The second step: d = 3/6.
/// let found = average.parameters().unwrap().iter().next().unwrap().tensor().data()[0];
/// assert!((found - (first + 0.5)).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct WeightAverage<T: Element> {
    decay: f64,
    steps: u64,
    average: Option<Parameters<T>>,
}

/// The update of one number of the average.
struct Follow {
    decay: f64,
}

impl Update<1, 1> for Follow {
    #[inline(always)]
    fn apply<R: Real>(&self, [average]: [R; 1], [weight]: [R; 1]) -> [R; 1] {
        // In this form, an average that equals its weight stays exactly as it is.
        [weight + weight.lit(self.decay) * (average - weight)]
    }
}

impl<T: Element> WeightAverage<T> {
    /// Creates an empty average. With a decay of 0 the weights themselves are used.
    ///
    /// # Errors
    /// Returns an error if the decay is outside of `[0, 1)`.
    pub fn new(decay: f64) -> Result<Self, TrainError> {
        if !(0.0..1.0).contains(&decay) {
            return Err(TrainError::config(format!(
                "train.ema_decay = {decay}: has to be in [0, 1)"
            )));
        }
        Ok(Self { decay, steps: 0, average: None })
    }

    /// Adds the weights after one more step to the average; does nothing if the decay is 0.
    ///
    /// It allocates memory only if the average is shared: after the first step, and after a clone
    /// of [`WeightAverage::parameters`].
    ///
    /// # Panics
    /// Panics if the parameters differ from the earlier ones in number or in size.
    pub fn follow(&mut self, parameters: &Parameters<T>) {
        if self.decay == 0.0 {
            return;
        }
        self.steps += 1;
        let t = self.steps as f64;
        let step = Follow { decay: self.decay.min((1.0 + t) / (4.0 + t)) };
        let Some(average) = &mut self.average else {
            self.average = Some(parameters.clone());
            return;
        };
        assert_eq!(average.len(), parameters.len(), "these are parameters of another model");
        for (index, parameter) in parameters.iter().enumerate() {
            update(&step, [average.data_mut(index)], [parameter.tensor().data()]);
        }
    }

    /// Adapts the average after the rows of parameter `index` were multiplied by `factors`. The
    /// rows are divided evenly among the factors. The rows of the average are multiplied, too, as
    /// if the change had come before all steps. If a controller moves units into a band, the
    /// averaged units move into it, too.
    ///
    /// # Panics
    /// Panics if there is no such parameter, if there are no factors, or if there are more factors
    /// than numbers in the parameter.
    pub fn rescale_rows(&mut self, index: usize, factors: &[f64]) {
        if let Some(average) = &mut self.average {
            average.scale_rows(index, factors);
        }
    }

    /// The number of steps in the average, and the average after them.
    pub(crate) fn state(&self) -> (u64, Option<&Parameters<T>>) {
        (self.steps, self.average.as_ref())
    }

    /// Restores a state.
    pub(crate) fn restore(&mut self, steps: u64, average: Option<Parameters<T>>) {
        (self.steps, self.average) = (steps, average);
    }

    /// The average; `None` before the first step, and with a decay of 0.
    #[must_use]
    pub fn parameters(&self) -> Option<&Parameters<T>> {
        self.average.as_ref()
    }
}
