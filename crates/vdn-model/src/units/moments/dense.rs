//! Products of matrices in the precision of a model, and conversions to and from double precision.

use vdn_tensor::Element;
use vdn_tensor::kernels::{Epilogue, Operand, matmul};
use vdn_tensor::parallel;

/// Converts to the precision of a model.
pub fn cast<T: Element>(x: &[f64]) -> Vec<T> {
    x.iter().map(|&x| T::from_f64(x)).collect()
}

/// Converts to double precision.
pub fn wide<T: Element>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.to_f64()).collect()
}

/// Returns `A B`, `[rows, columns]`, for `a` `[rows, inner]` and `b` `[inner, columns]`.
pub fn times<T: Element>(a: &[T], b: &[T], inner: usize) -> Vec<T> {
    product(a, Operand { data: b, transposed: false }, inner)
}

/// Returns `A B^T`, `[rows, columns]`, for `a` `[rows, inner]` and `b` `[columns, inner]`.
pub fn times_transposed<T: Element>(a: &[T], b: &[T], inner: usize) -> Vec<T> {
    product(a, Operand { data: b, transposed: true }, inner)
}

fn product<T: Element>(a: &[T], b: Operand<'_, T>, inner: usize) -> Vec<T> {
    let (rows, columns) = (a.len() / inner, b.data.len() / inner);
    let mut c = vec![T::ZERO; rows * columns];
    let a = Operand { data: a, transposed: false };
    matmul(rows, columns, inner, a, b, &mut c, Epilogue::None);
    c
}

/// Returns `f(i)` for every `i` below `count`, in order. The values are computed in parallel.
pub fn in_parallel<V: Send>(count: usize, f: impl Fn(usize) -> V + Sync + Send) -> Vec<V> {
    let mut found: Vec<Option<V>> = (0..count).map(|_| None).collect();
    parallel::for_each_chunk(&mut found, 1, |i, to| to[0] = Some(f(i)));
    found.into_iter().flatten().collect()
}
