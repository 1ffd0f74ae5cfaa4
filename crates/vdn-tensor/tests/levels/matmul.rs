//! The matrix product against a naive double-precision oracle and against its own definition, bit
//! by bit: shapes, transposes, epilogues, levels, threads, special values.

use crate::turn;
use vdn_tensor::Element;
use vdn_tensor::kernels::{Epilogue, Operand, matmul};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_tensor::simd::{Level, available, set_level};

/// `[m, n, k]`: empty ones, odd ones, sizes around every tile and panel, several blocks of each
/// dimension.
const SHAPES: [[usize; 3]; 26] = [
    [0, 5, 3],
    [5, 0, 3],
    [4, 6, 0],
    [1, 1, 1],
    [1, 200, 40],
    [1, 65, 1000],
    [2, 3, 5],
    [3, 15, 8],
    [4, 16, 4],
    [5, 31, 9],
    [6, 16, 7],
    [7, 17, 33],
    [8, 48, 3],
    [9, 33, 383],
    [12, 49, 384],
    [13, 48, 64],
    [17, 100, 385],
    [64, 1, 100],
    [65, 130, 3],
    [97, 95, 401],
    [33, 300, 800],
    [200, 64, 385],
    // More than one task for two threads, whole and partial panels.
    [67, 97, 131],
    [128, 192, 96],
    // A in panels, more than one block of rows (`f32`: 256 of 384; `f64`: 256 of 192).
    [263, 209, 384],
    // A in panels with several blocks of the inner dimension.
    [40, 250, 769],
];

const TRANSPOSES: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

fn numbers<T: Element>(stream: u32, len: usize) -> Vec<T> {
    let mut x = vec![T::ZERO; len];
    NoiseKey::new(5, stream, 0).fill_normal(0, &mut x);
    x
}

/// `x` `[rows, columns]`, stored by columns if `transposed`.
fn stored<T: Element>(x: &[T], rows: usize, columns: usize, transposed: bool) -> Vec<T> {
    if !transposed {
        return x.to_vec();
    }
    (0..rows * columns).map(|i| x[i % rows * columns + i / rows]).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    Overwrite,
    Accumulate,
    Bias,
}
const AFTER: [After; 3] = [After::Overwrite, After::Accumulate, After::Bias];

/// The factors row by row, and what the epilogues add.
struct Problem<T> {
    shape: [usize; 3],
    a: Vec<T>,
    b: Vec<T>,
    bias: Vec<T>,
    before: Vec<T>,
}

impl<T: Element> Problem<T> {
    fn new([m, n, k]: [usize; 3]) -> Self {
        let (a, b) = (numbers(0, m * k), numbers(1, k * n));
        Self { shape: [m, n, k], a, b, bias: numbers(2, n), before: numbers(3, m * n) }
    }

    fn solve(&self, transposed: [bool; 2], after: After) -> Vec<T> {
        let [m, n, k] = self.shape;
        let a = stored(&self.a, m, k, transposed[0]);
        let b = stored(&self.b, k, n, transposed[1]);
        let (mut c, epilogue) = match after {
            // The old contents have no effect, not even as NaN.
            After::Overwrite => (vec![T::from_f64(f64::NAN); m * n], Epilogue::None),
            After::Accumulate => (self.before.clone(), Epilogue::Accumulate),
            After::Bias => (vec![T::from_f64(f64::NAN); m * n], Epilogue::Bias(&self.bias)),
        };
        let a = Operand { data: &a, transposed: transposed[0] };
        let b = Operand { data: &b, transposed: transposed[1] };
        matmul(m, n, k, a, b, &mut c, epilogue);
        c
    }

    /// What the epilogue adds to element `i`.
    fn added(&self, after: After, i: usize) -> T {
        match after {
            After::Overwrite => T::ZERO,
            After::Accumulate => self.before[i],
            After::Bias => self.bias[i % self.shape[1]],
        }
    }

