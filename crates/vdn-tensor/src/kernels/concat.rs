//! Concatenation and slicing of arrays along the middle axis of `[outer, n, inner]`.

use super::tree::CHUNK;
use crate::Element;
use crate::extent::Extent;
use crate::parallel::{for_each, for_each_chunk};

/// Computes `out[.., offset..offset + size, ..] = part`, where `part` is `[outer, size, inner]` and
/// `out` is `[outer, n, inner]`. The rest of `out` stays. [`concat`](fn@concat) does this for each
/// part.
///
/// # Panics
/// Panics if the slices do not have these shapes, or the part does not lie inside.
pub fn write_slice<T: Element>(
    part: &[T],
    size: usize,
    offset: usize,
    (outer, n, inner): (usize, usize, usize),
    out: &mut [T],
) {
    check("write_slice", (part, out), (outer, n, inner), offset, size);
    for_each_run(out, n * inner, |o, out| {
        out[offset * inner..][..size * inner]
            .copy_from_slice(&part[o * size * inner..][..size * inner]);
    });
}

/// Computes `out = x[.., start..start + size, ..]`, where `x` is `[outer, n, inner]` and `out` is
/// `[outer, size, inner]`.
///
/// # Panics
/// Panics if the slices do not have these shapes, or the part does not lie inside.
pub fn slice_axis<T: Element>(
    x: &[T],
    (outer, n, inner): (usize, usize, usize),
    start: usize,
    size: usize,
    out: &mut [T],
) {
    check("slice_axis", (out, x), (outer, n, inner), start, size);
    for_each_run(out, size * inner, |o, out| {
        out.copy_from_slice(&x[(o * n + start) * inner..][..size * inner]);
    });
}

/// Adds the adjoint of [`slice_axis`] to `dx`, `[outer, n, inner]`:
/// `dx[.., start..start + size, ..] += d_out`. No other part of `dx` is read or written, so all
/// slices of an array together cost one pass over it.
///
/// ```
/// use vdn_tensor::kernels::slice_axis_add;
/// let mut dx = [1.0_f32; 6];
/// slice_axis_add(&[10.0, 20.0], (2, 3, 1), 1, 1, &mut dx);
/// assert_eq!(dx, [1.0, 11.0, 1.0, 1.0, 21.0, 1.0]);
/// ```
///
/// # Panics
/// Panics if the slices do not have these shapes, or the part does not lie inside.
pub fn slice_axis_add<T: Element>(
    d_out: &[T],
    (outer, n, inner): (usize, usize, usize),
    start: usize,
    size: usize,
    dx: &mut [T],
) {
    check("slice_axis_add", (d_out, dx), (outer, n, inner), start, size);
    let run = size * inner;
    if run == 0 {
        return;
    }
    let dx = Extent::new("slice_axis_add", [outer, n, inner]).share("the whole", dx);
    let runs = (CHUNK / run).max(1);
    for_each(outer.div_ceil(runs), |task| {
        for o in task * runs..outer.min((task + 1) * runs) {
            let at = (o * n + start) * inner;
            // SAFETY: runs of different rows do not overlap, and each row is of one task.
            let sums = unsafe { dx.part(at..at + run) };
            for (sum, &d) in sums.iter_mut().zip(&d_out[o * run..][..run]) {
                *sum += d;
            }
        }
    });
}

/// Concatenates `parts` along the middle axis into `out`. Each part is `[outer, size, inner]` and
/// is given with its `size`; `out` is `[outer, n, inner]`, with `n` the sum of the sizes.
///
/// ```
/// use vdn_tensor::kernels::concat;
/// let (a, b) = ([1.0_f32, 2.0], [10.0, 11.0, 20.0, 21.0]);
/// let mut joined = [0.0; 6];
/// concat([(&a[..], 1), (&b[..], 2)], (2, 3, 1), &mut joined);
/// assert_eq!(joined, [1.0, 10.0, 11.0, 2.0, 20.0, 21.0]);
/// ```
///
/// # Panics
/// Panics if the slices do not have these shapes.
pub fn concat<'a, T: Element>(
    parts: impl IntoIterator<Item = (&'a [T], usize)>,
    around: (usize, usize, usize),
    out: &mut [T],
) {
    Extent::new("concat", [around.0, around.1, around.2]).check("the output", out);
    let mut offset = 0;
    for (part, size) in parts {
        write_slice(part, size, offset, around, out);
        offset += size;
    }
    assert_eq!(offset, around.1, "concat: the sizes of the parts and the size of the whole");
}

/// Computes the adjoint of [`concat`](fn@concat): cuts `x`, `[outer, n, inner]`, into parts of the
/// given sizes. `None` skips a part.
///
/// # Panics
/// Panics if the slices do not have these shapes.
pub fn split<'a, T: Element>(
    x: &[T],
    around: (usize, usize, usize),
    parts: impl IntoIterator<Item = (Option<&'a mut [T]>, usize)>,
) {
    Extent::new("split", [around.0, around.1, around.2]).check("the input", x);
    let mut offset = 0_usize;
    for (part, size) in parts {
        if let Some(part) = part {
            slice_axis(x, around, offset, size, part);
        }
        offset = offset.saturating_add(size);
    }
    assert_eq!(offset, around.1, "split: the sizes of the parts and the size of the whole");
}

/// Runs `work(index, run)` for each run of `len` numbers; many runs are processed in parallel.
fn for_each_run<T: Element>(
    out: &mut [T],
    len: usize,
    work: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    if len == 0 {
        return;
    }
    let runs = (CHUNK / len).max(1);
    for_each_chunk(out, runs * len, |chunk, out| {
        for (i, run) in out.chunks_exact_mut(len).enumerate() {
            work(chunk * runs + i, run);
        }
    });
}

/// Asserts that a part of `size` from `start` on lies in the middle axis of `[outer, n, inner]`,
/// and checks both lengths.
fn check<T>(
    operation: &'static str,
    (part, whole): (&[T], &[T]),
    (outer, n, inner): (usize, usize, usize),
    start: usize,
    size: usize,
) {
    let inside = start.checked_add(size).is_some_and(|end| end <= n);
    assert!(inside, "{operation}: {size} numbers from {start} on do not lie in an axis of {n}");
    Extent::new(operation, [outer, size, inner]).check("the part", part);
    Extent::new(operation, [outer, n, inner]).check("the whole", whole);
}
