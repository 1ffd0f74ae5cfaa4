//! [`Graph`]: what a module needs to record one forward pass: the tape, the parameters on it, the mode, the noise.

use crate::parameter::{ParameterId, Parameters};
use vdn_autograd::{Tape, Var};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// Whether a pass is for learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout is on, as many samples as training takes.
    Train,
    /// Dropout is off, as many samples as evaluation takes.
    Evaluate,
}

/// The variables that the parameters have on the tape during one pass. Kept between passes, so that binding allocates
/// nothing.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    vars: Vec<Option<Var>>,
}

impl Bindings {
    /// No bindings yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The variable of the parameter at `index` in the last pass, if it took part.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Var> {
        self.vars.get(index).copied().flatten()
    }
}

/// One forward pass being recorded.
#[derive(Debug)]
pub struct Graph<'a, T: Element> {
    /// The tape that everything is recorded on.
    pub tape: &'a mut Tape<T>,
    parameters: &'a Parameters<T>,
    bindings: &'a mut Bindings,
    mode: Mode,
    noise: NoiseKey,
}

impl<'a, T: Element> Graph<'a, T> {
    /// Starts a pass on a tape that was reset. `noise` is the seed and the step of all noise in it; each layer uses a
    /// stream of its own.
    pub fn new(
        tape: &'a mut Tape<T>,
        parameters: &'a Parameters<T>,
        bindings: &'a mut Bindings,
        mode: Mode,
        noise: NoiseKey,
    ) -> Self {
        bindings.vars.clear();
        bindings.vars.resize(parameters.len(), None);
        Self { tape, parameters, bindings, mode, noise }
    }

    /// The variable of a parameter; recorded at its first use.
    pub fn parameter(&mut self, id: ParameterId) -> Var {
        let slot = &mut self.bindings.vars[id.index()];
        if let Some(var) = *slot {
            return var;
        }
        let learn = self.tape.is_recording_gradients();
        let var = self.tape.shared(self.parameters.get(id).tensor(), learn);
        *slot = Some(var);
        var
    }

    /// Uses `var` for a parameter in this pass: to differentiate with respect to values that are given otherwise.
    pub fn bind(&mut self, id: ParameterId, var: Var) {
        self.bindings.vars[id.index()] = Some(var);
    }

    /// Whether this pass is for learning.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The address of the noise of `stream` in this pass.
    #[must_use]
    pub fn noise(&self, stream: u32) -> NoiseKey {
        self.noise.with_stream(stream)
    }

    /// Records with `label` in reports of numbers that are not finite.
    pub fn labelled<R>(&mut self, label: &str, record: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.tape.set_label(label);
        let result = record(self);
        self.tape.restore_label(before);
        result
    }
}
