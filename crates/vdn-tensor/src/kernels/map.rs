//! The element-wise loops. Every element-wise operation of the library runs here, with or without
//! broadcasting.
//!
//! A [`Formula`] is the mathematics of one element. [`map`] applies it to whole slices, [`update`]
//! changes slices in place, and [`map_broadcast`] accepts inputs of smaller shapes. Each element is
//! computed separately, so chunks and threads cannot change a bit.

use super::broadcast::Broadcast;
use super::tree::CHUNK;
use crate::element::{Element, load_partial, store_partial};
use crate::extent::Extent;
use crate::parallel::for_each;
use crate::real::Real;
use crate::simd::{LANES, Simd};
use crate::{dispatch, with_scratch};
use std::ops::Range;

/// Two lane groups: the unrolling of the element-wise loops, which overlaps the latencies of a long
/// formula.
const PAIR: usize = 2 * LANES;

/// A formula of `IN` numbers with `OUT` results, evaluated element by element. Implementations mark
/// `apply` `#[inline(always)]`.
///
/// ```
/// use vdn_tensor::{Real, kernels::{Formula, map}};
/// struct Hypotenuse;
/// impl Formula<2, 1> for Hypotenuse {
///     #[inline(always)]
///     fn apply<R: Real>(&self, [a, b]: [R; 2]) -> [R; 1] {
///         [(a * a + b * b).sqrt()]
///     }
/// }
/// let mut c = [0.0_f32; 3];
/// map(&Hypotenuse, [&[3.0, 5.0, 8.0], &[4.0, 12.0, 15.0]], [&mut c]);
/// assert_eq!(c, [5.0, 13.0, 17.0]);
/// ```
pub trait Formula<const IN: usize, const OUT: usize>: Sync {
    /// Returns the results at one element, or at sixteen elements on lanes.
    fn apply<R: Real>(&self, x: [R; IN]) -> [R; OUT];
}

/// A formula that changes `TARGETS` numbers in place and reads `IN` further numbers.
/// Implementations mark `apply` `#[inline(always)]`.
pub trait Update<const TARGETS: usize, const IN: usize>: Sync {
    /// Returns the new values of the targets at one element, or at sixteen elements on lanes.
    fn apply<R: Real>(&self, targets: [R; TARGETS], x: [R; IN]) -> [R; TARGETS];
}

/// Computes `outputs = f(inputs)`, element by element, in parallel. Nothing is allocated.
///
/// # Panics
/// Panics if the slices differ in length.
pub fn map<T: Element, const IN: usize, const OUT: usize>(
    f: &impl Formula<IN, OUT>,
    inputs: [&[T]; IN],
    outputs: [&mut [T]; OUT],
) {
    let extent = common("map", &inputs, &outputs);
    for_each_chunk(&extent, inputs, outputs, &|x, y| map_on_level(f, x, y));
}

/// Computes `targets = f(targets, inputs)`, element by element, in parallel. Nothing is allocated.
///
/// ```
/// use vdn_tensor::{Real, kernels::{Update, update}};
/// /// An exponential moving average.
/// struct Average { decay: f64 }
/// impl Update<1, 1> for Average {
///     #[inline(always)]
///     fn apply<R: Real>(&self, [old]: [R; 1], [new]: [R; 1]) -> [R; 1] {
///         [new + old.lit(self.decay) * (old - new)]
///     }
/// }
/// let mut average = [1.0_f64, 2.0];
/// update(&Average { decay: 0.5 }, [&mut average], [&[3.0, 2.0]]);
/// assert_eq!(average, [2.0, 2.0]);
/// ```
///
/// # Panics
/// Panics if the slices differ in length.
pub fn update<T: Element, const TARGETS: usize, const IN: usize>(
    f: &impl Update<TARGETS, IN>,
    targets: [&mut [T]; TARGETS],
    inputs: [&[T]; IN],
) {
    let extent = common("update", &inputs, &targets);
    for_each_chunk(&extent, inputs, targets, &|x, y| {
        dispatch!(for T, simd => update_chunk(simd, f, y, x));
    });
}

/// The number of elements for which broadcast inputs are expanded at a time. With the outputs they
/// stay in the first-level cache.
const STAGE: usize = 1024;

