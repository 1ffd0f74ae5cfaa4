//! [`Graph`]: the input of every module's forward pass: the tape, the parameters, the mode and the
//! noise.

use crate::core::parameter::{ParameterId, ParameterKey, Parameters};
use crate::core::streams::Stream;
use vdn_autograd::{Tape, Var};
use vdn_tensor::Element;
use vdn_tensor::noise::NoiseKey;

/// Whether a pass trains (dropout acts) or evaluates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Dropout acts, and layers draw their number of training samples.
    Train,
    /// Dropout does not act, and layers draw their number of evaluation samples.
    #[default]
    Evaluate,
}

/// The variable of each parameter on the tape of the current step. Bindings outlive the [`Graph`],
/// so that gradients can be read afterwards, and they reuse their memory from step to step.
///
/// A parameter that took no part in the step has no variable.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    vars: Vec<Option<Var>>,
}

impl Bindings {
    /// Creates empty bindings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the variable of the parameter at position `index`, if the step used it.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Var> {
        self.vars.get(index).copied().flatten()
    }

    fn restart(&mut self, parameters: usize) {
        self.vars.clear();
        self.vars.resize(parameters, None);
    }
}

/// One forward pass; modules record their operations on its tape.
///
/// ```
/// use vdn_autograd::Tape;
/// use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
/// use vdn_model::modules::Linear;
/// use vdn_tensor::noise::NoiseKey;
/// let mut parameters = Parameters::<f32>::new();
/// let linear = Linear::new(&mut Builder::new(&mut parameters, 0), "fc", 3, 2);
/// let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
/// let key = NoiseKey::new(0, 0, 0);
/// let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
/// let x = graph.tape.constant([1, 3], &[1.0, 2.0, 3.0])?;
/// let y = linear.forward(&mut graph, x)?;
/// assert_eq!(tape.shape(y).dims(), &[1, 2]);
/// # Ok::<(), vdn_autograd::Error>(())
/// ```
#[derive(Debug)]
pub struct Graph<'a, T: Element> {
    /// The tape that modules record on.
    pub tape: &'a mut Tape<T>,
    parameters: &'a Parameters<T>,
    bindings: &'a mut Bindings,
    mode: Mode,
    noise: NoiseKey,
    kl_rows: bool,
}

impl<'a, T: Element> Graph<'a, T> {
    /// Starts a pass and clears earlier bindings. `noise` holds the seed and the step; each module
    /// has its own stream ([`Builder::stream`](crate::core::Builder::stream)). Parameters require
    /// gradients unless the tape is in [`Tape::no_grad`].
    pub fn new(
        tape: &'a mut Tape<T>,
        parameters: &'a Parameters<T>,
        bindings: &'a mut Bindings,
        mode: Mode,
        noise: NoiseKey,
    ) -> Self {
        bindings.restart(parameters.len());
        Self { tape, parameters, bindings, mode, noise, kl_rows: false }
    }

    /// Makes every layer of units also record the KL of each row, `[batch, units * latent dims]`.
    /// Controllers that count rows request it
    /// ([`Controller::needs`](crate::controllers::Controller::needs)).
    #[must_use]
    pub fn with_kl_rows(self, wanted: bool) -> Self {
        Self { kl_rows: wanted, ..self }
    }

    /// Returns whether layers record the KL of each row.
    #[must_use]
    pub fn wants_kl_rows(&self) -> bool {
        self.kl_rows
    }

    /// Returns the variable of a parameter. The first use in a pass puts the parameter on the tape,
    /// without a copy.
    ///
    /// # Panics
    /// Panics if `id` belongs to another model; the message describes the parameters that are here.
    pub fn parameter(&mut self, id: ParameterId) -> Var {
        let position = id.position(self.parameters);
        if let Some(var) = self.bindings.vars[position] {
            return var;
        }
        let requires_grad = self.tape.is_recording_gradients();
        let var = self.tape.shared(self.parameters.get(id).tensor(), requires_grad);
        self.bindings.vars[position] = Some(var);
        var
    }

    /// Uses `var` in place of a parameter in this pass: to check gradients, or to differentiate
    /// with respect to the inputs from which a parameter is computed.
    ///
    /// # Panics
    /// Panics if `id` belongs to another model.
    pub fn bind(&mut self, id: ParameterId, var: Var) {
        let position = id.position(self.parameters);
        self.bindings.vars[position] = Some(var);
    }

    /// Returns the parameters of this pass.
    #[must_use]
    pub fn parameters(&self) -> &Parameters<T> {
        self.parameters
    }

    /// Returns the variables of the parameters in this pass.
    #[must_use]
    pub fn bindings(&self) -> &Bindings {
        self.bindings
    }

    /// Returns whether the pass trains or evaluates.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns the noise of the module that has this stream, at the step of this pass.
    #[must_use]
    pub fn noise(&self, stream: Stream) -> NoiseKey {
        self.noise.with_stream(stream.number())
    }

    /// Runs `f` with `label` appended to the current label, so that reports can name the layer. An
    /// empty label changes nothing.
    pub fn labelled<R>(&mut self, label: &str, f: impl FnOnce(&mut Graph<'_, T>) -> R) -> R {
        if label.is_empty() {
            return f(&mut Graph { tape: self.tape, bindings: self.bindings, ..*self });
        }
        let Self { tape, parameters, bindings, mode, noise, kl_rows } = self;
        tape.labelled(label, |tape| {
            f(&mut Graph {
                tape,
                parameters,
                bindings,
                mode: *mode,
                noise: *noise,
                kl_rows: *kl_rows,
            })
        })
    }
}
