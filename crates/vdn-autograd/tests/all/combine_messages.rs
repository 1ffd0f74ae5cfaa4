//! Joined messages at the ends of the domain: finite, and close to double precision, for all finite
//! log-variances.

use vdn_autograd::{Error, Tape};
use vdn_tensor::Element;

/// Mean, log-variance, and the gradients of `0.7 mean - 0.4 log_r` by all six inputs.
fn joined<T: Element>(inputs: [f64; 6]) -> Result<[f64; 8], Error> {
    let mut tape = Tape::<T>::new();
    let mut vars = Vec::new();
    for x in inputs {
        vars.push(tape.variable([], &[T::from_f64(x)])?);
    }
    let [mean, log_r] =
        tape.combine_messages([vars[0], vars[1]], [vars[2], vars[3]], vars[4], vars[5])?;
    let values = [tape.scalar(mean)?.to_f64(), tape.scalar(log_r)?.to_f64()];
    tape.backward_from(&[(mean, &[T::from_f64(0.7)]), (log_r, &[T::from_f64(-0.4)])])?;
    let mut out = [values[0], values[1], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    for (to, &var) in out[2..].iter_mut().zip(&vars) {
        *to = tape.gradient(var).map_or(0.0, |g| g.data()[0].to_f64());
    }
    Ok(out)
}

#[test]
fn single_precision_is_near_double_wherever_log_variances_are_finite() -> Result<(), Error> {
    let scales: [f64; 13] =
        [-1e30, -300.0, -104.0, -89.0, -20.0, -1.0, 0.0, 3.0, 60.0, 89.0, 104.0, 300.0, 1e30];
    for log_r in scales {
        for log_r_next in scales {
            for phi in [0.9, -0.5, 0.0, 1e-3] {
                for logvar in [-1.0, 2.0] {
                    let inputs = [0.5, log_r, -0.25, log_r_next, phi, logvar];
                    // The same numbers in both precisions.
                    let inputs = inputs.map(|x| f64::from(x as f32));
                    let (single, double) = (joined::<f32>(inputs)?, joined::<f64>(inputs)?);
                    for (i, (a, b)) in single.iter().zip(double).enumerate() {
                        if i == 6 && b.abs() > 1e36 {
                            // The derivative with respect to phi is itself out of range.
                            assert!(
                                a.abs() > 1e36 && (*a < 0.0) == (b < 0.0),
                                "{inputs:?}: {a} {b}"
                            );
                            continue;
                        }
                        // Exponents of up to 300 in size are rounded, sums of them too, and
                        // exponentials are off by as much: a few times 2^-24 * 300.
                        let bound = 8e-5 * b.abs().max(1.0);
                        assert!((a - b).abs() <= bound, "{inputs:?}: {i}: {a} {b}");
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_message_that_is_not_a_number_stays_so_unless_it_is_missing() -> Result<(), Error> {
    let (nan, missing) = (f64::NAN, f64::INFINITY);
    let of = |x: [f64; 4]| joined::<f64>([x[0], x[1], x[2], x[3], 0.8, -0.5]);
    assert!(of([nan, 0.1, 0.2, 0.3])?[0].is_nan());
    assert!(of([0.5, nan, 0.2, 0.3])?[..2].iter().all(|x| x.is_nan()));
    assert!(of([0.5, 0.1, 0.2, nan])?[..2].iter().all(|x| x.is_nan()));
    let here = of([0.5, 0.1, nan, missing])?;
    assert_eq!(here[..2], [0.5, 0.1]);
    assert_eq!(here[2..], [0.7, -0.4, 0.0, 0.0, 0.0, 0.0]);
    let neither = of([nan, missing, nan, missing])?;
    assert_eq!(neither[..2], [0.0, missing]);
    assert!(neither[2..].iter().all(|&x| x == 0.0), "{neither:?}");
    Ok(())
}
