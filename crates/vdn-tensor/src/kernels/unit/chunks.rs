//! The division of a layer's `[rows, columns]` array into tasks: a grid that depends only on the
//! shape.
//!
//! Tasks along the columns are independent. Tasks along the rows give partial statistics, which
//! have to be merged, so there are at most 16 of them, with at least 32 rows each. A row chunk is a
//! multiple of four rows, because four rows share their noise.

use super::TILE;
use std::ops::Range;

/// The number of columns in a task: the running statistics of one block stay in the first-level
/// cache.
pub(super) const BLOCK: usize = 1024;
/// The smallest number of rows in a task.
const MIN_ROWS: usize = 32;
/// The largest number of row chunks. It limits the memory of partial sums to 16 rows of statistics.
const MAX_CHUNKS: usize = 16;

/// The grid of tasks of one layer.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    rows: usize,
    columns: usize,
    rows_per_chunk: usize,
    /// The number of row chunks.
    pub(super) chunks: usize,
    blocks: usize,
}

impl Grid {
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        let rows_per_chunk = rows.div_ceil(MAX_CHUNKS).next_multiple_of(TILE).max(MIN_ROWS);
        let chunks = rows.div_ceil(rows_per_chunk);
        Self { rows, columns, rows_per_chunk, chunks, blocks: columns.div_ceil(BLOCK) }
    }

    pub(super) fn tasks(&self) -> usize {
        self.chunks * self.blocks
    }

    /// Returns the row chunk, the rows and the columns of a task.
    pub(super) fn task(&self, task: usize) -> (usize, Range<usize>, Range<usize>) {
        let (chunk, block) = (task / self.blocks, task % self.blocks);
        let rows = self.rows_of(chunk);
        let columns = block * BLOCK..((block + 1) * BLOCK).min(self.columns);
        (chunk, rows, columns)
    }

    pub(super) fn rows_of(&self, chunk: usize) -> Range<usize> {
        let from = (chunk * self.rows_per_chunk).min(self.rows);
        from..from.saturating_add(self.rows_per_chunk).min(self.rows)
    }
}
