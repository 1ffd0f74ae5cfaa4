//! The fused operation of a layer of Gaussian units. One pass computes samples and differentiable
//! statistics of the posteriors. The backward pass stores no noise: it regenerates the noise from
//! its address, or computes it from `z - mu` where that is accurate. The kernel and its formulas
//! are in [`vdn_tensor::kernels::unit`].

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::kernels::unit::{self, ClampGradient, LogVar, UnitGradients, UnitNoise, Units};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "sample_kl";

/// The source of the noise of [`Tape::sample_kl`].
#[derive(Clone, Copy, Debug)]
pub enum Noise {
    /// A pure function of `(seed, stream, step, sample, row, column)`.
    Addressed(NoiseKey),
    /// A value of shape `[samples, batch, units]` on the tape; it gets no gradient.
    Given(Var),
}

/// The settings by which a layer of units is sampled.
#[derive(Clone, Copy, Debug)]
pub struct SampleKl {
    /// The number of samples per posterior, at least 1.
    pub samples: usize,
    /// The source of the noise.
    pub noise: Noise,
    /// Whether each odd sample uses the noise of the sample before it with the opposite sign
    /// (addressed noise only).
    pub antithetic: bool,
    /// The treatment of the gradient of a `logvar` outside its limits.
    pub clamp_gradient: ClampGradient,
    /// Whether the KL is also computed element by element.
    pub emit_kl: bool,
}

impl SampleKl {
    /// Creates settings for `samples` independent samples with this noise, without the element-wise
    /// KL.
    #[must_use]
    pub fn new(samples: usize, noise: Noise) -> Self {
        let clamp_gradient = ClampGradient::Inward;
        Self { samples, noise, antithetic: false, clamp_gradient, emit_kl: false }
    }
}

/// The outputs of [`Tape::sample_kl`], all of them differentiable. `units` counts latent
/// dimensions, `N` times `K`.
#[derive(Clone, Copy, Debug)]
pub struct UnitOutputs {
    /// The samples `mu + sigma eps`, `[samples, batch, units]`.
    pub z: Var,
    /// `M1`, the mean of `mu` over the batch, `[units]`.
    pub m1: Var,
    /// `M2`, the mean of `mu^2`, `[units]`.
    pub m2: Var,
    /// `C2`, the variance of `mu` over the batch, `[units]`.
    pub c2: Var,
    /// `D0`, the mean of `sigma^2 - 1 - logvar`, `[units]`.
    pub d0: Var,
    /// `Lv`, the mean of the limited `logvar`, `[units]`.
    pub lv: Var,
    /// The KL to the prior in nats, `[batch, units]`, if it was requested.
    pub kl: Option<Var>,
    /// The KL averaged over the batch, `[units]`, for units that are not Gaussian; for Gaussian
    /// units it is `(M2 + D0) / 2`.
    pub mean_kl: Option<Var>,
}

struct SampleKlOp {
    samples: usize,
    /// `None`: the noise is the third input.
    key: Option<NoiseKey>,
    antithetic: bool,
    clamp: ClampGradient,
    emit_kl: bool,
}

impl SampleKlOp {
    fn units<'a, T: Element>(&self, inputs: &[View<'a, T>]) -> Units<'a, T> {
        let (mu, logvar) = (inputs[0], inputs[1]);
        let (rows, columns) = (mu.shape().rows(), mu.shape().last());
        let logvar = match logvar.shape().rank() {
            0 => LogVar::Scalar(logvar.data()[0]),
            1 => LogVar::PerColumn(logvar.data()),
            _ => LogVar::PerElement(logvar.data()),
        };
        let noise = match self.key {
            Some(key) => UnitNoise::Addressed(key),
            None => UnitNoise::Given(inputs[2].data()),
        };
        let (samples, antithetic) = (self.samples, self.antithetic);
        Units { rows, columns, samples, mu: mu.data(), logvar, noise, antithetic }
    }
}

