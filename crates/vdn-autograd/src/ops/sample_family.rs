//! Samples and divergences of a layer of units that are not Gaussian: the counterpart of
//! [`Tape::sample_kl`] for Laplace, logistic and Student's t units. The formulas are in
//! [`vdn_tensor::families`].

use crate::compiled_once::{Definition, compiled_once};
use crate::error::Error;
use crate::op::Shapes;
use crate::ops::sample_kl::UnitOutputs;
use crate::tape::Tape;
use crate::var::Var;
use vdn_tensor::families::{Family, Laplace, Logistic, StudentT};
use vdn_tensor::kernels::{FamilyGradients, FamilyUnits, family_backward, family_forward};
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Shape, ShapeError, View, ViewMut};

const NAME: &str = "sample_family";

/// A family whose prior is its standard member, with location 0 and scale 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LocationScale {
    /// The Laplace distribution.
    Laplace,
    /// The logistic distribution.
    Logistic,
    /// Student's t distribution with fixed degrees of freedom, above 2.
    StudentT(StudentT),
}

impl LocationScale {
    /// Returns the variance of the standard member.
    #[must_use]
    pub fn standard_variance(self) -> f64 {
        match self {
            Self::Laplace => Laplace.standard_variance(),
            Self::Logistic => Logistic.standard_variance(),
            Self::StudentT(family) => family.standard_variance(),
        }
    }
}

struct SampleFamilyOp {
    family: LocationScale,
    samples: usize,
    key: NoiseKey,
}

impl SampleFamilyOp {
    fn units<'a, T: Element>(&self, inputs: &[View<'a, T>]) -> FamilyUnits<'a, T> {
        let (location, log_scale) = (inputs[0].data(), inputs[1].data());
        FamilyUnits { location, log_scale, samples: self.samples, key: self.key }
    }
}

