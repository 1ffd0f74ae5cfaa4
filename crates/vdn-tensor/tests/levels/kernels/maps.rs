//! Element-wise loops, broadcasting, dropout.

use crate::kernels::cases::{Report, exact, garbage, numbers, unit};
use vdn_tensor::kernels::{
    Broadcast, Formula, Update, add_assign, axpy, broadcast_copy, broadcast_shape, copy, dropout,
    map, map_broadcast, scale, scale_assign, update,
};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Real, Shape};

struct SumAndProduct;
impl Formula<2, 2> for SumAndProduct {
    #[inline(always)]
    fn apply<R: Real>(&self, [a, b]: [R; 2]) -> [R; 2] {
        [a + b, a * b]
    }
}

struct Difference;
impl Formula<2, 1> for Difference {
    #[inline(always)]
    fn apply<R: Real>(&self, [a, b]: [R; 2]) -> [R; 1] {
        [a - b]
    }
}

/// Two targets, so that a mix-up of targets and inputs shows.
struct Rotate;
impl Update<2, 1> for Rotate {
    #[inline(always)]
    fn apply<R: Real>(&self, [a, b]: [R; 2], [x]: [R; 1]) -> [R; 2] {
        [a - b * x, b + a * x]
    }
}

/// Lengths around lane groups, pairs of them, stages and parallel chunks.
const LENGTHS: [usize; 13] = [0, 1, 7, 15, 16, 17, 31, 32, 33, 1025, 16_384, 16_385, 40_001];

pub(crate) fn check<T: Element>(report: &mut Report) {
    for len in LENGTHS {
        elementwise::<T>(report, len);
        masks::<T>(report, len);
    }
    broadcasting::<T>(report);
    refusals(report);
}

fn elementwise<T: Element>(report: &mut Report, len: usize) {
    let (a, b, x) = (numbers::<T>(1, len), numbers::<T>(2, len), numbers::<T>(3, len));
    let (wa, wb, wx) = (exact(&a), exact(&b), exact(&x));
    let (mut sum, mut product) = (garbage::<T>(len), garbage::<T>(len));
    map(&SumAndProduct, [&a, &b], [&mut sum, &mut product]);
    // One rounding each.
    let want = |f: fn(f64, f64) -> f64| -> Vec<f64> {
        wa.iter().zip(&wb).map(|(&a, &b)| f(a, b)).collect()
    };
    let (sums, products) = (want(|a, b| a + b), want(|a, b| a * b));
    report.compare(&format!("map sum {len}"), &sum, &sums, |i| unit::<T>() * sums[i].abs());
    report.compare(&format!("map product {len}"), &product, &products, |i| {
        unit::<T>() * products[i].abs()
    });

    let (mut ra, mut rb) = (a.clone(), b.clone());
    update(&Rotate, [&mut ra, &mut rb], [&x]);
    // Two roundings, of the product and of the sum.
    let bound = |i: usize| 2.0 * unit::<T>() * (wa[i].abs() + wb[i].abs()) * (1.0 + wx[i].abs());
    let rotated = |f: &dyn Fn(usize) -> f64| (0..len).map(f).collect::<Vec<_>>();
    report.compare(
        &format!("update first {len}"),
        &ra,
        &rotated(&|i| wa[i] - wb[i] * wx[i]),
        bound,
    );
    report.compare(
        &format!("update second {len}"),
        &rb,
        &rotated(&|i| wb[i] + wa[i] * wx[i]),
        bound,
    );

    let mut y = a.clone();
    add_assign(&mut y, &b);
    report.expect(y == sum, || format!("add_assign {len}"));
    let mut y = garbage::<T>(len);
    copy(&a, &mut y);
    report.expect(y == a, || format!("copy {len}"));
    let mut y = a.clone();
    axpy(T::from_f64(-0.5), &b, &mut y);
    let wanted = rotated(&|i| wa[i] - 0.5 * wb[i]);
    report.compare(&format!("axpy {len}"), &y, &wanted, |i| unit::<T>() * wanted[i].abs());
    let (mut y, mut z) = (garbage::<T>(len), a.clone());
    scale(T::from_f64(-2.0), &a, &mut y);
    scale_assign(&mut z, T::from_f64(-2.0));
    report.compare(&format!("scale {len}"), &y, &rotated(&|i| -2.0 * wa[i]), |_| 0.0);
    report.expect(y == z, || format!("scale_assign {len}"));
}

