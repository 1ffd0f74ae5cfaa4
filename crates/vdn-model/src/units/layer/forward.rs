//! The forward pass of a layer: from a [`Context`] to samples and statistics.
//!
//! 1. The context becomes rows: examples, or samples times examples if it comes from a layer below.
//! 2. The heads give means and log-deviations.
//! 3. A learned prior shifts and scales them, so that the prior becomes the standard member of the
//!    family. The divergence does not change.
//! 4. The fused operation of the family draws the samples and computes the statistics.
//! 5. Samples are mapped back from the prior's scale, and pooled if a unit has several latent
//!    dimensions.

use crate::core::graph::{Graph, Mode};
use crate::priors::Prior;
use crate::units::layer::context::Context;
use crate::units::layer::{Sigma, SigmaMode, UnitFamily, VariationalLayer};
use vdn_autograd::{Error, Noise, SampleKl, Tape, UnitOutputs, Var};
use vdn_tensor::families::gaussian::{LOGVAR_MAX, LOGVAR_MIN, kl_standard, scale};
use vdn_tensor::kernels::unit::ClampGradient;
use vdn_tensor::{Element, Shape, ShapeError};

/// The output of a layer. `rows` is the batch, or samples times batch if the context has samples.
#[derive(Clone, Copy, Debug)]
pub struct LayerOutput {
    /// The activities sent on, `[samples, batch, channels]`.
    pub z: Var,
    /// The means (locations), `[rows, units * latent dims]`. With a learned prior the means, the
    /// log-variances and `units` are on the prior's scale.
    pub mu: Var,
    /// Twice the logarithms of the scales (for normal units the log-variances), before their
    /// limits: `[rows, units * latent dims]`, `[units * latent dims]` or `[]`.
    pub logvar: Var,
    /// The samples `[samples, batch, units * latent dims]`, and statistics of each latent dimension
    /// over all rows.
    pub units: UnitOutputs,
}

impl VariationalLayer {
    /// Records the means of the posteriors alone, `[..., units * latent dims]`, which the
    /// deterministic twin sends on. The context is `[..., inputs]`.
    ///
    /// # Errors
    /// Fails if the context has another width.
    pub fn means<T: Element>(&self, graph: &mut Graph<'_, T>, h: Var) -> Result<Var, Error> {
        graph.labelled(&self.label, |graph| self.mu.forward(graph, h))
    }

    /// Returns the number of samples that a pass draws from each posterior.
    #[must_use]
    pub fn samples(&self, mode: Mode) -> usize {
        match mode {
            Mode::Train => self.config.train_samples,
            Mode::Evaluate => self.config.evaluate_samples,
        }
    }