compiled_once!(SampleFamilyOp);
impl<T: Element> Definition<T> for SampleFamilyOp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shapes(&self, inputs: &[&Shape], outputs: &mut Shapes) -> Result<(), ShapeError> {
        let &[rows, columns] = inputs[0].dims() else {
            return Err(ShapeError::new(NAME, inputs, "the location has to be [batch, units]"));
        };
        if inputs[1] != inputs[0] || rows == 0 || columns == 0 {
            let reason = "location and log scale have to be alike and not empty";
            return Err(ShapeError::new(NAME, inputs, reason));
        }
        if (rows * columns).div_ceil(4) > u32::MAX as usize {
            return Err(ShapeError::new(NAME, inputs, "more units and rows than noise addresses"));
        }
        outputs.push(Shape::new(&[self.samples, rows, columns])?);
        outputs.push(*inputs[0]);
        Ok(())
    }

    fn forward(&self, inputs: &[View<'_, T>], outputs: &mut [ViewMut<'_, T>]) {
        let units = self.units(inputs);
        let [z, kl] = outputs else { unreachable!("two outputs were declared") };
        let (z, kl) = (z.data_mut(), kl.data_mut());
        match self.family {
            LocationScale::Laplace => family_forward(&Laplace, &units, z, kl),
            LocationScale::Logistic => family_forward(&Logistic, &units, z, kl),
            LocationScale::StudentT(family) => family_forward(&family, &units, z, kl),
        }
    }

    fn backward(
        &self,
        inputs: &[View<'_, T>],
        _outputs: &[View<'_, T>],
        d_outputs: &[Option<View<'_, T>>],
        d_inputs: &mut [Option<ViewMut<'_, T>>],
    ) {
        let units = self.units(inputs);
        let gradient = |i: usize| d_outputs[i].map(|d| d.data());
        let gradients = FamilyGradients { d_z: gradient(0), d_kl: gradient(1) };
        let [d_location, d_scale] = d_inputs else { unreachable!("two inputs were declared") };
        vdn_tensor::with_scratch(2 * units.location.len(), |scratch: &mut [T]| {
            let (one, two) = scratch.split_at_mut(units.location.len());
            let location = d_location.as_mut().map_or(one, ViewMut::data_mut);
            let scale = d_scale.as_mut().map_or(two, ViewMut::data_mut);
            match self.family {
                LocationScale::Laplace => {
                    family_backward(&Laplace, &units, gradients, location, scale);
                }
                LocationScale::Logistic => {
                    family_backward(&Logistic, &units, gradients, location, scale);
                }
                LocationScale::StudentT(family) => {
                    family_backward(&family, &units, gradients, location, scale);
                }
            }
        });
    }
}

impl<T: Element> Tape<T> {
    /// Samples a layer of units of a family. Also returns the divergence of each posterior from the
    /// standard member (exact, or the mean of an estimate from each sample), and the statistics
    /// that are defined for the family.
    ///
    /// `location` is `[batch, units]`; `log_scale` is `[batch, units]`, `[units]` or `[]`. The
    /// statistics are in units of the prior's deviation:
    ///
    /// * `M1`, `M2` and `C2` are those of the means.
    /// * `Lv` is the mean of `2 log_scale`, and `D0` the mean of
    ///   `e^(2 log_scale) - 1 - 2 log_scale`. `V = D0 + 1 + Lv` is then the posteriors' variance as
    ///   a share of the prior's.
    /// * The KL of a unit does not follow from these statistics; it is [`UnitOutputs::mean_kl`].
    /// * The rate computed from them is 0 for units that do not depend on their input. It bounds
    ///   the information up to the constant `ln(2 pi e v)/2 - h` of the family, where `v` and `h`
    ///   are variance and entropy of its standard member.
    ///
    /// ```
    /// use vdn_autograd::{LocationScale, Tape};
    /// use vdn_tensor::noise::NoiseKey;
    /// let mut tape = Tape::<f64>::new();
    /// let location = tape.variable([1, 1], &[0.7])?;
    /// let log_scale = tape.variable([], &[0.4_f64.ln()])?;
    /// let key = NoiseKey::new(1, 0, 0);
    /// let units = tape.sample_family(LocationScale::Laplace, location, log_scale, 4, key)?;
    /// let kl = tape.unit_kl(&units)?;
    /// let want = 0.7 + 0.4 * (-0.7_f64 / 0.4).exp() - 1.0 - 0.4_f64.ln();
    /// assert!((tape.value(kl).data()[0] - want).abs() < 1e-14);
    /// # Ok::<(), vdn_autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the shapes do not fit, the batch is empty, there are no samples or 2^31 of them,
    /// the family's prior has no variance, or a variable is stale.
    pub fn sample_family(
        &mut self,
        family: LocationScale,
        location: Var,
        log_scale: Var,
        samples: usize,
        key: NoiseKey,
    ) -> Result<UnitOutputs, Error> {
        if !(1..1 << 31).contains(&samples) {
            return Err(Error::invalid(
                NAME,
                format!("needs 1 to 2^31 - 1 samples, got {samples}"),
            ));
        }
        let variance = family.standard_variance();
        if !variance.is_finite() {
            let reason = "the prior has no variance: more than 2 degrees of freedom are needed";
            return Err(Error::invalid(NAME, reason));
        }
        let shape = *self.shape(location);
        let log_scale = match *self.shape(log_scale) == shape {
            true => log_scale,
            false => self.broadcast_to(log_scale, shape)?,
        };
        let op = SampleFamilyOp { family, samples, key };
        let outputs = self.record(op, &[location, log_scale])?;
        let (z, kl) = (outputs[0], outputs[1]);
        let mean = self.scale(location, T::from_f64(1.0 / variance.sqrt()))?;
        let m1 = self.mean_axis(mean, 0)?;
        let apart = self.sub(mean, m1)?;
        let apart = self.square(apart)?;
        let c2 = self.mean_axis(apart, 0)?;
        let square = self.square(m1)?;
        let m2 = self.add(square, c2)?;
        let logvar = self.scale(log_scale, T::from_f64(2.0))?;
        let lv = self.mean_axis(logvar, 0)?;
        let zero = self.constant([], &[T::ZERO])?;
        let spread = self.kl_gaussian(zero, logvar, zero, zero)?;
        let spread = self.mean_axis(spread, 0)?;
        let d0 = self.scale(spread, T::from_f64(2.0))?;
        let mean_kl = Some(self.mean_axis(kl, 0)?);
        Ok(UnitOutputs { z, m1, m2, c2, d0, lv, kl: Some(kl), mean_kl })
    }
}
