//! The products of the benchmarks, computed by the `gemm` crate.

use gemm::Parallelism;
use vdn_benches::products::Product;
use vdn_tensor::Element;

/// Computes `c = a b` with the `gemm` crate, on the current pool, which has `threads` threads.
pub(crate) fn gemm_crate<T: Element>(product: &mut Product<T>, threads: usize) {
    let [m, n, k] = product.shape;
    assert_eq!([product.a.len(), product.b.len(), product.c.len()], [m * k, k * n, m * n]);
    let parallelism = match threads {
        1 => Parallelism::None,
        threads => Parallelism::Rayon(threads),
    };
    // The distances between columns and between rows.
    let strides = |transposed: bool, rows: usize, columns: usize| match transposed {
        true => (rows as isize, 1),
        false => (1, columns as isize),
    };
    let (a_column, a_row) = strides(product.transposed_a, m, k);
    let (b_column, b_row) = strides(product.transposed_b, k, n);
    // SAFETY: `T` is f32 or f64, which `gemm` knows; the three buffers have the lengths that shapes
    // and strides ask for (asserted above) and do not overlap.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            product.c.as_mut_ptr(),
            1,
            n as isize,
            false,
            product.a.as_ptr(),
            a_column,
            a_row,
            product.b.as_ptr(),
            b_column,
            b_row,
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            parallelism,
        );
    }
}
