//! [`WeightAverage`]: an exponential moving average of the weights, which is what validation sees and what is kept.
//!
//! Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992): at a constant learning rate the
//! weights of single steps wander around where their mean lies.

use vdn_model::Parameters;
use vdn_tensor::kernels::{Update, update};
use vdn_tensor::{Element, Real};

/// The weights' exponential moving average: after step `t` (from 1) it becomes `d a + (1 - d) w`, with
/// `d = min(decay, (1 + t)/(4 + t))`. The second term keeps the first steps from ruling a short training: until it reaches the
/// decay, the average is over about the last third of all steps.
///
/// Training itself does not see it: its losses and gradients are those of the weights.
///
/// ```
/// use vdn_model::{Forecaster, ForecasterConfig};
/// use vdn_train::WeightAverage;
/// let config = ForecasterConfig { hidden: 8, units: 4, head_hidden: 8, ..ForecasterConfig::default() };
/// let (_, mut parameters) = Forecaster::new::<f64>(config, 0)?;
/// let first = parameters.data_mut(0)[0];
/// let mut average = WeightAverage::new(0.95);
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
        // In this form what does not change stays as it is, to the bit.
        [weight + weight.lit(self.decay) * (average - weight)]
    }
}

impl<T: Element> WeightAverage<T> {
    /// An average of nothing yet, with a decay in `[0, 1)`; 0: the weights themselves.
    #[must_use]
    pub fn new(decay: f64) -> Self {
        Self { decay, steps: 0, average: None }
    }

    /// Takes the weights after one more step into the average. The first step allocates it, later ones nothing. With a decay of
    /// 0 nothing is done.
    ///
    /// # Panics
    /// Parameters of other sizes than those before.
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
        for (index, parameter) in parameters.iter().enumerate() {
            update(&step, [average.data_mut(index)], [parameter.tensor().data()]);
        }
    }

    /// The average; `None` before the first step, and with a decay of 0.
    #[must_use]
    pub fn parameters(&self) -> Option<&Parameters<T>> {
        self.average.as_ref()
    }
}
