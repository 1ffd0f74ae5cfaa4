//! [`Contexts`]: data that are the same in every step.

use vdn_train::TrainError;
use vdn_train::data::{Examples, Request, Split};

/// The same contexts in every step, and the contexts before them. The index of an example is the
/// step.
pub(crate) struct Contexts {
    now_and_before: [Vec<f64>; 2],
    splits: [Vec<u32>; 3],
}

impl Contexts {
    pub(crate) fn new(steps: u32, now_and_before: [Vec<f64>; 2]) -> Self {
        Self { now_and_before, splits: [(0..steps).collect(), vec![steps], Vec::new()] }
    }
}

impl Examples<f64> for Contexts {
    type Index = u32;
    type Buffers = [Vec<f64>; 2];
    type Batch<'a> = &'a [Vec<f64>; 2];

    fn split(&self, split: Split) -> &[u32] {
        &self.splits[split as usize]
    }

    fn fill<'a>(
        &self,
        buffers: &'a mut [Vec<f64>; 2],
        _: &[u32],
        _: Request,
    ) -> Result<&'a [Vec<f64>; 2], TrainError> {
        buffers.clone_from(&self.now_and_before);
        Ok(buffers)
    }
}
