//! The names that settings of the model have in TOML.

use crate::forecaster::{Aggregation, Variant};
use crate::modules::{Centre, OutputNoiseMode};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::marker::PhantomData;
use vdn_autograd::Score;
use vdn_model::Objective;
use vdn_model::{Activation, LayerPrior, MAX_DEPTH, PerLayer, SigmaMode};
use vdn_tensor::kernels::Pool;
use vdn_tensor::kernels::unit::ClampGradient;
use vdn_train::TrainError;

/// Declares an enum of names and its conversions into the model's own type and back; `[$value]` is both the value and the
/// pattern that it matches.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident => $target:ty { $($(#[$variant_doc:meta])* $variant:ident => [$($value:tt)+],)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl From<$name> for $target {
            fn from(name: $name) -> Self {
                match name { $($name::$variant => $($value)+,)* }
            }
        }

        impl From<$target> for $name {
            fn from(value: $target) -> Self {
                match value { $($($value)+ => Self::$variant,)* }
            }
        }
    };
}

names! {
    /// Where the posteriors' deviations come from.
    SigmaName => SigmaMode {
        /// One parameter.
        Scalar => [SigmaMode::Scalar],
        /// One parameter for each latent dimension.
        PerUnit => [SigmaMode::PerUnit],
        /// A head on the context.
        PerUnitInput => [SigmaMode::PerUnitInput],
    }
}

names! {
    /// How the latent dimensions of a unit become one activity.
    PoolName => Option<Pool> {
        /// They stay apart.
        None => [None],
        /// Their mean.
        Mean => [Some(Pool::Mean)],
        /// Their sum.
        Sum => [Some(Pool::Sum)],
        /// Their sum over the root of their number.
        SumSqrtk => [Some(Pool::SumSqrtK)],
    }
}

names! {
    /// How samples become a point forecast.
    AggregationName => Aggregation {
        /// Their mean.
        Mean => [Aggregation::Mean],
        /// The median of the mixture.
        Median => [Aggregation::Median],
        /// The lower of the middle samples, as the reference has it.
        LowerMedian => [Aggregation::LowerMedian],
        /// Weighted by the head's scores.
        Score => [Aggregation::Score],
    }
}

names! {
    /// The predictive score.
    ScoreName => Score {
        /// Averaged over the horizon before the samples are mixed.
        Tempered => [Score::Tempered],
        /// Mixed at each step.
        Marginal => [Score::Marginal],
        /// Mixed over whole windows.
        Joint => [Score::Joint],
    }
}

names! {
    /// What training minimises.
    ObjectiveName => Objective {
        /// The predictive score plus the weighted KL.
        Vib => [Objective::Vib],
        /// The negative evidence lower bound.
        Elbo => [Objective::Elbo],
        /// The importance-weighted bound.
        Iwae => [Objective::Iwae],
    }
}

names! {
    /// What is subtracted from a window before the encoder.
    CentreName => Centre {
        /// Nothing.
        Off => [Centre::Off],
        /// Its mean.
        Mean => [Centre::Mean],
        /// Its last value.
        Last => [Centre::Last],
    }
}

names! {
    /// Where the output deviation comes from.
    OutputNoiseName => OutputNoiseMode {
        /// One parameter per step.
        Constant => [OutputNoiseMode::Constant],
        /// The encoder's context.
        FromContext => [OutputNoiseMode::FromContext],
    }
}

names! {
    /// What becomes of the gradient of a deviation outside its hard limits.
    ClampName => ClampGradient {
        /// It passes when it leads back inside.
        Inward => [ClampGradient::Inward],
        /// It is dropped.
        Zero => [ClampGradient::Zero],
    }
}

names! {
    /// Which model is built.
    VariantName => Variant {
        /// Units send samples on.
        Variational => [Variant::Variational],
        /// The deterministic twin.
        Twin => [Variant::Twin],
        /// The reference's weaker twin.
        ReferenceTwin => [Variant::ReferenceTwin],
        /// The deterministic twin that uses every parameter.
        GatedTwin => [Variant::GatedTwin],
    }
}

names! {
    /// What layers from the second up apply to the activities below.
    ActivationName => Activation {
        /// Nothing.
        Identity => [Activation::Identity],
        /// The exact GELU.
        Gelu => [Activation::Gelu],
    }
}

/// The family of the units' distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FamilyName {
    /// Normal.
    Normal,
    /// Log-normal.
    LogNormal,
    /// Laplace.
    Laplace,
    /// Logistic.
    Logistic,
    /// Student's t, with `degrees_of_freedom`.
    StudentT,
}

names! {
    /// What the posteriors are compared with.
    PriorName => LayerPrior {
        /// The standard member of their family.
        Standard => [LayerPrior::Standard],
        /// Location and scale learned for each latent dimension.
        Learned => [LayerPrior::Learned],
    }
}

/// One value for all layers, or one for each from the first up.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OneOrEach<V> {
    /// For all.
    One(V),
    /// For each.
    Each(Vec<V>),
}

/// By the kind of what is there, and not by trial, so that errors are those of the value: they list the names there are.
impl<'de, V: Deserialize<'de>> Deserialize<'de> for OneOrEach<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrEachVisitor(PhantomData))
    }
}

struct OneOrEachVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for OneOrEachVisitor<V> {
    type Value = OneOrEach<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, or a list with one for each layer")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        V::deserialize(text.into_deserializer()).map(OneOrEach::One)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        V::deserialize(number.into_deserializer()).map(OneOrEach::One)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        V::deserialize(number.into_deserializer()).map(OneOrEach::One)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        V::deserialize(number.into_deserializer()).map(OneOrEach::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(values)).map(OneOrEach::Each)
    }
}

impl<V: Copy> OneOrEach<V> {
    /// For the layers of a model; `setting` is the name in errors.
    pub(super) fn per_layer(&self, setting: &str) -> Result<PerLayer<V>, TrainError> {
        match self {
            Self::One(value) => Ok(PerLayer::all(*value)),
            Self::Each(values) => PerLayer::each(values).map_err(|_| {
                let given = values.len();
                let reason = format!("{given} values, has to be 1 to {MAX_DEPTH}, one a layer");
                TrainError::config(format!("model.{setting}: {reason}"))
            }),
        }
    }
}

impl<V: Copy> From<PerLayer<V>> for OneOrEach<V> {
    fn from(values: PerLayer<V>) -> Self {
        match values.layers() {
            None => Self::One(values.get(0)),
            Some(layers) => Self::Each((0..layers).map(|layer| values.get(layer)).collect()),
        }
    }
}
