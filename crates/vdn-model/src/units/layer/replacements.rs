//! Replacements of a layer's samples: draws from its prior, and the activities of a deterministic
//! twin.

use crate::core::graph::Graph;
use crate::priors::Prior;
use crate::units::layer::{UnitFamily, VariationalLayer};
use crate::units::stack::TwinUnits;
use vdn_autograd::{Error, Var};
use vdn_tensor::kernels::Pool;
use vdn_tensor::noise::NoiseKey;
use vdn_tensor::{Element, Shape};

impl VariationalLayer {
    /// Returns the deviation of a normal unit's activity under the standard prior. Pooling `K`
    /// standard normals changes it.
    #[must_use]
    pub fn prior_deviation(&self) -> f64 {
        let k = self.config.latent_dims as f64;
        match self.config.pooling {
            Some(Pool::Mean) => 1.0 / k.sqrt(),
            Some(Pool::Sum) => k.sqrt(),
            Some(Pool::SumSqrtK) | None => 1.0,
        }
    }

    /// Records activities of the shape `[samples, batch, channels]` drawn from the prior: the
    /// output of a layer whose units know nothing of their input. They carry no gradient.
    ///
    /// # Errors
    /// Fails if the tape is full.
    pub fn prior_activities<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        shape: Shape,
        key: NoiseKey,
    ) -> Result<Var, Error> {
        if self.config.family == UnitFamily::Normal && self.prior == Prior::StandardNormal {
            let deviation = self.prior_deviation();
            return graph.tape.constant_with(shape, |to| {
                key.fill_normal(0, to);
                to.iter_mut().for_each(|z| *z *= T::from_f64(deviation));
            });
        }
        let [samples, batch] = [shape.dims()[0], shape.dims()[1]];
        let dims = self.config.units * self.config.latent_dims;
        let draws = match self.family {
            None => {
                graph.tape.constant_with([samples, batch, dims], |to| key.fill_normal(0, to))?
            }
            Some(family) => {
                let rows = [samples * batch, dims];
                let standard = graph.tape.constant_with(rows, |to| to.fill(T::ZERO))?;
                let drawn = graph.tape.sample_family(family, standard, standard, 1, key)?;
                graph.tape.reshape(drawn.z, [samples, batch, dims])?
            }
        };
        let prior = self.learned_prior(graph);
        let z = self.off_prior_scale(graph, draws, prior)?;
        let z = match self.config.pooling {
            Some(pool) if self.config.latent_dims > 1 => {
                graph.tape.pool(z, self.config.latent_dims, pool)?
            }
            _ => z,
        };
        graph.tape.detach(z)
    }

    /// Records the activities of a deterministic twin,
    /// `[samples of the context or 1, batch, channels]`.
    ///
    /// # Errors
    /// Fails if the context has another width.
    pub fn twin_activities<T: Element>(
        &self,
        graph: &mut Graph<'_, T>,
        h: Var,
        twin: TwinUnits,
    ) -> Result<Var, Error> {
        let mut sent = self.means(graph, h)?;
        if twin == TwinUnits::Gated {
            sent = graph.labelled(&self.label, |graph| {
                let gate = self.log_sigma(graph, h)?;
                let gate = graph.tape.sigmoid(gate)?;
                let gate = graph.tape.scale(gate, T::from_f64(2.0))?;
                graph.tape.mul(sent, gate)
            })?;
        }
        let shape = *graph.tape.shape(sent);
        if shape.rank() == 2 {
            sent = graph.tape.reshape(sent, shape.prepend(1)?)?;
        }
        match self.config.pooling {
            Some(pool) => graph.tape.pool(sent, self.config.latent_dims, pool),
            None => Ok(sent),
        }
    }
}
