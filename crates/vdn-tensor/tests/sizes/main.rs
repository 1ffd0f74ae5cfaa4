//! Every public kernel on hostile sizes. A valid call runs and writes nothing beyond its outputs. A
//! call whose lengths do not fit, or whose products wrap around, panics with the name of the
//! operation. The test also runs in release builds, where arithmetic does not panic by itself, and
//! under the address sanitizer (`.ci/run`).

mod kernels;
mod lender;
mod sources;

use lender::{Fault, Lender};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use vdn_tensor::kernels::likelihood::{
    Density, Mixture, MixtureGradients, Score, mixture_nll, mixture_nll_backward,
};
use vdn_tensor::kernels::unit::{LogVar, UnitNoise, UnitOutputs, Units, unit_forward};
use vdn_tensor::kernels::{moving_average, slice_axis, write_slice};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Buffer, Element, Shape, Tensor, View, with_scratch};

/// A kernel under test: `call` asks the lender for every array that the kernel is given.
pub(crate) struct Case {
    /// The name of the public function.
    pub(crate) kernel: &'static str,
    /// The beginning of its messages.
    pub(crate) operation: &'static str,
    /// For each of the three sizes, whether it must not be 0. If it is 0, the kernel has to panic.
    pub(crate) positive: [bool; 3],
    /// The call with these sizes.
    pub(crate) call: fn(&Lender, [usize; 3]),
}

/// The message that refuses a shape before a kernel can be called.
const NO_SHAPE: &str = "too many elements";
const SMALL: [usize; 6] = [0, 1, 2, 3, 17, 33];
/// Sizes above the widths from which products copy their factors to panels and work is cut into
/// tasks.
const LARGE: [usize; 2] = [130, 200];
const HUGE: [usize; 7] =
    [1 << 31, (1 << 58) + 1, 1 << 60, (1 << 60) + 1, 1 << 62, 1 << 63, usize::MAX];

fn run(case: &Case, lender: &Lender, sizes: [usize; 3]) -> Result<(), String> {
    let result = catch_unwind(AssertUnwindSafe(|| (case.call)(lender, sizes)));
    assert!(!lender.is_damaged(), "{} {sizes:?}: wrote beside an array", case.kernel);
    result.map_err(|payload| match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().unwrap_or(&"?").to_string(),
    })
}

/// Returns all combinations of small sizes, then sizes with a large number in one place.
fn ordinary_sizes() -> impl Iterator<Item = [usize; 3]> {
    let small = (0..SMALL.len().pow(3))
        .map(|i| [i, i / SMALL.len(), i / SMALL.len().pow(2)].map(|i| SMALL[i % SMALL.len()]));
    let large = (0..3).flat_map(|place| {
        LARGE.map(|large| {
            let mut sizes = [9, 17, 9];
            sizes[place] = large;
            sizes
        })
    });
    small.chain(large)
}

/// Ordinary sizes, including zeros: valid calls run, and each array that is one too short or too
/// long is refused.
fn ordinary(case: &Case, failures: &mut Vec<String>) {
    for sizes in ordinary_sizes() {
        let refused =
            sizes.iter().zip(case.positive).any(|(&size, positive)| positive && size == 0);
        let lender = Lender::new(None);
        match run(case, &lender, sizes) {
            Ok(()) if refused => failures.push(format!("{} {sizes:?} ran", case.kernel)),
            Err(message) if !refused => {
                failures.push(format!("{} {sizes:?}: {message}", case.kernel))
            }
            Err(message) if !message.contains(case.operation) => {
                failures.push(format!("{} {sizes:?}: unclear: {message}", case.kernel))
            }
            _ => {}
        }
        if refused {
            continue;
        }
        for array in 0..lender.lent() {
            for off in [-1, 1] {
                let wrong = Lender::new(Some(Fault { array, off }));
                match run(case, &wrong, sizes) {
                    _ if !wrong.is_faulty() => {}
                    Ok(()) => failures.push(format!(
                        "{} {sizes:?} ran with {off} numbers in array {array}",
                        case.kernel
                    )),
                    Err(message) if !message.contains(case.operation) => failures
                        .push(format!("{} {sizes:?}, array {array}: {message}", case.kernel)),
                    Err(_) => {}
                }
            }
        }
    }
}