/// Does what [`map`] does for inputs that broadcast. Input `i` has the shape for which `plan` was
/// made. Nothing is allocated.
///
/// Inputs that have to be repeated are expanded in working memory, block by block. The others are
/// read in place.
///
/// ```
/// use vdn_tensor::{Real, Shape, kernels::{Broadcast, Formula, map_broadcast}};
/// struct Add;
/// impl Formula<2, 1> for Add {
///     #[inline(always)]
///     fn apply<R: Real>(&self, [a, b]: [R; 2]) -> [R; 1] {
///         [a + b]
///     }
/// }
/// let plan = Broadcast::new("add", [&Shape::from([2, 3]), &Shape::from([3])])?;
/// let mut sum = [0.0_f32; 6];
/// map_broadcast(&Add, &plan, [&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &[10.0, 20.0, 30.0]], [&mut sum]);
/// assert_eq!(sum, [10.0, 21.0, 32.0, 13.0, 24.0, 35.0]);
/// # Ok::<(), vdn_tensor::ShapeError>(())
/// ```
///
/// # Panics
/// Panics if a slice does not have the length of its shape in the plan.
pub fn map_broadcast<T: Element, const IN: usize, const OUT: usize>(
    f: &impl Formula<IN, OUT>,
    plan: &Broadcast<IN>,
    inputs: [&[T]; IN],
    outputs: [&mut [T]; OUT],
) {
    plan.check(inputs.map(<[T]>::len));
    let extent = Extent::new("map_broadcast", [plan.shape().numel()]);
    outputs.iter().for_each(|y| extent.check("an output", y));
    if (0..IN).all(|i| plan.is_whole(i)) {
        return map(f, inputs, outputs);
    }
    for_each_block(&extent, plan, inputs, outputs, &|x, y| map_on_level(f, x, y));
}

/// Computes `y = x`.
///
/// # Panics
/// Panics if the slices differ in length.
pub fn copy<T: Element>(x: &[T], y: &mut [T]) {
    Extent::new("copy", [x.len()]).check("the output", y);
    crate::parallel::for_each_chunk(y, CHUNK, |i, y| y.copy_from_slice(&x[i * CHUNK..][..y.len()]));
}

/// Computes `y += x`.
///
/// # Panics
/// Panics if the slices differ in length.
pub fn add_assign<T: Element>(y: &mut [T], x: &[T]) {
    T::accumulate(y, x)
}

/// The body of [`add_assign`].
pub(crate) fn add_assign_body<T: Element>(y: &mut [T], x: &[T]) {
    update(&Accumulate, [y], [x]);
}

/// Computes `y += factor * x`.
///
/// # Panics
/// Panics if the slices differ in length.
pub fn axpy<T: Element>(factor: T, x: &[T], y: &mut [T]) {
    T::axpy(factor, x, y)
}

/// The body of [`axpy`].
pub(crate) fn axpy_body<T: Element>(factor: T, x: &[T], y: &mut [T]) {
    update(&Axpy(factor.to_f64()), [y], [x]);
}

/// Computes `y = factor * x`.
///
/// # Panics
/// Panics if the slices differ in length.
pub fn scale<T: Element>(factor: T, x: &[T], y: &mut [T]) {
    T::scale(factor, x, y)
}

/// The body of [`scale`].
pub(crate) fn scale_body<T: Element>(factor: T, x: &[T], y: &mut [T]) {
    map(&Scale(factor.to_f64()), [x], [y]);
}

/// Computes `y *= factor`.
pub fn scale_assign<T: Element>(y: &mut [T], factor: T) {
    T::scale_assign(y, factor)
}

/// The body of [`scale_assign`].
pub(crate) fn scale_assign_body<T: Element>(y: &mut [T], factor: T) {
    update(&Scale(factor.to_f64()), [y], []);
}

struct Accumulate;
impl Update<1, 1> for Accumulate {
    #[inline(always)]
    fn apply<R: Real>(&self, [y]: [R; 1], [x]: [R; 1]) -> [R; 1] {
        [y + x]
    }
}

struct Axpy(f64);
impl Update<1, 1> for Axpy {
    #[inline(always)]
    fn apply<R: Real>(&self, [y]: [R; 1], [x]: [R; 1]) -> [R; 1] {
        [x.mul_add(x.lit(self.0), y)]
    }
}

/// Multiplication by a constant.
pub(super) struct Scale(pub(super) f64);
impl Formula<1, 1> for Scale {
    #[inline(always)]
    fn apply<R: Real>(&self, [x]: [R; 1]) -> [R; 1] {
        [x * x.lit(self.0)]
    }
}
impl Update<1, 0> for Scale {
    #[inline(always)]
    fn apply<R: Real>(&self, [y]: [R; 1], _: [R; 0]) -> [R; 1] {
        [y * y.lit(self.0)]
    }
}

// The code that does not depend on the formula is compiled for each number of inputs and outputs,
// not for each formula.