fn masks<T: Element>(report: &mut Report, len: usize) {
    let (key, p) = (NoiseKey::new(5, 6, 7), 0.3);
    let x = numbers::<T>(4, len);
    let (mut uniform, mut out) = (garbage::<T>(len), garbage::<T>(len));
    key.fill_uniform(0, &mut uniform);
    dropout(&x, p, key, &mut out);
    let keep = |i: usize| uniform[i] > T::from_f64(p);
    let want: Vec<f64> =
        (0..len).map(|i| if keep(i) { x[i].to_f64() / (1.0 - p) } else { 0.0 }).collect();
    // The factor and the product round.
    report.compare(&format!("dropout {len}"), &out, &want, |i| 2.5 * unit::<T>() * want[i].abs());
    if len > 10_000 {
        // Binomial: five standard deviations.
        let kept = (0..len).filter(|&i| keep(i)).count() as f64 / len as f64;
        let deviation = (p * (1.0 - p) / len as f64).sqrt();
        report.expect((kept - (1.0 - p)).abs() < 5.0 * deviation, || {
            format!("dropout kept {kept} of {len}")
        });
    }
    dropout(&x, 0.0, key, &mut out);
    report.expect(out == x, || format!("dropout with p = 0 {len}"));
}

/// The element of `x` that broadcasting puts at flat index `e` of `to`.
fn at(from: &Shape, to: &Shape, e: usize) -> usize {
    let (mut rest, mut index, mut stride) = (e, 0, 1);
    for back in 1..=to.rank() {
        let size = to.dims()[to.rank() - back];
        let here = rest % size;
        rest /= size;
        if back <= from.rank() {
            let own = from.dims()[from.rank() - back];
            index += if own == 1 { 0 } else { here * stride };
            stride *= own;
        }
    }
    index
}

fn broadcasting<T: Element>(report: &mut Report) {
    let cases: [(&[usize], &[usize], &[usize]); 16] = [
        (&[], &[], &[]),
        (&[5], &[], &[5]),
        (&[], &[4, 1100], &[4, 1100]),
        (&[2, 3], &[3], &[2, 3]),
        (&[2, 1], &[1, 3], &[2, 3]),
        (&[7, 1], &[7, 2000], &[7, 2000]),
        (&[8, 40, 70], &[70], &[8, 40, 70]),
        (&[8, 40, 70], &[8, 1, 70], &[8, 40, 70]),
        (&[3, 1, 5, 1], &[2, 1, 4], &[3, 2, 5, 4]),
        (&[3, 1, 1, 50], &[1, 20, 30, 1], &[3, 20, 30, 50]),
        (&[2, 1, 3, 1, 2, 1], &[1, 2, 1, 2, 1, 3], &[2, 2, 3, 2, 2, 3]),
        (&[1, 1, 6], &[2, 3, 6], &[2, 3, 6]),
        (&[0, 3], &[3], &[0, 3]),
        (&[4, 0], &[4, 1], &[4, 0]),
        (&[1], &[1, 1], &[1, 1]),
        (&[20_000, 3], &[20_000, 1], &[20_000, 3]),
    ];
    for (a, b, want) in cases {
        let name = format!("broadcast {a:?} {b:?}");
        let (a, b) = (Shape::new(a).unwrap(), Shape::new(b).unwrap());
        let plan = Broadcast::new("sub", [&a, &b]).unwrap();
        let to = *plan.shape();
        report.expect(to.dims() == want, || format!("{name} gives the shape {to}"));
        report.expect(broadcast_shape("sub", &[&b, &a]).as_ref() == Ok(&to), || {
            format!("{name} swapped")
        });
        let (x, y) = (numbers::<T>(8, a.numel()), numbers::<T>(9, b.numel()));
        let mut out = garbage::<T>(to.numel());
        map_broadcast(&Difference, &plan, [&x, &y], [&mut out]);
        let wanted = |e: usize| x[at(&a, &to, e)].to_f64() - y[at(&b, &to, e)].to_f64();
        let want: Vec<f64> = (0..to.numel()).map(wanted).collect();
        report.compare(&name, &out, &want, |i| unit::<T>() * want[i].abs());
        broadcast_copy(&y, &b, &mut out, &to);
        let want: Vec<T> = (0..to.numel()).map(|e| y[at(&b, &to, e)]).collect();
        report.expect(out == want, || format!("copy, {name}"));
    }
}

fn refusals(report: &mut Report) {
    let (a, b) = (Shape::from([2, 3]), Shape::from([4, 3]));
    let message =
        Broadcast::new("add", [&a, &b]).map_err(|e| e.to_string()).err().unwrap_or_default();
    let wanted =
        "add: shapes [2, 3], [4, 3]: cannot broadcast: dimension 2 from the end has sizes 2 and 4";
    report.expect(message == wanted, || format!("refusal: {message}"));
    let wider = Broadcast::to("add", &Shape::from([1, 3]), [&a]);
    report.expect(wider.is_err(), || "[2, 3] was broadcast to [1, 3]".to_owned());
}
