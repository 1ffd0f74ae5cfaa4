//! How a matrix product is cut: tiles for the registers, blocks for the caches, tasks for the threads.
//!
//! Only one of these choices enters the result: the length of the blocks of the inner dimension, which depends on that
//! dimension and the number type alone. The others may follow the level and the number of threads freely, because an
//! element of C is computed in the same way whichever tile, block or task it lies in.
//!
//! Figures were measured on a Zen 3 core (32 KiB of level 1, 512 KiB of level 2).

use crate::simd::{LANES, Level};

/// The longest block of the inner dimension, in bytes. A lane group of B over a block (16 columns, 24 KiB) stays in the
/// level 1 cache while all rows pass.
const INNER: usize = 1536;

/// The most bytes of A (rows times inner block) in a block: it stays in the level 2 cache while all columns pass.
const BLOCK_OF_A: usize = 384 << 10;

/// How many lane groups of B are packed at a time.
pub(super) const GROUPS: usize = 4;

/// With more columns than this, rows of A are copied to panels even where they could be read in place: consecutive
/// memory for each tile pays once it is read often enough.
const PACK_ROWS_ABOVE: usize = 192;

/// A transposed A is read in place up to this size in bytes (and up to [`FEW_COLUMNS`]): it fits the caches however
/// its columns lie.
const SMALL_A: usize = 64 << 10;
const FEW_COLUMNS: usize = 128;

/// B stored by rows is read in place for at most this many rows of A, or where rows times columns is at most
/// [`SMALL_C`]: so few reads do not repay the copy.
const FEW_ROWS: usize = 8;
const SMALL_C: usize = 8192;

/// The least work of a task, in multiply-adds: below it, waking a thread costs more than it saves.
const TASK: usize = 1 << 18;

/// How many rows the largest tile has, for numbers of `size` bytes; also the width of the panels of A.
///
/// With columns of sixteen lanes, AVX2 has 16 registers of 8 `f32`: 6 rows take 12. AVX-512 has 32 registers of 16: 8
/// rows of three groups take 24. SSE2 has 16 of 4: 2 rows take 8. `f64` is pairs on every level (see
/// `kernels/microkernel.rs`).
pub(super) const fn tile_rows(level: Level, size: usize) -> usize {
    match (level, size) {
        (Level::Avx512, 4) => 8,
        (Level::Avx2, 4) => 6,
        _ => 2,
    }
}

/// The cuts of one product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocking {
    /// Inner indices in a block (the last may be shorter).
    pub(super) depth: usize,
    /// Rows of A in a block.
    pub(super) rows: usize,
    /// Rows and columns of C in a task.
    pub(super) task: [usize; 2],
    /// Whether A is copied to panels.
    pub(super) pack_a: bool,
}

/// What a product looks like to [`Blocking::new`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    /// A is stored transposed.
    pub(super) transposed_a: bool,
    /// Bytes of a number.
    pub(super) size: usize,
}

impl Blocking {
    pub(super) fn new(problem: Problem, level: Level, threads: usize) -> Self {
        let Problem { m, n, k, transposed_a, size } = problem;
        let depth = inner_block(k, size);
        let tile = tile_rows(level, size);
        let pack_a = if transposed_a {
            n > FEW_COLUMNS || m * k * size > SMALL_A
        } else {
            n > PACK_ROWS_ABOVE
        };
        let task = partition(problem, tile, threads);
        let most = (BLOCK_OF_A / (depth.max(1) * size)).max(tile);
        let rows = task[0].div_ceil(task[0].div_ceil(most)).next_multiple_of(tile);
        Self { depth, rows, task, pack_a }
    }

    /// How many tasks there are along the rows and along the columns of C.
    pub(super) fn tasks(&self, m: usize, n: usize) -> [usize; 2] {
        [m.div_ceil(self.task[0]), n.div_ceil(self.task[1])]
    }
}

/// Whether B is read where it lies, for `rows` rows of A and `n` columns.
pub(super) fn reads_b_in_place(rows: usize, n: usize) -> bool {
    rows <= FEW_ROWS || rows * n <= SMALL_C
}

/// Blocks of equal length, up to the last one. This alone decides the order of the additions.
fn inner_block(k: usize, size: usize) -> usize {
    let blocks = k.div_ceil(INNER / size).max(1);
    k.div_ceil(blocks).next_multiple_of(4)
}

/// Rows and columns of a task: of all grids with about as many tasks as threads, the one that is done first.
fn partition(problem: Problem, tile: usize, threads: usize) -> [usize; 2] {
    let Problem { m, n, k, .. } = problem;
    let tasks = threads.min(m * n * k / TASK).max(1);
    let mut best = (usize::MAX, [m, n]);
    for across in 1..=tasks {
        let rows = m.div_ceil(tasks / across).next_multiple_of(tile);
        let columns = n.div_ceil(across).next_multiple_of(LANES);
        let turns = (m.div_ceil(rows) * n.div_ceil(columns)).div_ceil(threads);
        // In the time of a multiply-add of one lane: the copy of a number of B costs about 8, of A about 12.
        let time = turns * (rows * columns + 8 * columns + 12 * rows);
        if time < best.0 {
            best = (time, [rows, columns]);
        }
    }
    best.1
}