/// Returns the extent that all slices share.
fn common<T>(operation: &'static str, inputs: &[&[T]], outputs: &[&mut [T]]) -> Extent<1> {
    let first = outputs.first().map(|x| x.len()).or(inputs.first().map(|x| x.len()));
    let extent = Extent::new(operation, [first.unwrap_or(0)]);
    inputs.iter().for_each(|x| extent.check("an input", x));
    outputs.iter().for_each(|x| extent.check("an output", x));
    extent
}

/// The inputs and the outputs of one task.
type Work<'w, T, const IN: usize, const OUT: usize> =
    &'w (dyn Fn([&[T]; IN], [&mut [T]; OUT]) + Sync);

/// Runs `work(inputs, outputs)` for the parts of [`CHUNK`] elements of the slices, in parallel.
fn for_each_chunk<T: Element, const IN: usize, const OUT: usize>(
    extent: &Extent<1>,
    inputs: [&[T]; IN],
    outputs: [&mut [T]; OUT],
    work: Work<'_, T, IN, OUT>,
) {
    let len = extent.len();
    let outputs = outputs.map(|y| extent.share("an output", y));
    for_each(len.div_ceil(CHUNK), |chunk| {
        let range = chunk * CHUNK..len.min((chunk + 1) * CHUNK);
        // SAFETY: the ranges of different chunks do not overlap, and the outputs are different
        // slices.
        let y = outputs.each_ref().map(|y| unsafe { y.part(range.clone()) });
        in_pairs(inputs.map(|x| &x[range.clone()]), y, work);
    });
}

/// Does what [`for_each_chunk`] does in blocks, with broadcast inputs expanded to full length.
fn for_each_block<T: Element, const IN: usize, const OUT: usize>(
    extent: &Extent<1>,
    plan: &Broadcast<IN>,
    inputs: [&[T]; IN],
    outputs: [&mut [T]; OUT],
    work: Work<'_, T, IN, OUT>,
) {
    let len = extent.len();
    let outputs = outputs.map(|y| extent.share("an output", y));
    for_each(len.div_ceil(CHUNK), |chunk| {
        with_scratch(IN * STAGE, |stage: &mut [T]| {
            let end = len.min((chunk + 1) * CHUNK);
            for start in (chunk * CHUNK..end).step_by(STAGE) {
                let range = start..end.min(start + STAGE);
                for (i, stage) in stage.chunks_exact_mut(STAGE).enumerate() {
                    // A single number fills the stage once per task.
                    let fresh = !plan.is_single(i) || start == chunk * CHUNK;
                    if !plan.is_whole(i) && fresh {
                        plan.copy(i, inputs[i], start, &mut stage[..range.len()]);
                    }
                }
                let x = std::array::from_fn(|i| match plan.is_whole(i) {
                    true => &inputs[i][range.clone()],
                    false => &stage[i * STAGE..][..range.len()],
                });
                // SAFETY: the ranges of different chunks and blocks do not overlap; the outputs are
                // different slices.
                let y = outputs.each_ref().map(|y| unsafe { y.part(range.clone()) });
                in_pairs(x, y, work);
            }
        });
    });
}

/// Runs `work` on slices of any length as on multiples of [`PAIR`]. The remainder at the end is
/// processed in a copy that is padded with zeros. The formula is therefore compiled once, in a
/// loop, and not a second time for the end: formulas are long, and there are many.
#[inline]
fn in_pairs<T: Element, const IN: usize, const OUT: usize>(
    x: [&[T]; IN],
    y: [&mut [T]; OUT],
    work: Work<'_, T, IN, OUT>,
) {
    match length(&y) % PAIR {
        0 => work(x, y),
        rest => with_rest(x, y, rest, work),
    }
}

/// Does what [`in_pairs`] does if `rest` elements remain at the end.
fn with_rest<T: Element, const IN: usize, const OUT: usize>(
    x: [&[T]; IN],
    mut y: [&mut [T]; OUT],
    rest: usize,
    work: Work<'_, T, IN, OUT>,
) {
    let whole = length(&y) - rest;
    let (mut last_x, mut last_y) = ([[T::ZERO; PAIR]; IN], [[T::ZERO; PAIR]; OUT]);
    last_x.iter_mut().zip(&x).for_each(|(last, x)| last[..rest].copy_from_slice(&x[whole..]));
    last_y.iter_mut().zip(&y).for_each(|(last, y)| last[..rest].copy_from_slice(&y[whole..]));
    work(last_x.each_ref().map(|x| &x[..]), last_y.each_mut().map(|y| &mut y[..]));
    y.iter_mut().zip(&last_y).for_each(|(y, last)| y[whole..].copy_from_slice(&last[..rest]));
    if whole > 0 {
        work(x.map(|x| &x[..whole]), y.map(|y| &mut y[..whole]));
    }
}

