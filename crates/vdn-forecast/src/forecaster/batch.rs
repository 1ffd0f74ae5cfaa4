//! [`Batch`]: the windows that a forecaster is given, and what is known [`Beside`] them.

/// Windows to forecast from, and what came after them.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a, T> {
    /// The current windows, `[batch, input_len]`.
    pub current: &'a [T],
    /// The windows a few steps earlier, `[batch, input_len]`.
    pub previous: &'a [T],
    /// What came next, `[batch, horizon]`; empty when forecasting.
    pub target: &'a [T],
    /// The predecessors of the previous windows, `[batch, input_len]`, where an autoregressive term
    /// or a persistence target asks for them.
    pub earlier: Option<&'a [T]>,
    /// What is known of the windows beside their values.
    pub beside: Beside<'a, T>,
}

/// What is known of windows beside their values; nothing by default.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a, T> {
    /// The lower limits of the windows' series, `[batch]`, in the unit of the values; `None`: they
    /// can have any value.
    pub floor: Option<&'a [f64]>,
    /// The covariates of the windows, `[batch, numbers]`, where the model has such.
    pub numbers: &'a [T],
    /// Those of the previous windows, where an autoregressive term or a persistence target asks
    /// for them.
    pub earlier_numbers: &'a [T],
    /// Their categories, `[batch, static columns]`, whole numbers.
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