/// Sizes whose products wrap around, with the lengths that the wrapped products ask for.
fn wrapping(case: &Case, failures: &mut Vec<String>) {
    for place in 0..3 {
        for huge in HUGE {
            for (a, b) in [(4, 16), (1, 1), (16, 4), (0, 16), (16, 0), (1 << 32, 2), (1 << 60, 16)]
            {
                let mut sizes = [a, b, a];
                sizes[(place + 1) % 3] = b;
                sizes[place] = huge;
                let lender = Lender::new(None);
                match run(case, &lender, sizes) {
                    // All arrays were lent in full: no product wrapped.
                    Ok(()) if lender.is_exact() => {}
                    Ok(()) => failures.push(format!("{} {sizes:?} ran", case.kernel)),
                    Err(message) if message == lender::TOO_LARGE || message.contains(NO_SHAPE) => {}
                    Err(message) if !message.contains(case.operation) => {
                        failures.push(format!("{} {sizes:?}: unclear: {message}", case.kernel))
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

thread_local! {
    static QUIET: RefCell<bool> = const { RefCell::new(false) };
}

/// Silences the panics that this test expects; panics of other tests print as always.
fn quietly(work: impl FnOnce()) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !QUIET.with_borrow(|quiet| *quiet) {
            before(info);
        }
    }));
    QUIET.set(true);
    work();
    QUIET.set(false);
}

fn all<T: Element>() {
    let mut failures = Vec::new();
    quietly(|| {
        for case in kernels::cases::<T>() {
            ordinary(&case, &mut failures);
            wrapping(&case, &mut failures);
        }
    });
    let shown = failures.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} failures in {}:\n{shown}", failures.len(), T::NAME);
}

#[test]
fn hostile_sizes_are_refused_f32() {
    all::<f32>();
}

#[test]
fn hostile_sizes_are_refused_f64() {
    all::<f64>();
}

/// A public kernel that is missing in the table above, or that does not check its lengths first.
#[test]
fn no_kernel_is_left_out() {
    let tested: Vec<_> = kernels::cases::<f32>().iter().map(|case| case.kernel).collect();
    let found = sources::kernels();
    // A scanner that recognises nothing would find nothing.
    assert!(found.len() > 35, "only {} kernels were recognised", found.len());
    let missing: Vec<_> = found.iter().filter(|f| !tested.contains(&f.name.as_str())).collect();
    assert!(missing.is_empty(), "kernels without hostile sizes: {missing:?}");
    let unchecked: Vec<_> = found.iter().filter(|f| !f.checks_first).collect();
    assert!(unchecked.is_empty(), "kernels that do not check lengths first: {unchecked:?}");
}

#[test]
fn shapes_that_wrap_do_not_exist() {
    for dims in [&[0, usize::MAX, 2][..], &[1 << 63, 0, 2], &[1 << 32, 1 << 32], &[0, 1 << 60, 16]]
    {
        let error = Shape::new(dims).expect_err("a product wraps").to_string();
        assert!(error.contains("too many elements"), "{error}");
    }
    let shape = Shape::from([0, 1 << 40]);
    assert!(shape.prepend(1 << 40).is_err());
    assert_eq!(Tensor::<f32>::zeros(shape).data().len(), 0);
    assert!(View::new([2, 3], &[0.0_f32; 5]).is_err());
}

#[test]
#[should_panic(expected = "buffer length overflows")]
fn a_buffer_that_wraps_is_refused() {
    Buffer::<f64>::new().resize(1 << 61);
}

#[test]
#[should_panic(expected = "scratch length overflows")]
fn scratch_that_wraps_is_refused() {
    with_scratch((1 << 61) + 1, |_: &mut [f64]| ());
}

/// Invalid arguments other than the three sizes of the table.
#[test]
fn hostile_places_are_refused() {
    let (x, key) = ([1.0_f32; 8], NoiseKey::new(1, 2, 3));
    type Call<'a> = Box<dyn Fn(&mut [f32]) + 'a>;
    let calls: [(&str, Call<'_>); 8] = [
        ("moving_average", Box::new(|out| moving_average(&x, 4, usize::MAX, out))),
        ("moving_average", Box::new(|out| moving_average(&x, 4, 1 << 62, out))),
        ("moving_average", Box::new(|out| moving_average(&x, 4, 0, out))),
        ("slice_axis", Box::new(|out| slice_axis(&x, (1, 8, 1), usize::MAX, 8, out))),
        ("write_slice", Box::new(|out| write_slice(&x, 8, usize::MAX - 3, (1, 8, 1), out))),
        ("write_slice", Box::new(|out| write_slice(&x, 8, 1, (1, 8, 1), out))),
        ("normal_at", Box::new(|out| out[0] = key.normal_at(16, 0, usize::MAX, 0))),
        ("normal_at", Box::new(|out| out[0] = key.normal_at(usize::MAX, 0, 0, 0))),
    ];
    quietly(|| {
        for (name, call) in calls {
            let result = catch_unwind(AssertUnwindSafe(|| call(&mut [0.0; 8])));
            let message = *result.expect_err(name).downcast::<String>().expect(name);
            assert!(message.contains(name), "{name}: {message}");
        }
    });
}

/// Noise would repeat beyond the addresses that a key has.
#[test]
#[should_panic(expected = "sample_kl: 4294967297 samples")]
fn more_samples_than_addresses_are_refused() {
    let noise = UnitNoise::Addressed(NoiseKey::new(1, 2, 3));
    let (logvar, samples) = (LogVar::Scalar(0.0_f32), (1 << 32) + 1);
    let units = Units { rows: 0, columns: 0, samples, mu: &[], logvar, noise, antithetic: false };
    let [z, m1, m2, c2, d0, lv]: [&mut [f32]; 6] = Default::default();
    unit_forward(&units, UnitOutputs { z, m1, m2, c2, d0, lv, kl: None });
}

/// No time steps: the scores are means over nothing.
#[test]
fn scores_of_no_time_steps_are_nan() {
    for score in [Score::Tempered, Score::Marginal, Score::Joint] {
        let samples = if score == Score::Marginal { 1 << 60 } else { 2 };
        let mixture = Mixture {
            dims: [samples, 4, 0],
            mu: &[],
            sigma: &[],
            y: &[],
            log_weights: None,
            density: Density::default(),
            score,
        };
        let (mut saved, mut rows) = (vec![0.0_f32; mixture.saved_len()], [0.0; 4]);
        mixture_nll(&mixture, &mut saved, &mut rows);
        assert!(rows.iter().all(|x| x.is_nan()), "{score:?}: {rows:?}");
        mixture_nll_backward(&mixture, &saved, 1.0, MixtureGradients::default());
    }
}
