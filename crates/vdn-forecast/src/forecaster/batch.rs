//! [`Batch`]: the windows that a forecaster reads, and the data [`Beside`] them.

/// Input windows and their targets.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a, T> {
    /// The current windows, `[batch, input_len]`.
    pub current: &'a [T],
    /// The windows that start a few steps earlier, `[batch, input_len]`.
    pub previous: &'a [T],
    /// The values after each window, `[batch, horizon]`; empty when forecasting.
    pub target: &'a [T],
    /// The predecessors of the previous windows, `[batch, input_len]`. Needed only by an
    /// autoregressive term or a persistence target.
    pub earlier: Option<&'a [T]>,
    /// Data of the windows other than their values.
    pub beside: Beside<'a, T>,
}

/// Data of the windows other than their values: covariates, categories and limits. Empty by
/// default.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a, T> {
    /// The lower limits of the windows' series, `[batch]`, in the unit of the values. `None`: the
    /// values have no limit.
    pub floor: Option<&'a [f64]>,
    /// The covariates of the windows, `[batch, numbers]`; empty for a model without covariates.
    pub numbers: &'a [T],
    /// The covariates of the previous windows. Needed only by an autoregressive term or a
    /// persistence target.
    pub earlier_numbers: &'a [T],
    /// The categories of the windows, `[batch, static columns]`, as whole numbers.
    pub categories: &'a [T],
}

impl<T> Default for Beside<'_, T> {
    fn default() -> Self {
        Self { floor: None, numbers: &[], earlier_numbers: &[], categories: &[] }
    }
}

impl<T> Default for Batch<'_, T> {
    fn default() -> Self {
        let (current, previous, target): (&[T], &[T], &[T]) = (&[], &[], &[]);
        Self { current, previous, target, earlier: None, beside: Beside::default() }
    }
}