/// Computes `outputs = f(inputs)` on the SIMD level in use, for slices whose common length is a
/// multiple of [`PAIR`].
///
/// The function is not inlined, because [`map`] and [`map_broadcast`] both end here: each formula
/// is compiled once per level instead of twice.
#[inline(never)]
fn map_on_level<T: Element, const IN: usize, const OUT: usize>(
    f: &impl Formula<IN, OUT>,
    x: [&[T]; IN],
    y: [&mut [T]; OUT],
) {
    dispatch!(for T, simd => map_chunk(simd, f, x, y));
}

/// The loop of [`map_on_level`].
#[inline(always)]
fn map_chunk<S: Simd, T: Element, const IN: usize, const OUT: usize>(
    simd: S,
    f: &impl Formula<IN, OUT>,
    x: [&[T]; IN],
    mut y: [&mut [T]; OUT],
) {
    let mut at = 0;
    while at < length(&y) {
        let (one, two) = (at..at + LANES, at + LANES..at + PAIR);
        let first = f.apply(load(simd, &x, &one));
        if const { side_by_side::<T>() } {
            let second = f.apply(load(simd, &x, &two));
            store::<S, T, OUT>(first, &mut y, &one);
            store::<S, T, OUT>(second, &mut y, &two);
            at += PAIR;
        } else {
            store::<S, T, OUT>(first, &mut y, &one);
            at += LANES;
        }
    }
}

/// Computes `targets = f(targets, inputs)` for slices whose common length is a multiple of
/// [`PAIR`].
#[inline(always)]
fn update_chunk<S: Simd, T: Element, const TARGETS: usize, const IN: usize>(
    simd: S,
    f: &impl Update<TARGETS, IN>,
    mut y: [&mut [T]; TARGETS],
    x: [&[T]; IN],
) {
    let mut at = 0;
    while at < length(&y) {
        let (one, two) = (at..at + LANES, at + LANES..at + PAIR);
        let first = f.apply(reload(simd, &y, &one), load(simd, &x, &one));
        if const { side_by_side::<T>() } {
            let second = f.apply(reload(simd, &y, &two), load(simd, &x, &two));
            store::<S, T, TARGETS>(first, &mut y, &one);
            store::<S, T, TARGETS>(second, &mut y, &two);
            at += PAIR;
        } else {
            store::<S, T, TARGETS>(first, &mut y, &one);
            at += LANES;
        }
    }
}

/// Returns whether two lane groups are processed side by side. For `f64` it is one at a time: `f64`
/// serves for checks, and sixteen numbers are several vectors, whose latencies overlap already.
const fn side_by_side<T: Element>() -> bool {
    T::EVERY_LEVEL
}

/// Returns the common length of all slices.
#[inline(always)]
fn length<T, const N: usize>(y: &[&mut [T]; N]) -> usize {
    match y.first() {
        Some(y) => y.len(),
        None => 0,
    }
}

// These loops use references, not `array::map` or iterators of lanes by value, because those
// functions of the standard library are not `#[inline(always)]`.

#[inline(always)]
fn load<S: Simd, T: Element, const N: usize>(
    simd: S,
    x: &[&[T]; N],
    at: &Range<usize>,
) -> [T::Lanes<S>; N] {
    let mut lanes = [T::splat(simd, T::ZERO); N];
    for (lanes, x) in lanes.iter_mut().zip(x) {
        *lanes = load_partial(simd, &x[at.clone()], T::ZERO);
    }
    lanes
}

#[inline(always)]
fn reload<S: Simd, T: Element, const N: usize>(
    simd: S,
    x: &[&mut [T]; N],
    at: &Range<usize>,
) -> [T::Lanes<S>; N] {
    let mut lanes = [T::splat(simd, T::ZERO); N];
    for (lanes, x) in lanes.iter_mut().zip(x) {
        *lanes = load_partial(simd, &x[at.clone()], T::ZERO);
    }
    lanes
}

#[inline(always)]
fn store<S: Simd, T: Element, const N: usize>(
    lanes: [T::Lanes<S>; N],
    y: &mut [&mut [T]; N],
    at: &Range<usize>,
) {
    for (y, &lanes) in y.iter_mut().zip(&lanes) {
        store_partial(lanes, &mut y[at.clone()]);
    }
}
