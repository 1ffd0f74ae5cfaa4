//! Room for one batch of windows, filled again and again.

use crate::data::{Dataset, WindowIndex};
use crate::forecaster::Batch;
use vdn_tensor::Element;
use vdn_train::TrainError;

/// Room for one batch, filled again and again.
#[derive(Debug, Default)]
pub(crate) struct BatchBuffers<T> {
    current: Vec<T>,
    previous: Vec<T>,
    target: Vec<T>,
}

impl<T: Element> BatchBuffers<T> {
    /// Fills the buffers with windows of `data`; `with_target`: and with what came after them.
    pub(crate) fn fill(
        &mut self,
        data: &Dataset,
        windows: &[WindowIndex],
        with_target: bool,
    ) -> Result<Batch<'_, T>, TrainError> {
        let spec = data.spec();
        self.current.resize(windows.len() * spec.input_len, T::ZERO);
        self.previous.resize(windows.len() * spec.input_len, T::ZERO);
        self.target.resize(if with_target { windows.len() * spec.horizon } else { 0 }, T::ZERO);
        data.fill_inputs(windows, 0, &mut self.current, T::from_f64)?;
        data.fill_inputs(windows, 1, &mut self.previous, T::from_f64)?;
        if with_target {
            data.fill_targets(windows, &mut self.target, T::from_f64)?;
        }
        Ok(Batch { current: &self.current, previous: &self.previous, target: &self.target })
    }
}
