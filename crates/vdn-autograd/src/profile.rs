//! [`Profile`]: the time of a step, operation by operation.
//!
//! Profiling is off by default and then costs one test per operation. Within a step, the calls of
//! an operation in the same layer are summed. Over steps the fastest is kept: the cost of the
//! operation without disturbances.

use crate::tape::Tape;
use std::fmt;
use std::time::{Duration, Instant};
use vdn_tensor::Element;

/// The time of one operation in one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileEntry {
    /// The operation.
    pub operation: &'static str,
    /// The label at the time of recording: a layer. Empty if there was none.
    pub label: String,
    /// The number of calls in one step.
    pub calls: usize,
    /// The time of the forward pass in one step.
    pub forward: Duration,
    /// The time of the backward pass in one step, including the addition of its gradients.
    pub backward: Duration,
}

/// The result of [`Tape::profile`]: one entry for each operation and label, in the order of
/// recording.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    entries: Vec<ProfileEntry>,
    /// The current step, entry by entry.
    step: Vec<(usize, Duration, Duration)>,
}

impl Profile {
    /// Returns the entries, each from its fastest step.
    #[must_use]
    pub fn entries(&self) -> &[ProfileEntry] {
        &self.entries
    }

    /// Returns the time of all operations together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.entries.iter().map(|entry| entry.forward + entry.backward).sum()
    }

    /// Ends the current step.
    fn finish(&mut self) {
        for (entry, step) in self.entries.iter_mut().zip(&mut self.step) {
            let (calls, forward, backward) = std::mem::take(step);
            if calls == 0 {
                continue;
            }
            let first = entry.calls == 0;
            entry.calls = calls;
            entry.forward = if first { forward } else { entry.forward.min(forward) };
            entry.backward = if first { backward } else { entry.backward.min(backward) };
        }
    }

    /// Returns the position of an entry, which is created if it is new.
    fn position(&mut self, operation: &'static str, label: &str) -> usize {
        let same = |e: &ProfileEntry| e.operation == operation && e.label == label;
        self.entries.iter().position(same).unwrap_or_else(|| {
            let zero = Duration::ZERO;
            let label = label.to_owned();
            self.entries.push(ProfileEntry {
                operation,
                label,
                calls: 0,
                forward: zero,
                backward: zero,
            });
            self.step.push((0, zero, zero));
            self.entries.len() - 1
        })
    }
}

/// Prints a table: milliseconds of the forward and the backward pass, and the share of the total.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let total = self.total();
        writeln!(
            f,
            "{:<24}{:<20}{:>6}{:>10}{:>10}{:>8}",
            "label", "operation", "calls", "fwd ms", "bwd ms", "share"
        )?;
        for ProfileEntry { operation, label, calls, forward, backward } in &self.entries {
            let share = 100.0 * ms(*forward + *backward) / ms(total).max(f64::MIN_POSITIVE);
            let (forward, backward) = (ms(*forward), ms(*backward));
            writeln!(
                f,
                "{label:<24}{operation:<20}{calls:>6}{forward:>10.3}{backward:>10.3}{share:>6.1} %"
            )?;
        }
        write!(f, "{:<50}{:>20.3}", "all operations", ms(total))
    }
}

impl<T: Element> Tape<T> {
    /// Starts or stops the measurement of all operations. It allocates when an operation occurs for
    /// the first time.
    pub fn set_profiling(&mut self, on: bool) {
        self.profile = on.then(Box::default);
    }

    /// Returns the measurements since [`Tape::set_profiling`], including the recording on the tape;
    /// `None` if nothing is measured.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// let mut tape = Tape::<f32>::new();
    /// tape.set_profiling(true);
    /// let x = tape.variable([2], &[1.0, 2.0])?;
    /// let y = tape.labelled("layer", |tape| tape.tanh(x))?;
    /// let loss = tape.sum(y)?;
    /// tape.backward(loss)?;
    /// let profile = tape.profile().expect("it is on");
    /// let names: Vec<_> = profile.entries().iter().map(|e| (e.operation, &*e.label)).collect();
    /// assert_eq!(names, [("tanh", "layer"), ("sum", "")]);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    #[must_use]
    pub fn profile(&self) -> Option<Profile> {
        let mut profile = Profile::clone(self.profile.as_deref()?);
        profile.finish();
        Some(profile)
    }

    /// Ends the measured step.
    pub(crate) fn finish_profiled_step(&mut self) {
        if let Some(profile) = &mut self.profile {
            profile.finish();
        }
    }

    /// Returns the current time, if anything is measured.
    pub(crate) fn profile_start(&self) -> Option<Instant> {
        self.profile.is_some().then(Instant::now)
    }

    /// Adds the time since `start` to the operation of a step that was recorded under `label`.
    pub(crate) fn profile_end(
        &mut self,
        start: Option<Instant>,
        step: usize,
        label: u32,
        backward: bool,
    ) {
        let (Some(profile), Some(start)) = (&mut self.profile, start) else { return };
        let elapsed = start.elapsed();
        let label = self.labels.name(crate::labels::Label(label));
        let position = profile.position(self.ops[step].op().name(), label);
        let (calls, forward_time, backward_time) = &mut profile.step[position];
        if backward {
            *backward_time += elapsed;
        } else {
            *calls += 1;
            *forward_time += elapsed;
        }
    }
}