    /// Records the layer with addressed noise on the context `h`: `[batch, inputs]`, or
    /// [`Context::samples`] of `[samples, batch, inputs]` for the samples of a layer below.
    ///
    /// Samples keep their identity. Sample `s` of the context gives its own posterior, from which
    /// one sample is drawn: sample `s` of the result. Statistics, KL and rate are then means over
    /// samples and batch. The KL is `E KL(q(z | h_s) || p)`, with the expectation over the samples
    /// below, as in the bound of a stack. A leading axis of 1 is a context without samples.
    ///
    /// ```
    /// use vdn_autograd::Tape;
    /// use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
    /// use vdn_model::units::{Context, LayerConfig, VariationalLayer};
    /// use vdn_tensor::noise::NoiseKey;
    /// let mut parameters = Parameters::<f32>::new();
    /// let mut layer = |name, inputs, units| {
    ///     let config = LayerConfig { inputs, units, train_samples: 4, ..LayerConfig::default() };
    ///     VariationalLayer::new(&mut Builder::new(&mut parameters, 0).scope(name), config)
    /// };
    /// let (below, above) = (layer("below", 3, 5)?, layer("above", 5, 2)?);
    /// let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
    /// let key = NoiseKey::new(0, 0, 0);
    /// let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, key);
    /// let h = graph.tape.constant([7, 3], &[0.5; 21])?;
    /// let lower = below.forward(&mut graph, h)?;
    /// let upper = above.forward(&mut graph, Context::samples(lower.z))?;
    /// assert_eq!(tape.shape(upper.z).dims(), &[4, 7, 2]);
    /// assert_eq!(tape.shape(upper.mu).dims(), &[28, 2]); // a posterior for every sample of every window
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the context has another width, has three axes that are not declared as samples, or
    /// has another number of samples than the layer draws.
    pub fn forward<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: impl Into<Context>,
    ) -> Result<LayerOutput, Error> {
        let samples = self.samples(graph.mode());
        let noise = Noise::Addressed(graph.noise(self.stream));
        self.forward_with(graph, h, samples, noise)
    }

    /// Records the layer with this number of samples and this noise. A context with samples has to
    /// have the same number.
    ///
    /// Mirrored (antithetic) noise needs several samples of one posterior, so it has no effect on a
    /// context with samples.
    ///
    /// # Errors
    /// Fails if the context has another width or number of samples, or the noise is not
    /// `[samples, batch, units * latent dims]`.
    pub fn forward_with<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: impl Into<Context>,
        samples: usize,
        noise: Noise,
    ) -> Result<LayerOutput, Error> {
        let context = h.into();
        graph.labelled(&self.label, |graph| {
            let (h, rows) = context.rows(graph, samples)?;
            let kept = rows.draws == samples;
            let dims = self.config.units * self.config.latent_dims;
            let mut mu = self.mu.forward(graph, h)?;
            let mut log_sigma = self.log_sigma(graph, h)?;
            let prior = self.learned_prior(graph);
            if let Some([location, log_scale]) = prior {
                // An affine map does not change a divergence: on the prior's scale the prior is the
                // standard member.
                let inverse = graph.tape.neg(log_scale)?;
                let inverse = graph.tape.exp(inverse)?;
                let distance = graph.tape.sub(mu, location)?;
                mu = graph.tape.mul(distance, inverse)?;
                log_sigma = graph.tape.sub(log_sigma, log_scale)?;
            }
            let logvar = graph.tape.scale(log_sigma, T::from_f64(2.0))?;
            let [samples, batch] = rows.result;
            let mut units = match self.family {
                Some(family) => {
                    let Noise::Addressed(key) = noise else {
                        let reason = "noise can be given to normal and log-normal units only";
                        return Err(Error::invalid("variational layer", reason));
                    };
                    let log_scale = self.limited(graph, log_sigma)?;
                    graph.tape.sample_family(family, mu, log_scale, rows.draws, key)?
                }
                None => {
                    let noise = match noise {
                        Noise::Given(eps) if !kept => {
                            let wanted = Shape::new(&[samples, batch, dims])?;
                            given_shape(graph.tape.shape(eps), &wanted)?;
                            Noise::Given(graph.tape.reshape(eps, [1, samples * batch, dims])?)
                        }
                        noise => noise,
                    };
                    let addressed = matches!(noise, Noise::Addressed(_));
                    let how = SampleKl {
                        antithetic: self.config.antithetic && kept && addressed,
                        clamp_gradient: self.config.clamp_gradient,
                        emit_kl: self.config.emit_kl || graph.wants_kl_rows(),
                        ..SampleKl::new(rows.draws, noise)
                    };
                    graph.tape.sample_kl(mu, logvar, how)?
                }
            };
            if !kept {
                units.z = graph.tape.reshape(units.z, [samples, batch, dims])?;
            }
            let sent = self.off_prior_scale(graph, units.z, prior)?;
            let z = match self.config.pooling {
                // Pooling one value gives that value.
                Some(pool) if self.config.latent_dims > 1 => {
                    graph.tape.pool(sent, self.config.latent_dims, pool)?
                }
                _ => sent,
            };
            Ok(LayerOutput { z, mu, logvar, units })
        })
    }

    /// Returns the KL of every posterior of an output of this layer, summed over its units, in
    /// nats: one number for each row (batch, or samples times batch), in double precision.
    ///
    /// # Panics
    /// Panics if the output belongs to another layer.
    #[must_use]
    pub fn kl_per_row<T: Element>(&self, tape: &Tape<T>, output: &LayerOutput) -> Vec<f64> {
        let dims = self.config.units * self.config.latent_dims;
        if let (Some(_), Some(kl)) = (self.family, output.units.kl) {
            let rows = tape.value(kl).data().chunks_exact(dims);
            return rows.map(|row| row.iter().map(|kl| kl.to_f64()).sum()).collect();
        }
        let mu = tape.value(output.mu).data();
        let logvar = tape.value(output.logvar).data();
        assert!(mu.len().is_multiple_of(dims), "the output of another layer");
        let limited = |l: &T| l.to_f64().clamp(LOGVAR_MIN, LOGVAR_MAX);
        let rows = mu.chunks_exact(dims).enumerate();
        rows.map(|(row, mu)| {
            let own = match logvar.len() {
                1 => logvar,
                len if len == dims => logvar,
                _ => &logvar[row * dims..][..dims],
            };
            let pairs = mu.iter().zip(own.iter().cycle());
            pairs.map(|(mu, l)| kl_standard(mu.to_f64(), scale(limited(l))[2])).sum()
        })
        .collect()
    }

    /// Returns location and log-scale of a learned prior, both `[units * latent dims]`.
    pub(super) fn learned_prior<T: Element>(&self, graph: &mut Graph<'_, T>) -> Option<[Var; 2]> {
        match self.prior {
            Prior::LearnedNormal(prior) => Some(prior.parameters(graph)),
            _ => None,
        }
    }

    /// Records activities from samples on the prior's scale.
    pub(super) fn off_prior_scale<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        z: Var,
        prior: Option<[Var; 2]>,
    ) -> Result<Var, Error> {
        let mut z = z;
        if let Some([location, log_scale]) = prior {
            let scale = graph.tape.exp(log_scale)?;
            z = graph.tape.mul(z, scale)?;
            z = graph.tape.add(z, location)?;
        }
        match self.config.family {
            UnitFamily::LogNormal => graph.tape.exp(z),
            _ => Ok(z),
        }
    }

    /// Records log-scales within the limits that are built into the Gaussian operation.
    fn limited<T: Element>(&self, graph: &mut Graph<'_, T>, x: Var) -> Result<Var, Error> {
        let [low, high] = [0.5 * LOGVAR_MIN, 0.5 * LOGVAR_MAX].map(T::from_f64);
        match self.config.clamp_gradient {
            ClampGradient::Inward => graph.tape.clamp_inward(x, low, high),
            ClampGradient::Zero => graph.tape.clamp(x, low, high),
        }
    }

    /// Records the logarithms of the deviations: `[..., units * latent dims]`,
    /// `[units * latent dims]` or `[]`.
    pub(super) fn log_sigma<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: Var,
    ) -> Result<Var, Error> {
        match &self.sigma {
            Sigma::Head(head) => head.forward(graph, h),
            Sigma::Parameter(id) => {
                let var = graph.parameter(*id);
                match self.config.sigma {
                    SigmaMode::Scalar => Ok(var),
                    _ => graph.tape.reshape(var, [self.config.units * self.config.latent_dims]),
                }
            }
        }
    }
}

fn given_shape(given: &Shape, wanted: &Shape) -> Result<(), ShapeError> {
    if given == wanted {
        return Ok(());
    }
    let reason = "the given noise has to be the second: [samples, batch, units]";
    Err(ShapeError::new("variational layer", &[given, wanted], reason))
}