    /// The sums of products and of their magnitudes.
    fn oracle(&self) -> Vec<[f64; 2]> {
        let [m, n, k] = self.shape;
        let mut sums = vec![[0.0; 2]; m * n];
        for row in 0..m {
            for p in 0..k {
                let a = self.a[row * k + p].to_f64();
                for (column, [sum, size]) in sums[row * n..][..n].iter_mut().enumerate() {
                    let product = a * self.b[p * n + column].to_f64();
                    *sum += product;
                    *size += product.abs();
                }
            }
        }
        sums
    }

    fn check(&self, level: Level, oracle: &[[f64; 2]], failures: &mut Vec<String>) {
        let Self { shape, .. } = self;
        for transposed in TRANSPOSES {
            for after in AFTER {
                let c = self.solve(transposed, after);
                for (i, (got, [sum, size])) in c.iter().zip(oracle).enumerate() {
                    let added = self.added(after, i).to_f64();
                    // A product is rounded once (without fused multiply-add). It then passes
                    // through at most k additions in its block, k of blocks (fewer than k + 1
                    // together) and one of the epilogue. These are k + 3 roundings, each of at most
                    // half an epsilon of the sum of magnitudes. The oracle has as many in f64.
                    // Second-order terms are far below the factor of two that is left for f32.
                    let own = (shape[2] + 3) as f64 / 2.0;
                    let bound = own * (T::EPSILON.to_f64() + f64::EPSILON) * (size + added.abs());
                    if !((got.to_f64() - (sum + added)).abs() <= bound * 1.01) {
                        failures.push(format!(
                            "{level} {} {shape:?} {transposed:?} {after:?} [{i}]: {got}, not {}",
                            T::NAME,
                            sum + added
                        ));
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn every_level_against_the_oracle() {
    let _turn = turn();
    let mut failures = Vec::new();
    for shape in SHAPES {
        let (single, double) = (Problem::<f32>::new(shape), Problem::<f64>::new(shape));
        let (of_single, of_double) = (single.oracle(), double.oracle());
        for level in available() {
            set_level(level).unwrap();
            single.check(level, &of_single, &mut failures);
            double.check(level, &of_double, &mut failures);
        }
    }
    println!("levels: {:?}", available());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// A number type with the rounding of the product's chains.
trait Chain: Element {
    /// `x * y + z` as tiles on `level` compute it.
    fn link(level: Level, x: Self, y: Self, z: Self) -> Self;
    fn bits(self) -> u64;
}

fn fuses(level: Level) -> bool {
    level != Level::Portable || cfg!(any(target_feature = "fma", target_arch = "aarch64"))
}

impl Chain for f32 {
    fn link(level: Level, x: f32, y: f32, z: f32) -> f32 {
        if fuses(level) { x.mul_add(y, z) } else { x * y + z }
    }
    fn bits(self) -> u64 {
        self.to_bits().into()
    }
}

impl Chain for f64 {
    fn link(level: Level, x: f64, y: f64, z: f64) -> f64 {
        if fuses(level) { x.mul_add(y, z) } else { x * y + z }
    }
    fn bits(self) -> u64 {
        self.to_bits()
    }
}

/// The definition of the result. The inner dimension is cut into blocks of equal length, rounded up
/// to a multiple of four and at most 1536 bytes. Within a block there is one chain from 0. Blocks,
/// the old contents and the bias are added in this order.
fn defined<T: Chain>(problem: &Problem<T>, level: Level, after: After) -> Vec<T> {
    let [m, n, k] = problem.shape;
    let blocks = k.div_ceil(1536 / size_of::<T>());
    let len = k.div_ceil(blocks).next_multiple_of(4);
    let element = |i: usize| {
        let (row, column) = (i / n, i % n);
        let mut total = (after == After::Accumulate).then(|| problem.before[i]);
        for start in (0..k).step_by(len) {
            let block = (start..k.min(start + len)).fold(T::ZERO, |sum, p| {
                T::link(level, problem.a[row * k + p], problem.b[p * n + column], sum)
            });
            total = Some(total.map_or(block, |total| block + total));
        }
        let total = total.unwrap_or(T::ZERO);
        if after == After::Bias { total + problem.bias[column] } else { total }
    };
    (0..m * n).map(element).collect()
}

fn check_bits<T: Chain>(shape: [usize; 3], pools: &[(usize, Pool)], failures: &mut Vec<String>) {
    let problem = Problem::<T>::new(shape);
    for level in available() {
        set_level(level).unwrap();
        for after in AFTER {
            let want = defined(&problem, level, after);
            for transposed in TRANSPOSES {
                for (threads, pool) in pools {
                    let got = pool.run(|| problem.solve(transposed, after));
                    let differs = |(got, want): (&T, &T)| got.bits() != want.bits();
                    if let Some(i) = got.iter().zip(&want).position(differs) {
                        failures.push(format!(
                            "{level} {} {shape:?} {transposed:?} {after:?}, {threads} threads [{i}]: {} not {}",
                            T::NAME,
                            got[i],
                            want[i]
                        ));
                    }
                }
            }
        }
    }
}

/// The bits equal those of the definition, which mentions neither threads nor tiles. They are
/// therefore the same for any number of threads, and on all levels with fused multiply-add,
/// including levels that this machine does not have.
#[test]
fn the_bits_are_those_of_the_definition_on_any_number_of_threads() {
    let _turn = turn();
    let mut failures = Vec::new();
    let pools = [1, 2, 8].map(|threads| (threads, Pool::new(threads).unwrap()));
    // The larger ones are cut into tasks: along the rows, along the columns, along both. Tasks
    // above each other share the panels of B: one or several chunks of columns and blocks of the
    // inner dimension.
    let shapes = [
        [1, 33, 800],
        [7, 50, 390],
        [67, 97, 131],
        [300, 40, 100],
        [6, 1000, 400],
        [128, 192, 50],
        [150, 300, 400],
        [90, 1600, 60],
    ];
    for shape in shapes {
        check_bits::<f32>(shape, &pools, &mut failures);
        check_bits::<f64>(shape, &pools, &mut failures);
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// NaN and infinity reach all of their row or column, also by way of zeros, and nothing else:
/// positions beyond the edges of panels do not leak.
#[test]
fn special_values_reach_exactly_their_row_and_column() {
    let _turn = turn();
    let mut failures = Vec::new();
    for shape in [[9, 40, 50], [7, 17, 33], [13, 209, 9], [100, 97, 8]] {
        let [m, n, k] = shape;
        for special in [f32::NAN, f32::INFINITY] {
            let mut problem = Problem::<f32>::new(shape);
            // The last row and column lie at the edge; the factors that they meet are 0.
            let (row, column) = (m - 1, n - 1);
            problem.a[row * k + k - 1] = special;
            problem.b[column] = special;
            (0..n).for_each(|j| problem.b[(k - 1) * n + j] = 0.0);
            (0..m).for_each(|i| problem.a[i * k] = 0.0);
            for level in available() {
                set_level(level).unwrap();
                for transposed in TRANSPOSES {
                    let c = problem.solve(transposed, After::Overwrite);
                    let wrong = |&i: &usize| c[i].is_nan() != (i / n == row || i % n == column);
                    if let Some(i) = (0..m * n).find(wrong) {
                        failures.push(format!(
                            "{level} {shape:?} {transposed:?} {special}: [{}, {}] is {}",
                            i / n,
                            i % n,
                            c[i]
                        ));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
#[should_panic(expected = "matmul: b has 5 numbers, not those of [3, 2]")]
fn a_factor_of_the_wrong_length_is_refused() {
    let operand = |data| Operand { data, transposed: false };
    matmul(2, 2, 3, operand(&[1.0_f32; 6]), operand(&[1.0; 5]), &mut [0.0; 4], Epilogue::None);
}

#[test]
#[should_panic(expected = "matmul: the bias has")]
fn a_bias_of_the_wrong_length_is_refused() {
    let operand = |data| Operand { data, transposed: false };
    let bias = Epilogue::Bias(&[1.0; 3]);
    matmul(2, 2, 1, operand(&[1.0_f32; 2]), operand(&[1.0; 2]), &mut [0.0; 4], bias);
}
