//! The number of threads changes no bit of an operation's value or gradients.

use crate::operations::normals;
use vdn_autograd::{Error, ObservationFamily, Tape, Var};
use vdn_tensor::parallel::Pool;

type Outcome = Result<(), Error>;

/// Compares values and gradients of each operation with one and with four threads, on more elements
/// than one task holds.
#[test]
fn single_operations_do_not_depend_on_the_number_of_threads() -> Outcome {
    type Record = fn(&mut Tape<f32>, Var, Var, Var) -> Result<Var, Error>;
    let records: [(&str, Record); 16] = [
        ("log_softmax, last axis", |t, x, _, _| t.log_softmax(x, 2)),
        ("log_softmax, first axis", |t, x, _, _| t.log_softmax(x, 0)),
        ("bernoulli_nll", |t, x, _, mask| t.bernoulli_nll(x, mask)),
        ("poisson_nll", |t, x, _, mask| t.poisson_nll(x, mask)),
        ("negative_binomial_nll", |t, x, other, mask| t.negative_binomial_nll(x, other, mask)),
        ("laplace_nll", |t, x, other, mask| {
            let scale = t.exp(other)?;
            t.laplace_nll(x, scale, mask)
        }),
        ("student_t_nll", |t, x, other, mask| {
            let scale = t.exp(other)?;
            t.student_t_nll(x, scale, scale, mask)
        }),
        ("log_density", |t, x, other, mask| {
            t.log_density(ObservationFamily::Gaussian, x, other, mask)
        }),
        ("poisson_log_prob", |t, x, _, mask| t.poisson_log_prob(x, mask)),
        ("negative_binomial_log_prob", |t, x, other, mask| {
            t.negative_binomial_log_prob(x, other, mask)
        }),
        ("class_log_prob", |t, x, _, _| {
            let classes: Vec<usize> = (0..128).map(|i| i * 7 % 16).collect();
            let classes = t.indices([128], &classes)?;
            t.class_log_prob(x, classes)
        }),
        ("where_mask", |t, x, other, mask| t.where_mask(mask, x, other)),
        ("abs", |t, x, _, _| t.abs(x)),
        ("pow", |t, x, _, _| t.pow(x, 3.0)),
        ("var_axis, last axis", |t, x, _, _| t.var_axis(x, 2)),
        ("var_axis, first axis", |t, x, _, _| t.var_axis(x, 0)),
    ];
    let shape = [64, 128, 16];
    let single = |stream| normals(stream, 64 * 128 * 16).iter().map(|&x| x as f32).collect();
    let [numbers, others]: [Vec<f32>; 2] = [single(7), single(8)];
    let mask: Vec<f32> = (0..numbers.len()).map(|i| (i * 7919 % 2) as f32).collect();
    for (name, record) in records {
        let run = |threads| {
            Pool::new(threads).expect("threads").run(|| -> Result<Vec<Vec<f32>>, Error> {
                let mut tape = Tape::<f32>::new();
                let x = tape.variable(shape, &numbers)?;
                let other = tape.variable(shape, &others)?;
                let mask = tape.constant(shape, &mask)?;
                let y = record(&mut tape, x, other, mask)?;
                let value = tape.value(y).data().to_vec();
                let slopes: Vec<f32> = (0..value.len()).map(|i| (i % 31) as f32 - 11.5).collect();
                tape.backward_from(&[(y, &slopes)])?;
                let of = |v| tape.gradient(v).map(|g| g.data().to_vec()).unwrap_or_default();
                Ok(vec![value, of(x), of(other)])
            })
        };
        let one = run(1)?;
        let varied = |x: &[f32]| x.iter().any(|d| *d != 0.0) && x.iter().all(|d| d.is_finite());
        assert!(varied(&one[0]) && varied(&one[1]), "{name}");
        assert!(one == run(4)?, "{name}");
    }
    Ok(())
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() -> Outcome {
    let run = |threads| {
        let pool = Pool::new(threads).expect("threads");
        pool.run(|| -> Result<Vec<f32>, Error> {
            let mut tape = Tape::<f32>::new();
            let numbers: Vec<f32> = normals(4, 64 * 64 * 8).iter().map(|&x| x as f32).collect();
            let x = tape.variable([64, 64, 8], &numbers)?;
            let turned = tape.permute(x, &[1, 0, 2])?;
            let sums = tape.cumsum(turned, 1)?;
            let table = tape.reshape(sums, [64 * 64, 8])?;
            let index: Vec<usize> = (0..10_000).map(|i| i * 7919 % 900).collect();
            let index = tape.indices([10_000], &index)?;
            let rows = tape.gather(table, index)?;
            let class: Vec<usize> = (0..10_000).map(|i| i % 8).collect();
            let class = tape.indices([10_000], &class)?;
            let loss = tape.cross_entropy_smoothed(rows, class, 0.1)?;
            tape.backward(loss)?;
            Ok(tape.gradient(x).map(|g| g.data().to_vec()).unwrap_or_default())
        })
    };
    let one = run(1)?;
    assert!(one.len() == 64 * 64 * 8 && one.iter().all(|d| d.is_finite()));
    assert!(one == run(4)?);
    Ok(())
}
