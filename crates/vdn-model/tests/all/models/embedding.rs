//! The embedding: its vectors, its initial values, and the gradient of its table.

use vdn_autograd::Tape;
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_model::modules::Embedding;
use vdn_tensor::noise::NoiseKey;

const INDICES: [usize; 4] = [2, 0, 2, 4];

/// The sum of the cubes of the vectors at [`INDICES`], and the gradient of the table.
fn cubes(parameters: &Parameters<f64>, table: &Embedding) -> (f64, Vec<f64>) {
    let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    let key = NoiseKey::new(0, 0, 0);
    let mut graph = Graph::new(&mut tape, parameters, &mut bindings, Mode::Train, key);
    let indices = graph.tape.indices([2, 2], &INDICES).unwrap();
    let vectors = table.forward(&mut graph, indices).unwrap();
    assert_eq!(graph.tape.shape(vectors).dims(), [2, 2, 3]);
    let squares = graph.tape.square(vectors).unwrap();
    let cubes = graph.tape.mul(squares, vectors).unwrap();
    let sum = graph.tape.sum(cubes).unwrap();
    let value = tape.scalar(sum).unwrap();
    tape.backward(sum).unwrap();
    let var = bindings.get(table.weight().index()).unwrap();
    (value, tape.gradient(var).unwrap().data().to_vec())
}

#[test]
fn the_gradient_of_the_table_is_that_of_finite_differences() {
    let mut parameters = Parameters::<f64>::new();
    let table = Embedding::new(&mut Builder::new(&mut parameters, 7), "items", 5, 3);
    let (_, gradient) = cubes(&parameters, &table);
    for (at, gradient) in gradient.iter().enumerate() {
        // Central differences of a cube have an error of h^2, and a rounding error of 1e-16 / h.
        let h = 1e-5;
        let mut moved = parameters.clone();
        let mut at_distance = |by: f64| {
            moved.data_mut(table.weight().index())[at] += by;
            cubes(&moved, &table).0
        };
        let slope = (at_distance(h) - at_distance(-2.0 * h)) / (2.0 * h);
        assert!((slope - gradient).abs() < 1e-8 * (1.0 + slope.abs()), "{at}: {gradient} {slope}");
        // The rows 1 and 3 do not occur among the indices.
        assert_eq!(*gradient == 0.0, [1, 3].contains(&(at / 3)), "{at}: {gradient}");
    }
}

#[test]
fn vectors_start_standard_normal() {
    let mut parameters = Parameters::<f64>::new();
    let table = Embedding::new(&mut Builder::new(&mut parameters, 1), "items", 1000, 8);
    let values = parameters.data_mut(table.weight().index());
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    // Five standard errors. They are 1/sqrt(8000) for the mean and sqrt(2/8000) for the variance.
    assert!(mean.abs() < 0.056 && (variance - 1.0).abs() < 0.08, "{mean} {variance}");
}
