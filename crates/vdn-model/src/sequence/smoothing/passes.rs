//! The four passes of [`checkpointed_smooth`](super::checkpointed_smooth), segment by segment.

use crate::core::graph::Graph;
use crate::sequence::segments::{
    Gradients, Kept, Recorder, Totals, copies, gradients, later, leaves, some,
};
use crate::sequence::smoothing::{Plan, SmoothedSequence};
use std::ops::Range;
use vdn_autograd::{Error, Var};
use vdn_tensor::{Element, Tensor};

/// A recorded segment.
struct Recorded {
    shared: Vec<Var>,
    /// The message from the steps after the segment.
    later: Vec<Var>,
    /// The joined messages of the segment's steps, mean and log-variance, the first step first.
    joined: Vec<[Var; 2]>,
}

/// The latents and terms of a segment.
struct Latents {
    start: Vec<Var>,
    shared: Vec<Var>,
    state: Vec<Var>,
    totals: Totals,
}

impl<S> Plan<'_, S> {
    /// Pass 1: computes the shared values, and the message from the steps after each segment.
    pub(super) fn said_later<T: Element>(
        &self,
        recorder: &mut Recorder<'_, T>,
        ranges: &[Range<usize>],
    ) -> Result<Vec<Vec<Tensor<T>>>, Error>
    where
        S: SmoothedSequence<T>,
    {
        let shared = recorder.record(|graph| self.shared(graph))?;
        recorder.shared = copies(recorder.tape, &shared)?;
        let mut said = vec![Vec::new(); ranges.len()];
        for k in (1..ranges.len()).rev() {
            let recorded = self.record_messages(recorder, ranges[k].clone(), &said[k])?;
            said[k - 1] = copies(recorder.tape, &recorded.joined[0])?;
        }
        Ok(said)
    }

    /// Pass 2: computes the totals, and the latent before each segment.
    pub(super) fn states_before<T: Element>(
        &self,
        recorder: &mut Recorder<'_, T>,
        ranges: &[Range<usize>],
        said: &[Vec<Tensor<T>>],
        weights: usize,
    ) -> Result<Vec<Vec<Tensor<T>>>, Error>
    where
        S: SmoothedSequence<T>,
    {
        let mut states = vec![Vec::new()];
        for (k, range) in ranges.iter().enumerate() {
            let inputs = [&said[k][..], &states[k]];
            let (_, _, latents) = self.record(recorder, range.clone(), inputs)?;
            latents.totals.check(self.name, weights)?;
            recorder.keep_totals(&latents.totals)?;
            states.push(copies(recorder.tape, &latents.state)?);
        }
        states.pop();
        Ok(states)
    }

    fn record_messages<T: Element>(
        &self,
        recorder: &mut Recorder<'_, T>,
        range: Range<usize>,
        said: &[Tensor<T>],
    ) -> Result<Recorded, Error>
    where
        S: SmoothedSequence<T>,
    {
        let numbers = std::mem::take(&mut recorder.shared);
        let recorded = recorder.record(|graph| self.joined(graph, range, &numbers, said));
        recorder.shared = numbers;
        recorded
    }

    /// Records the messages of a segment from numbers.
    fn joined<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        range: Range<usize>,
        shared: &[Tensor<T>],
        said: &[Tensor<T>],
    ) -> Result<Recorded, Error>
    where
        S: SmoothedSequence<T>,
    {
        let shared = leaves(graph.tape, shared, true)?;
        let later = leaves(graph.tape, said, true)?;
        let joined = self.messages(graph, range, &shared, &later)?;
        Ok(Recorded { shared, later, joined })
    }

    /// Records a segment in two parts that no gradient crosses: the messages; and latents and
    /// terms, which read copies of the messages (the second result).
    fn record<T: Element>(
        &self,
        recorder: &mut Recorder<'_, T>,
        range: Range<usize>,
        [said, state]: [&[Tensor<T>]; 2],
    ) -> Result<(Recorded, Vec<[Var; 2]>, Latents), Error>
    where
        S: SmoothedSequence<T>,
    {
        let (numbers, sums) = (std::mem::take(&mut recorder.shared), recorder.totals.clone());
        let recorded = recorder.record(|graph| {
            let messages = self.joined(graph, range.clone(), &numbers, said)?;
            let mut read = Vec::with_capacity(messages.joined.len());
            for message in &messages.joined {
                let values = copies(graph.tape, message)?;
                let copied = leaves(graph.tape, &values, true)?;
                read.push([copied[0], copied[1]]);
            }
            let shared = leaves(graph.tape, &numbers, true)?;
            let start = leaves(graph.tape, state, true)?;
            let mut totals = Totals::after(graph.tape, &sums, range.start)?;
            let state = self.latents(graph, range, [&shared, &start], &read, &mut totals)?;
            Ok((messages, read, Latents { start, shared, state, totals }))
        });
        recorder.shared = numbers;
        recorded
    }

    /// Pass 3 for one segment: adds the gradients of parameters through terms and latents. Returns
    /// the gradient of the state before the segment.
    pub(super) fn through_latents<T: Element>(
        &self,
        recorder: &mut Recorder<'_, T>,
        range: Range<usize>,
        inputs: [&[Tensor<T>]; 2],
        weights: &[T],
        (kept, after): (&mut Kept<T>, &Gradients<T>),
    ) -> Result<Gradients<T>, Error>
    where
        S: SmoothedSequence<T>,
    {
        let (_, _, latents) = self.record(recorder, range, inputs)?;
        let bound = recorder.bound();
        let mut seeds = Vec::new();
        // The contributions of later steps come first, as on one tape.
        later(&mut seeds, &some(&latents.state), after);
        later(&mut seeds, &some(&latents.shared), &kept.shared);
        later(&mut seeds, &bound, &kept.parameters);
        latents.totals.weighted(&mut seeds, weights);
        let mut before = Gradients::new();
        if recorder.backward(seeds)? {
            gradients(recorder.tape, &some(&latents.start), &mut before)?;
            gradients(recorder.tape, &some(&latents.shared), &mut kept.shared)?;
            gradients(recorder.tape, &bound, &mut kept.parameters)?;
        }
        Ok(before)
    }

    /// Pass 4 for one segment: adds the gradients of parameters through messages. On entry
    /// `carried` is the gradient of the message from this segment's first step to the segment
    /// before it; on return it is the gradient of the message to this segment.
    pub(super) fn through_messages<T: Element>(
        &self,
        recorder: &mut Recorder<'_, T>,
        range: Range<usize>,
        inputs: [&[Tensor<T>]; 2],
        (weights, after): (&[T], &Gradients<T>),
        (kept, carried): (&mut Kept<T>, &mut Gradients<T>),
    ) -> Result<(), Error>
    where
        S: SmoothedSequence<T>,
    {
        let (messages, read, latents) = self.record(recorder, range, inputs)?;
        let mut seeds = Vec::new();
        later(&mut seeds, &some(&latents.state), after);
        latents.totals.weighted(&mut seeds, weights);
        let mut own = Gradients::new();
        if recorder.backward(seeds)? {
            gradients(recorder.tape, &some(read.as_flattened()), &mut own)?;
        }
        let bound = recorder.bound();
        let mut seeds = Vec::new();
        // A message is read first by its latent, then by the message before it.
        later(&mut seeds, &some(messages.joined.as_flattened()), &own);
        later(&mut seeds, &some(&messages.joined[0]), carried);
        later(&mut seeds, &some(&messages.shared), &kept.shared);
        later(&mut seeds, &bound, &kept.parameters);
        let any = recorder.backward(seeds)?;
        carried.clear();
        if any {
            gradients(recorder.tape, &some(&messages.later), carried)?;
            gradients(recorder.tape, &some(&messages.shared), &mut kept.shared)?;
            gradients(recorder.tape, &bound, &mut kept.parameters)?;
        }
        Ok(())
    }
}