compiled_once!(SampleKlOp);
impl<T: Element> Definition<T> for SampleKlOp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let refuse = |reason: &str| Err(ShapeError::new(NAME, inputs, reason));
        let &[rows, columns] = inputs[0].dims() else {
            return refuse("mu has to be [batch, units]");
        };
        if rows == 0 || columns == 0 {
            return refuse("statistics over an empty batch or of no units do not exist");
        }
        if !matches!(inputs[1].dims(), [] | [_] | [_, _])
            || !inputs[0].dims().ends_with(inputs[1].dims())
        {
            return refuse("logvar has to be [batch, units], [units] or []");
        }
        if rows.div_ceil(4) * columns.next_multiple_of(16) > u32::MAX as usize {
            return refuse("more units and rows than noise addresses");
        }
        let z = Shape::new(&[self.samples, rows, columns])?;
        if self.key.is_none() && *inputs[2] != z {
            return refuse("the given noise has to be [samples, batch, units]");
        }
        outputs.push(z);
        for _ in 0..5 {
            outputs.push(Shape::new(&[columns])?);
        }
        if self.emit_kl {
            outputs.push(*inputs[0]);
        }
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let [z, m1, m2, c2, d0, lv, kl @ ..] = outputs else {
            unreachable!("six outputs were declared")
        };
        let outputs = unit::UnitOutputs {
            z: z.data_mut(),
            m1: m1.data_mut(),
            m2: m2.data_mut(),
            c2: c2.data_mut(),
            d0: d0.data_mut(),
            lv: lv.data_mut(),
            kl: kl.first_mut().map(ViewMut::data_mut),
        };
        unit::unit_forward(&self.units(inputs), outputs);
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let gradient = |i: usize| d_outputs.get(i).copied().flatten().map(|d| d.data());
        let gradients = UnitGradients {
            z: outputs[0].data(),
            m1: outputs[1].data(),
            d_z: gradient(0),
            d_m1: gradient(1),
            d_m2: gradient(2),
            d_c2: gradient(3),
            d_d0: gradient(4),
            d_lv: gradient(5),
            d_kl: gradient(6),
            clamp: self.clamp,
        };
        let [d_mu, d_logvar, ..] = d_inputs else { unreachable!("two inputs were declared") };
        let d_mu = d_mu.as_mut().map(ViewMut::data_mut);
        let d_logvar = d_logvar.as_mut().map(ViewMut::data_mut);
        unit::unit_backward(&self.units(inputs), &gradients, d_mu, d_logvar);
    }
}

impl<T: Element> Tape<T> {
    /// Samples a layer of Gaussian units and computes the statistics from which all other measures
    /// follow.
    ///
    /// `mu` is `[batch, units]`. `logvar` (`2 log sigma`) is `[batch, units]`, `[units]` or `[]`,
    /// and is limited to `[2 ln 1e-4, 2 ln 10]`. The KL of each unit, its rate and its mismatch are
    /// functions of the statistics: [`Tape::unit_kl`], [`Tape::unit_rate`],
    /// [`Tape::unit_mismatch`], [`Tape::weighted_kl`].
    ///
    /// ```
    /// use vdn_autograd::{Noise, SampleKl, Tape};
    /// use vdn_tensor::noise::NoiseKey;
    /// let mut tape = Tape::<f32>::new();
    /// let mu = tape.variable([2, 3], &[0.1, -0.2, 0.3, 0.0, 0.5, -0.5])?;
    /// let logvar = tape.variable([3], &[-0.7, -0.7, 0.0])?;
    /// let noise = Noise::Addressed(NoiseKey::new(1, 0, 0));
    /// let units = tape.sample_kl(mu, logvar, SampleKl::new(4, noise))?;
    /// assert_eq!(tape.shape(units.z).dims(), &[4, 2, 3]);
    /// let beta = tape.constant([], &[1.0])?;
    /// let loss = tape.weighted_kl(&units, beta)?;
    /// tape.backward(loss)?;
    /// assert_eq!(tape.gradient(logvar).unwrap().data()[2], 0.0); // sigma = 1 is the prior's
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not fit, the batch is empty, there are no samples, given noise is to
    /// be antithetic, or a variable is stale.
    pub fn sample_kl(&mut self, mu: Var, logvar: Var, how: SampleKl) -> Result<UnitOutputs, Error> {
        let SampleKl { samples, noise, antithetic, clamp_gradient: clamp, emit_kl } = how;
        if samples == 0 || u32::try_from(samples).is_err() {
            return Err(Error::invalid(
                NAME,
                format!("needs 1 to 2^32 - 1 samples, got {samples}"),
            ));
        }
        let (key, given) = match noise {
            Noise::Addressed(key) => (Some(key), None),
            Noise::Given(_) if antithetic => {
                return Err(Error::invalid(NAME, "antithetic noise is drawn, it cannot be given"));
            }
            Noise::Given(var) => (None, Some(var)),
        };
        let op = SampleKlOp { samples, key, antithetic, clamp, emit_kl };
        let outputs = match given {
            Some(noise) => self.record(op, &[mu, logvar, noise])?,
            None => self.record(op, &[mu, logvar])?,
        };
        Ok(UnitOutputs {
            z: outputs[0],
            m1: outputs[1],
            m2: outputs[2],
            c2: outputs[3],
            d0: outputs[4],
            lv: outputs[5],
            kl: outputs.get(6),
            mean_kl: None,
        })
    }
}
