//! Functions and operators, element by element.

use crate::{Digest, numbers, sweep, sweep_of, zeros};
use vdn_tensor::kernels::{
    Broadcast, Formula, add_assign, axpy, dot, map, map_broadcast, reduce_to_shape, scale, sum_all,
};
use vdn_tensor::math::{ln, turn};
use vdn_tensor::simd::{LANES, Lanes, Simd};
use vdn_tensor::{Element, Real, Shape, dispatch};

/// Functions that exist on the lanes of `f32` only, over the part of the sweep that they are
/// defined on.
pub(crate) fn lane_functions(digest: &Digest) {
    #[inline(always)]
    fn evaluate<S: Simd>(simd: S, name: &str, x: &mut [f32; LANES]) {
        let lanes = simd.load(x);
        let y = match name {
            "ln_unit" => ln::ln_unit(lanes),
            "sin_turn" => turn::sin_turn(lanes),
            "cos_turn" => turn::cos_turn(lanes),
            "sin_cos_turn, sine" => turn::sin_cos_turn(lanes)[0],
            _ => turn::sin_cos_turn(lanes)[1],
        };
        y.store(x);
    }
    let infinity = f32::INFINITY;
    for (name, low, high) in [
        ("ln_unit", 1.0 / 8_589_934_592.0, 1.0),
        ("sin_turn", -infinity, infinity),
        ("cos_turn", -infinity, infinity),
        ("sin_cos_turn, sine", -0.5, 0.5),
        ("sin_cos_turn, cosine", -0.5, 0.5),
    ] {
        digest.case("function", || {
            let mut x = sweep();
            x.retain(|x| low <= *x && *x <= high || low == -infinity);
            x.truncate(x.len() / LANES * LANES);
            for x in x.as_chunks_mut::<LANES>().0 {
                dispatch!(simd => evaluate(simd, name, x));
            }
            vec![(name, x)]
        });
    }
}

/// One function of [`Real`] with some results.
macro_rules! formula {
    ($name:ident: [$($x:ident),*] -> $out:literal = $results:expr) => {
        struct $name;
        impl Formula<{ [$(stringify!($x)),*].len() }, $out> for $name {
            #[inline(always)]
            fn apply<R: Real>(&self, [$($x),*]: [R; [$(stringify!($x)),*].len()]) -> [R; $out] {
                $results
            }
        }
    };
}

fn functions<T: Element>(digest: &Digest) {
    macro_rules! functions {
        ($($name:ident)*) => {$({
            formula!(Function: [x] -> 1 = [x.$name()]);
            digest.case("function", || {
                let x = sweep_of::<T>(0);
                let mut y = zeros(x.len());
                map(&Function, [&x], [&mut y]);
                vec![(stringify!($name), y)]
            });
        })*};
    }
    functions!(exp exp_m1 ln ln_1p tanh sigmoid softplus erf sqrt abs neg);
    formula!(Excess: [x] -> 2 = x.exp_with_excess());
    digest.case("function exp_with_excess", || {
        // Its domain.
        let limit = T::from_f64(80.0);
        let x: Vec<T> =
            sweep_of::<T>(0).into_iter().filter(|x| -limit <= *x && *x <= limit).collect();
        let (mut exp, mut excess) = (zeros(x.len()), zeros(x.len()));
        map(&Excess, [&x], [&mut exp, &mut excess]);
        vec![("exp", exp), ("excess", excess)]
    });
}

formula!(Arithmetic: [x, y, z] -> 9 = [
    x + y,
    x - y,
    x * y,
    x / y,
    x.mul_add(y, z),
    x.min(y),
    x.max(y),
    R::select(x.lt(y) | x.le(z), y, z),
    x.clamp(x.lit(-1.5), x.lit(1e30)),
]);
formula!(Mixed: [x, y, z] -> 1 = [(x * y + z) / (y * y + y.lit(0.5))]);

pub(crate) fn lines<T: Element>(digest: &Digest) {
    functions::<T>(digest);
    digest.case("arithmetic", || {
        let x = [sweep_of::<T>(0), sweep_of(123_457), sweep_of(765_431)];
        let mut y = [(); 9].map(|()| zeros::<T>(x[0].len()));
        map(&Arithmetic, x.each_ref().map(|x| &x[..]), y.each_mut().map(|y| &mut y[..]));
        let names = ["+", "-", "*", "/", "mul_add", "min", "max", "select", "clamp"];
        names.into_iter().zip(y).collect()
    });
    digest.case("broadcast", || {
        let shapes = [[5, 7, 33], [1, 7, 1], [1, 1, 33]].map(Shape::from);
        let plan = Broadcast::new("digest", shapes.each_ref()).expect("the shapes fit");
        let x = [1, 2, 3].map(|i| numbers::<T>(i, shapes[i as usize - 1].numel()));
        let mut y = zeros(x[0].len());
        map_broadcast(&Mixed, &plan, x.each_ref().map(|x| &x[..]), [&mut y]);
        let mut back = zeros(7);
        reduce_to_shape(&y, &shapes[0], &mut back, &shapes[1]);
        vec![("forward", y), ("reduced to shape", back)]
    });
    digest.case("vectors of 1000", || {
        let (x, mut y) = (numbers::<T>(4, 1000), numbers::<T>(5, 1000));
        axpy(T::from_f64(0.3), &x, &mut y);
        let mut scaled = zeros(1000);
        scale(T::from_f64(-1.7), &y, &mut scaled);
        add_assign(&mut scaled, &x);
        let sums = vec![dot(&x, &y), sum_all(&y)];
        vec![("axpy", y), ("scale, add_assign", scaled), ("dot, sum_all", sums)]
    });
}
