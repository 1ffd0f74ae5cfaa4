//! Room for one batch of windows, filled again and again.

use crate::data::{Dataset, WindowIndex};
use crate::forecaster::Batch;
use vdn_tensor::Element;
use vdn_train::TrainError;
use vdn_train::data::DataError;

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
        let lengths = [spec.input_len, spec.input_len, spec.horizon];
        let parts = [&self.current, &self.previous, &self.target];
        for ((part, length), back) in parts.into_iter().zip(lengths).zip([1, 1, 0]) {
            if let Some(at) = part.iter().position(|x| !x.is_finite()) {
                let window = windows[at / length];
                let lag = if std::ptr::eq(part, &self.previous) { spec.stride } else { 0 };
                let row = window.t as usize - lag - back * length + at % length;
                let series = window.series as usize;
                return Err(TrainError::Data(DataError::TooLarge {
                    series: data.names()[series].clone(),
                    row,
                    value: data.columns()[series][row],
                    precision: T::NAME,
                }));
            }
        }
        Ok(Batch { current: &self.current, previous: &self.previous, target: &self.target })
    }
}
