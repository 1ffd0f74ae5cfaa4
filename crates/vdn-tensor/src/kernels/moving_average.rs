//! The moving average along rows with replicate padding: the trend of a series.

use super::tree::{CHUNK, for_each_group};
use crate::extent::{Extent, fits};
use crate::parallel::for_each_chunk;
use crate::simd::{LANES, Simd};
use crate::{Element, dispatch, load_partial, store_partial, with_scratch};

/// Computes the mean of the `kernel` numbers around each number: `out[r, i]` averages row `r` from
/// `i - (kernel - 1) / 2` on. Beyond its ends a row continues with its first and its last number.
/// `x` and `out` are `[rows, n]`.
///
/// Each mean is a separate sum, not a running sum, so a NaN or a large number affects only its own
/// windows.
///
/// ```
/// let mut trend = [0.0_f32; 4];
/// vdn_tensor::kernels::moving_average(&[3.0, 6.0, 9.0, 0.0], 4, 3, &mut trend);
/// assert_eq!(trend, [4.0, 6.0, 5.0, 3.0]);
/// ```
///
/// # Panics
/// Panics if `kernel` is 0, the slices differ in length, or they are not rows of `n`.
pub fn moving_average<T: Element>(x: &[T], n: usize, kernel: usize, out: &mut [T]) {
    T::moving_average(x, n, kernel, out)
}

/// The body of [`moving_average`].
pub(crate) fn moving_average_body<T: Element>(x: &[T], n: usize, kernel: usize, out: &mut [T]) {
    rows("moving_average", x, n, kernel, out, |x, out, padded| {
        let left = (kernel - 1) / 2;
        let (Some(&first), Some(&last)) = (x.first(), x.last()) else { return };
        padded[..left].fill(first);
        padded[left..left + n].copy_from_slice(x);
        padded[left + n..n + kernel - 1].fill(last);
        dispatch!(for T, simd => windows(simd, padded, kernel, out));
    });
}

/// Computes the adjoint of [`moving_average`]: `dx = A^T d_out`, where `A` is its matrix. `d_out`
/// and `dx` are `[rows, n]`.
///
/// # Panics
/// Panics as [`moving_average`] does.
pub fn moving_average_backward<T: Element>(d_out: &[T], n: usize, kernel: usize, dx: &mut [T]) {
    T::moving_average_backward(d_out, n, kernel, dx)
}

/// The body of [`moving_average_backward`].
pub(crate) fn moving_average_backward_body<T: Element>(
    d_out: &[T],
    n: usize,
    kernel: usize,
    dx: &mut [T],
) {
    rows("moving_average_backward", d_out, n, kernel, dx, |d_out, dx, padded| {
        // Number t of the padded row belongs to the windows t - kernel + 1..=t. This is again the
        // mean over a window, of the gradient with zeros around it. It is computed for the n
        // positions of the row itself; the padding follows below.
        let left = (kernel - 1) / 2;
        let right = kernel - 1 - left;
        padded[..right].fill(T::ZERO);
        padded[right..right + n].copy_from_slice(d_out);
        padded[right + n..n + kernel - 1].fill(T::ZERO);
        dispatch!(for T, simd => windows(simd, padded, kernel, dx));
        // Window i extends left - i positions before the row and right - (n - 1 - i) positions
        // after it.
        let share = T::from_f64(1.0 / kernel as f64);
        let edge = |d: &mut dyn Iterator<Item = &T>, reach: usize| {
            let weighted = d.take(reach).enumerate();
            weighted.fold(T::ZERO, |sum, (i, &d)| sum + T::from_f64((reach - i) as f64) * d) * share
        };
        dx[0] += edge(&mut d_out.iter(), left);
        dx[n - 1] += edge(&mut d_out.iter().rev(), right);
    });
}

/// Runs `row(x, out, padded)` for each row; `padded` has room for `n + kernel - 1` numbers and a
/// lane group.
fn rows<T: Element>(
    operation: &'static str,
    x: &[T],
    n: usize,
    kernel: usize,
    out: &mut [T],
    row: impl Fn(&[T], &mut [T], &mut [T]) + Sync + Send,
) {
    assert!(kernel > 0, "{operation}: the kernel is empty");
    Extent::new(operation, [x.len()]).check("the output", out);
    if x.is_empty() {
        return;
    }
    Extent::new(operation, [x.len() / n.max(1), n]).check("the input", x);
    let padded_len = n.checked_add(kernel - 1).and_then(|len| len.checked_add(LANES));
    let padded_len = padded_len.filter(|len| fits(&[*len, size_of::<T>(), 2]));
    let Some(padded_len) = padded_len else {
        panic!("{operation}: a kernel of {kernel} numbers is too large")
    };
    let rows = (CHUNK / n).max(1);
    for_each_chunk(out, rows * n, |chunk, out| {
        with_scratch(padded_len, |padded: &mut [T]| {
            for (i, out) in out.chunks_exact_mut(n).enumerate() {
                row(&x[(chunk * rows + i) * n..][..n], out, padded);
            }
        });
    });
}

/// Computes the mean of each window of `kernel` numbers of `padded`. Lanes beyond the last window
/// are computed but not stored, which is why [`rows`] provides room for another lane group.
#[inline(always)]
fn windows<S: Simd, T: Element>(simd: S, padded: &[T], kernel: usize, out: &mut [T]) {
    let share = T::splat(simd, T::from_f64(1.0 / kernel as f64));
    for_each_group(
        0..out.len(),
        #[inline(always)]
        |group| {
            let mut sums = [T::splat(simd, T::ZERO); 2];
            let first = &padded[group.start..group.start + kernel - 1 + LANES];
            let mut k = 0;
            while k + 2 <= kernel {
                sums[0] = sums[0] + load_partial(simd, &first[k..k + LANES], T::ZERO);
                sums[1] = sums[1] + load_partial(simd, &first[k + 1..k + 1 + LANES], T::ZERO);
                k += 2;
            }
            if k < kernel {
                sums[0] = sums[0] + load_partial(simd, &first[k..k + LANES], T::ZERO);
            }
            store_partial((sums[0] + sums[1]) * share, &mut out[group]);
        },
    );
}
