//! The speed of the matrix product as a multiple of the speed of the `gemm` crate.
//!
//! On a shared machine two consecutive measurements are not comparable. Here short bursts of both
//! products alternate. The ratio is that of their best bursts; the number in parentheses is the
//! median over neighbouring bursts.
//!
//! Run with `cargo run --release -p vdn-benches --example matmul_ratio`. A number after `--`
//! replaces the 101 pairs of bursts; a word selects the products whose name contains it.

#[path = "../benches/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};
use vdn_benches::THREADS;
use vdn_benches::products::{
    FORMS, Product, SHAPES, linear_layers, reference_shape, step_products,
};
use vdn_tensor::Element;
use vdn_tensor::parallel::Pool;

/// The shortest duration of a burst.
const BURST: Duration = Duration::from_millis(1);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let pairs = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(101);
    let word = arguments.iter().find(|a| a.parse::<usize>().is_err());
    let wanted = |name: &str| word.is_none_or(|word| name.contains(word.as_str()));
    println!("| m x k x n, form | 1 thread: GFLOP/s, ratio | 2 threads: GFLOP/s, ratio |");
    println!("|---|---|---|");
    for shape in SHAPES {
        for [a, b] in FORMS {
            row(Product::<f32>::new(shape, a, b), "", pairs, &wanted);
        }
    }
    let mut seen = Vec::new();
    for product in step_products(&linear_layers(&reference_shape(), 256)) {
        if !seen.contains(&product.name()) {
            seen.push(product.name());
            row(product, " (step)", pairs, &wanted);
        }
    }
    for [a, b] in FORMS {
        row(Product::<f64>::new(SHAPES[0], a, b), " (f64)", pairs, &wanted);
    }
}

fn row<T: Element>(
    mut product: Product<T>,
    note: &str,
    pairs: usize,
    wanted: &impl Fn(&str) -> bool,
) {
    let name = product.name() + note;
    if !wanted(&name) {
        return;
    }
    print!("| {name} |");
    for threads in THREADS {
        let pool = Pool::new(threads).expect("threads can be started");
        let [speed, best, median] = pool.run(|| compare(&mut product, threads, pairs));
        print!(" {speed:.0}, {best:.2} ({median:.2}) |");
    }
    println!();
}

/// Returns the speed of our best burst in GFLOP/s, its ratio to the best burst of `gemm`, and the
/// median ratio of neighbouring bursts.
fn compare<T: Element>(product: &mut Product<T>, threads: usize, pairs: usize) -> [f64; 3] {
    let flop = product.flop() as f64;
    let once = (0..3).map(|_| seconds(1, || product.run())).fold(f64::INFINITY, f64::min);
    let count = (BURST.as_secs_f64() / once).ceil() as u32;
    let mut best = [f64::INFINITY; 2];
    let mut ratios: Vec<f64> = (0..pairs)
        .map(|_| {
            let ours = seconds(count, || black_box(&mut *product).run());
            let theirs = seconds(count, || support::gemm_crate(black_box(&mut *product), threads));
            best = [best[0].min(ours), best[1].min(theirs)];
            theirs / ours
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    [flop / best[0] / 1e9, best[1] / best[0], ratios[pairs / 2]]
}

/// Returns the seconds per call.
fn seconds(count: u32, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..count).for_each(|_| work());
    start.elapsed().as_secs_f64() / f64::from(count)
}
