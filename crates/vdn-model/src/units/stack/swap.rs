//! Swapping latents between the windows of a batch. It measures how much a forecast depends on
//! *which* latents it sees.
//!
//! Draws from the prior would also change the distribution of the latents. A permutation keeps this
//! distribution and only removes the link between a window and its latents.

use crate::core::graph::Graph;
use crate::core::streams::Stream;
use vdn_autograd::{Error, Var};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// Records `z` `[samples, batch, channels]` with windows swapped in the same way in all samples.
/// The permutation has no fixed points and is drawn with the noise of `stream`. No gradient passes.
pub(crate) fn swapped<T: Element>(
    graph: &mut Graph<'_, T>,
    z: Var,
    stream: Stream,
) -> Result<Var, Error> {
    let shape = *graph.tape.shape(z);
    let [samples, batch, channels] = [0, 1, 2].map(|i| shape.dims()[i]);
    let order = cycle(graph.noise(stream), batch);
    let from = graph.tape.value(z).data().to_vec();
    graph.tape.constant_with(shape, |to| {
        for s in 0..samples {
            for (row, &other) in order.iter().enumerate() {
                let place = |row: usize| (s * batch + row) * channels;
                to[place(row)..][..channels].copy_from_slice(&from[place(other)..][..channels]);
            }
        }
    })
}

/// Returns a cyclic permutation by Sattolo's algorithm: no element stays in place.
fn cycle(key: NoiseKey, len: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    for i in (1..len).rev() {
        let [word, ..] = key.block(i as u32, 0);
        // 32 random bits choose among far fewer places: the bias is below len / 2^32.
        let j = ((u64::from(word) * i as u64) >> 32) as usize;
        order.swap(i, j);
    }
    order
}
