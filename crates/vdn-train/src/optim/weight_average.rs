//! [`WeightAverage`]: a moving average of the weights, which is what validation sees and what is kept where it is asked for.
//!
//! At a constant learning rate the weights of single steps wander around where their mean lies. While the decay is not yet
//! reached this is the polynomial-decay averaging of Shamir and Zhang, "Stochastic Gradient Descent for Non-smooth
//! Optimization: Convergence Results and Optimal Averaging Schemes" (2013), with other constants.

use crate::error::TrainError;
use vdn_model::core::Parameters;
use vdn_tensor::kernels::{Update, update};
use vdn_tensor::{Element, Real};

/// The weights' exponential moving average: `w` after the first step, and after step `t` `d a + (1 - d) w` with
/// `d = min(decay, (1 + t)/(4 + t))`. The second term keeps the first steps from ruling a short training: until it reaches the
/// decay, at step `(4 decay - 1)/(1 - decay)` (296 for 0.99), 70 % of the weight is on the last third of all steps, and the decay has
/// no effect.
///
/// Losses and gradients do not see it. In single precision the average rests once it is within `0.5/(1 - d)` units in the last
/// place of weights that stay where they are: 50 for 0.99.
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

/// One step of the average of one number.
struct Follow {
    decay: f64,
}

impl Update<1, 1> for Follow {
    #[inline(always)]
    fn apply<R: Real>(&self, [average]: [R; 1], [weight]: [R; 1]) -> [R; 1] {
        // In this form what does not change stays as it is.
        [weight + weight.lit(self.decay) * (average - weight)]
    }
}

impl<T: Element> WeightAverage<T> {
    /// An average of nothing yet; a decay of 0: the weights themselves.
    ///
    /// # Errors
    /// A decay outside of `[0, 1)`.
    pub fn new(decay: f64) -> Result<Self, TrainError> {
        if !(0.0..1.0).contains(&decay) {
            return Err(TrainError::config(format!(
                "train.ema_decay = {decay}: has to be in [0, 1)"
            )));
        }
        Ok(Self { decay, steps: 0, average: None })
    }

    /// Takes the weights after one more step into the average. With a decay of 0 nothing is done. Memory is allocated only where
    /// the average is shared: after the first step, and after a clone of [`WeightAverage::parameters`].
    ///
    /// # Panics
    /// Parameters of another number or of other sizes than those before.
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

    /// Follows a change of parameter `index`: its rows, divided evenly among `factors`, were multiplied by them. So are those of
    /// the average, as if all steps had been made after it: a controller that puts units into a band puts the kept ones there,
    /// too.
    ///
    /// # Panics
    /// There is no such parameter, or there are more factors than numbers, or none.
    pub fn rescale_rows(&mut self, index: usize, factors: &[f64]) {
        if let Some(average) = &mut self.average {
            average.scale_rows(index, factors);
        }
    }

    /// The steps that were taken in, and the average after them.
    pub(crate) fn state(&self) -> (u64, Option<&Parameters<T>>) {
        (self.steps, self.average.as_ref())
    }

    /// Goes back to a state.
    pub(crate) fn restore(&mut self, steps: u64, average: Option<Parameters<T>>) {
        (self.steps, self.average) = (steps, average);
    }

    /// The average; `None` before the first step, and with a decay of 0.
    #[must_use]
    pub fn parameters(&self) -> Option<&Parameters<T>> {
        self.average.as_ref()
    }
}
