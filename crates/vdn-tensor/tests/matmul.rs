//! The matrix product against a naive double-precision oracle: shapes, transposes, epilogues, levels, threads.

use vdn_tensor::Element;
use vdn_tensor::kernels::{Epilogue, Operand, matmul};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::parallel::Pool;
use vdn_tensor::simd::{Level, available, set_level};

/// Odd sizes, sizes below and above every tile, several blocks of `k`, empty ones.
const SHAPES: [[usize; 3]; 14] = [
    [1, 1, 1],
    [2, 3, 5],
    [6, 16, 7],
    [7, 17, 33],
    [13, 48, 64],
    [64, 1, 100],
    [1, 200, 40],
    [65, 130, 3],
    [97, 95, 401],
    [33, 300, 800],
    [200, 64, 385],
    [0, 5, 3],
    [5, 0, 3],
    [4, 6, 0],
];

fn numbers<T: Element>(stream: u32, len: usize) -> Vec<T> {
    let mut x = vec![T::ZERO; len];
    NoiseKey::new(5, stream, 0).fill_normal(0, &mut x);
    x
}

struct Problem<T> {
    shape: [usize; 3],
    transposed: [bool; 2],
    a: Vec<T>,
    b: Vec<T>,
    bias: Vec<T>,
    before: Vec<T>,
}

impl<T: Element> Problem<T> {
    fn new(shape: [usize; 3], transposed: [bool; 2]) -> Self {
        let [m, n, k] = shape;
        let (a, b) = (numbers(0, m * k), numbers(1, k * n));
        Self { shape, transposed, a, b, bias: numbers(2, n), before: numbers(3, m * n) }
    }

    fn solve(&self, epilogue: usize) -> Vec<T> {
        let [m, n, k] = self.shape;
        let [a, b] = [(&self.a, self.transposed[0]), (&self.b, self.transposed[1])]
            .map(|(data, transposed)| Operand { data, transposed });
        let mut c = self.before.clone();
        let epilogue = [Epilogue::None, Epilogue::Accumulate, Epilogue::Bias(&self.bias)][epilogue];
        matmul(m, n, k, a, b, &mut c, epilogue);
        c
    }

    /// The exact sum, and the sum of magnitudes that its error is a share of.
    fn oracle(&self, epilogue: usize, row: usize, column: usize) -> [f64; 2] {
        let [m, n, k] = self.shape;
        let start = match epilogue {
            0 => 0.0,
            1 => self.before[row * n + column].to_f64(),
            _ => self.bias[column].to_f64(),
        };
        (0..k).fold([start, start.abs()], |[sum, size], p| {
            let a = if self.transposed[0] { self.a[p * m + row] } else { self.a[row * k + p] };
            let b =
                if self.transposed[1] { self.b[column * k + p] } else { self.b[p * n + column] };
            let product = a.to_f64() * b.to_f64();
            [sum + product, size + product.abs()]
        })
    }

    fn check(&self, level: Level, failures: &mut Vec<String>) {
        let [_, n, k] = self.shape;
        for epilogue in 0..3 {
            for (i, got) in self.solve(epilogue).into_iter().enumerate() {
                let [want, size] = self.oracle(epilogue, i / n, i % n);
                // A chain of k + 1 roundings, each of at most half an epsilon of the sum of magnitudes; the oracle's own
                // are as many again in f64.
                let bound = (k + 2) as f64 * T::EPSILON.to_f64() * size;
                if !((got.to_f64() - want).abs() <= bound) {
                    let Self { shape, transposed, .. } = self;
                    failures.push(format!(
                        "{level} {} {shape:?} {transposed:?} epilogue {epilogue} [{i}]: {got} instead of {want}",
                        T::NAME
                    ));
                    break;
                }
            }
        }
    }
}

const TRANSPOSES: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

#[test]
fn every_level_against_the_oracle_and_itself_on_more_threads() {
    let mut failures = Vec::new();
    for shape in SHAPES {
        for transposed in TRANSPOSES {
            let (single, double) =
                (Problem::<f32>::new(shape, transposed), Problem::<f64>::new(shape, transposed));
            let mut fused: Vec<Vec<f32>> = Vec::new();
            for level in available() {
                set_level(level).unwrap();
                single.check(level, &mut failures);
                double.check(level, &mut failures);
                let one = Pool::new(1).unwrap().run(|| single.solve(2));
                for threads in [2, 8] {
                    let more = Pool::new(threads).unwrap().run(|| single.solve(2));
                    if one.iter().map(|x| x.to_bits()).ne(more.iter().map(|x| x.to_bits())) {
                        failures.push(format!(
                            "{level} {shape:?} {transposed:?}: {threads} threads differ"
                        ));
                    }
                }
                if level != Level::Portable {
                    fused.push(one);
                }
            }
            if fused.windows(2).any(|w| w[0] != w[1]) {
                failures.push(format!("{shape:?} {transposed:?}: AVX2 and AVX-512 differ"));
            }
        }
    }
    println!("levels: {:?}", available());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_nan_reaches_exactly_its_row() {
    let mut problem = Problem::<f32>::new([9, 40, 50], [false, false]);
    problem.a[4 * 50 + 49] = f32::NAN;
    let c = problem.solve(0);
    for (i, x) in c.iter().enumerate() {
        assert_eq!(x.is_nan(), i / 40 == 4, "row {} column {}", i / 40, i % 40);
    }
}
