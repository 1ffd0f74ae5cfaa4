//! [`Examples`]: data from which a trainer draws batches.

use crate::error::TrainError;
use std::fmt::Debug;
use vdn_tensor::Element;

/// The part of the data that an example belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// Gradients are computed from it.
    Train,
    /// The best epoch is selected, and units are judged, by it.
    Validation,
    /// It is only used after training.
    Test,
}

/// The content of a batch in addition to the inputs of its examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The targets.
    pub targets: bool,
    /// The inputs of the examples before the earlier examples, which a penalty between successive
    /// examples needs. Data without an order refuse this.
    pub predecessors: bool,
    /// The number of rows by which the examples are shifted: the batch has the inputs of the
    /// examples this many rows earlier.
    pub lag: usize,
}

impl Request {
    /// Only inputs.
    pub const INPUTS: Self = Self { targets: false, predecessors: false, lag: 0 };
    /// Inputs and targets.
    pub const TARGETS: Self = Self { targets: true, predecessors: false, lag: 0 };
}

/// The distances, in rows, at which the persistence of units is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lags {
    /// Between examples that share no row.
    pub apart: usize,
    /// Between successive examples.
    pub near: usize,
}

/// A noun for reports, in singular and plural.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noun {
    /// The singular.
    pub one: &'static str,
    /// The plural.
    pub many: &'static str,
}

impl Noun {
    /// A row of a table.
    pub const ROW: Self = Self { one: "row", many: "rows" };
    /// A window of a series.
    pub const WINDOW: Self = Self { one: "window", many: "windows" };
}

/// Data that have splits and fill batches by index.
///
/// A trainer shuffles indices, and a batch is filled from any of them. Therefore the order of the
/// examples, and with it the whole run, is a function of the seed. [`Rows`](crate::data::Rows)
/// implements this trait for plain matrices.
pub trait Examples<T: Element> {
    /// The index of an example. The order of indices is the order of the data.
    type Index: Copy + Ord + Debug + Send + Sync;
    /// Reusable buffers for a batch.
    type Buffers: Default;
    /// A filled batch.
    type Batch<'a>;

    /// The name of an example in reports.
    const NOUN: Noun = Noun { one: "example", many: "examples" };

    /// The examples of a split, in the order of the data.
    fn split(&self, split: Split) -> &[Self::Index];

    /// Fills a batch with these examples.
    ///
    /// # Errors
    /// Returns an error if an index belongs to other data, if the precision cannot represent a
    /// value (with its place), or if the data cannot meet the request.
    fn fill<'a>(
        &self,
        buffers: &'a mut Self::Buffers,
        examples: &[Self::Index],
        request: Request,
    ) -> Result<Self::Batch<'a>, TrainError>;

    /// The series, or another kind of group, that an example belongs to. Blocks of examples do not
    /// extend across groups.
    fn group(&self, _example: Self::Index) -> u32 {
        0
    }

    /// The weight of an example in means of scores of the parts of targets: the share of its target
    /// that is available, above 0.
    fn weight(&self, _example: Self::Index) -> f64 {
        1.0
    }

    /// The number of successive examples (of these, in their order) that depend on each other. It
    /// is the length of the blocks for standard errors.
    fn block(&self, _examples: &[Self::Index]) -> usize {
        1
    }

    /// The lags at which persistence is measured; `None` for data without an order.
    fn lags(&self) -> Option<Lags> {
        None
    }

    /// Whether the data have the example `lag` rows before this one.
    fn has_earlier(&self, _example: Self::Index, _lag: usize) -> bool {
        false
    }
}
