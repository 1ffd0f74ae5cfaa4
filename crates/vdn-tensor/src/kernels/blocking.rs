//! The cuts of a matrix product: tiles for the registers, blocks for the caches, tasks for the
//! threads.
//!
//! Only one of these choices affects the result: the length of the blocks of the inner dimension.
//! It depends on that dimension and the number type alone. The other choices may depend on the
//! level and the number of threads, because an element of C is computed in the same way in any
//! tile, block or task.
//!
//! The figures were measured on a Zen 3 core (32 KiB of level 1, 512 KiB of level 2).

use crate::simd::{LANES, Level};
use std::ops::Range;

/// The longest block of the inner dimension, in bytes. Some rows of A and a lane group of B (16
/// columns, 24 KiB) are in the level 1 cache while they are multiplied.
const INNER: usize = 1536;

/// The largest size of A in panels (rows times inner block), in bytes. It stays in the level 2
/// cache while all columns pass.
const BLOCK_OF_A: usize = 384 << 10;

/// The number of lane groups of B that are packed at a time: up to 144 KiB, which stay in the level
/// 2 cache while all rows pass. It is a multiple of the widths of all large tiles.
pub(super) const GROUPS: usize = 6;

/// The size in bytes up to which a transposed A is read in place (and up to [`FEW_COLUMNS`]): it
/// fits the caches, however its columns lie.
const SMALL_A: usize = 64 << 10;
const FEW_COLUMNS: usize = 128;

/// The number of rows of A up to which a B that is stored by rows is read in place; B is also read
/// in place if rows times columns is at most [`SMALL_C`]. So few reads do not repay the copy.
const FEW_ROWS: usize = 8;
const SMALL_C: usize = 8192;

/// The least work of a task, in multiply-adds. Below it, waking a thread costs more than it saves.
const TASK: usize = 1 << 18;

/// Returns the number of rows of the largest tile for numbers of `size` bytes, which is also the
/// width of the panels of A.
///
/// With columns of sixteen lanes, AVX2 has 16 registers of 8 `f32`: 6 rows take 12. AVX-512 has 32
/// registers of 16: 8 rows of three groups take 24. SSE2 has 16 registers of 4: 2 rows take 8. A
/// register holds half as many `f64`: 8 rows of one group take 16 registers on AVX-512, and 2 rows
/// take 8 on AVX2.
pub(super) const fn tile_rows(level: Level, size: usize) -> usize {
    match (level, size) {
        (Level::Avx512, _) => 8,
        (Level::Avx2, 4) => 6,
        _ => 2,
    }
}

/// The largest size of packed B that the tasks of a product share, in bytes.
const SHARED_B: usize = 8 << 20;

/// The cuts of one product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocking {
    /// The number of inner indices in a block (the last may be shorter).
    pub(super) depth: usize,
    /// The number of rows of A in a block.
    pub(super) rows: usize,
    /// The number of tasks along the rows and along the columns of C.
    pub(super) tasks: [usize; 2],
    /// Whether A is copied to panels.
    pub(super) pack_a: bool,
    /// Whether B is read in place.
    pub(super) b_in_place: bool,
    /// Whether the panels of B are kept for all blocks of rows, whichever task copies them first.
    pub(super) share_b: bool,
    /// Cuts between tasks lie at multiples of this number of rows and columns.
    tile: usize,
    column_unit: usize,
}

/// The properties of a product that [`Blocking::new`] needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    /// Whether A is stored transposed.
    pub(super) transposed_a: bool,
    /// Whether B is stored transposed.
    pub(super) transposed_b: bool,
    /// The number of bytes of a number.
    pub(super) size: usize,
}

impl Blocking {
    pub(super) fn new(problem: Problem, level: Level, threads: usize) -> Self {
        let Problem { m, n, k, transposed_a, transposed_b, size } = problem;
        let depth = inner_block(k, size);
        let tile = tile_rows(level, size);
        // The loop that reads rows of A in place has an address for each row, and the registers do
        // not suffice for them.
        let plain_a = level == Level::Avx512 && m >= tile && n > FEW_COLUMNS;
        let pack_a = match transposed_a {
            true => n > FEW_COLUMNS || m * k * size > SMALL_A,
            false => plain_a,
        };
        let tasks = partition(problem, threads);
        let most = if pack_a { (BLOCK_OF_A / (depth.max(1) * size)).max(tile) } else { usize::MAX };
        let task_rows = m.min(m.div_ceil(tasks[0]) + tile / 2);
        let rows = task_rows.div_ceil(task_rows.div_ceil(most)).next_multiple_of(tile);
        let b_in_place = !transposed_b && reads_b_in_place(task_rows, n);
        let chunk = GROUPS * LANES;
        let wide = n >= 4 * chunk * tasks[1];
        let column_unit = if wide { chunk } else { LANES };
        let bytes = n.next_multiple_of(chunk) * k.next_multiple_of(depth.max(1)) * size;
        let share_b = !b_in_place && m > rows && (wide || tasks[1] == 1) && bytes <= SHARED_B;
        Self { depth, rows, tasks, pack_a, b_in_place, share_b, tile, column_unit }
    }

    /// Returns the rows of the tasks at position `down` of the grid.
    pub(super) fn task_rows(&self, down: usize, m: usize) -> Range<usize> {
        share(down, self.tasks[0], m, self.tile)
    }

    /// Returns the columns of the tasks at position `across` of the grid.
    pub(super) fn task_columns(&self, across: usize, n: usize) -> Range<usize> {
        share(across, self.tasks[1], n, self.column_unit)
    }
}

/// Returns part `index` of `parts` nearly equal parts of `0..len`, cut at multiples of `unit`. It
/// can be empty.
fn share(index: usize, parts: usize, len: usize, unit: usize) -> Range<usize> {
    let cut = |i: usize| if i == parts { len } else { (len * i / parts + unit / 2) / unit * unit };
    cut(index).min(len)..cut(index + 1).min(len)
}

/// Returns whether B is read in place, for `rows` rows of A and `n` columns.
fn reads_b_in_place(rows: usize, n: usize) -> bool {
    rows <= FEW_ROWS || rows * n <= SMALL_C
}

/// Returns the length of the blocks: equal, except for the last. This alone decides the order of
/// the additions.
fn inner_block(k: usize, size: usize) -> usize {
    let blocks = k.div_ceil(INNER / size).max(1);
    k.div_ceil(blocks).next_multiple_of(4)
}

/// Returns the tasks down and across: of all grids with about as many tasks as threads, the one
/// that finishes first.
fn partition(problem: Problem, threads: usize) -> [usize; 2] {
    let Problem { m, n, k, transposed_a, .. } = problem;
    let tasks = threads.min(m.saturating_mul(n).saturating_mul(k) / TASK).max(1);
    let mut best = (usize::MAX, [1, 1]);
    for across in 1..=tasks {
        let down = tasks / across;
        let (rows, columns) = (m.div_ceil(down), n.div_ceil(across).next_multiple_of(LANES));
        // Costs in the time of a multiply-add of one lane: a copy of a number of B, which tasks
        // above each other share, costs about 8; a copy of a number of A (if it is stored
        // transposed) costs about 6.
        let time = rows * columns + 8 * columns / down + if transposed_a { 6 * rows } else { 0 };
        if time < best.0 {
            best = (time, [down, across]);
        }
    }
    best.1
}
