//! [`PerLayer`]: a setting that may differ between the layers of a stack.
//!
//! Most settings are the same for all layers, so one value is enough; in a file it is
//! `distributional_fraction = 0.5`. A list, `distributional_fraction = [1.0, 0.5]`, gives one value
//! for each layer.

use crate::core::error::ModelError;

/// The largest number of layers in a stack.
pub const MAX_DEPTH: usize = 16;

/// A setting of the layers of a stack: one value for all layers, or one value for each.
///
/// ```
/// use vdn_model::units::PerLayer;
/// assert_eq!(PerLayer::all(0.5).get(7), 0.5);
/// let widths = PerLayer::each(&[64, 32, 16])?;
/// assert_eq!((widths.get(1), widths.layers()), (32, Some(3)));
/// # Ok::<(), vdn_model::core::ModelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerLayer<V> {
    values: [V; MAX_DEPTH],
    layers: Option<usize>,
}

impl<V: Copy> PerLayer<V> {
    /// Creates a setting with the same value for every layer, however many there are.
    #[must_use]
    pub const fn all(value: V) -> Self {
        Self { values: [value; MAX_DEPTH], layers: None }
    }

    /// Creates a setting with one value for each layer; the first is for the layer that sees the
    /// encoder.
    ///
    /// # Errors
    /// Fails if there are no values, or more than [`MAX_DEPTH`].
    pub fn each(values: &[V]) -> Result<Self, ModelError> {
        let (Some(&first), 1..=MAX_DEPTH) = (values.first(), values.len()) else {
            let domain = format!("1 to {MAX_DEPTH}, one value a layer");
            return Err(ModelError::domain("layers", values.len(), domain));
        };
        let mut own = Self { values: [first; MAX_DEPTH], layers: Some(values.len()) };
        own.values[..values.len()].copy_from_slice(values);
        Ok(own)
    }

    /// Applies `f` to every value.
    #[must_use]
    pub fn map<U>(self, f: impl FnMut(V) -> U) -> PerLayer<U> {
        PerLayer { values: self.values.map(f), layers: self.layers }
    }

    /// Returns the value of layer `layer`, counted from 0.
    ///
    /// # Panics
    /// Panics if `layer` is [`MAX_DEPTH`] or more.
    #[must_use]
    pub fn get(&self, layer: usize) -> V {
        self.values[layer]
    }

    /// Returns the number of layers for which values were given; `None` if the setting fits any
    /// number.
    #[must_use]
    pub fn layers(&self) -> Option<usize> {
        self.layers
    }

    /// Refuses values for another number of layers.
    pub fn fits(&self, setting: &'static str, depth: usize) -> Result<(), ModelError> {
        match self.layers {
            Some(layers) if layers != depth => {
                let reason = format!("{layers} values, the model has {depth} layers");
                Err(ModelError::config(setting, reason))
            }
            _ => Ok(()),
        }
    }
}

/// Serialises as one value for all layers or as a list.
#[cfg(feature = "serde")]
mod as_value_or_list {
    use super::PerLayer;
    use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
    use serde::de::{Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::fmt;
    use std::marker::PhantomData;

    impl<V: Copy + Serialize> Serialize for PerLayer<V> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.layers {
                None => self.values[0].serialize(serializer),
                Some(layers) => self.values[..layers].serialize(serializer),
            }
        }
    }

    /// Decides by the kind of the input, not by trial. Errors then come from the value's own type,
    /// and list the valid names.
    impl<'de, V: Copy + Deserialize<'de>> Deserialize<'de> for PerLayer<V> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(ValueOrList(PhantomData))
        }
    }

    struct ValueOrList<V>(PhantomData<V>);

    impl<'de, V: Copy + Deserialize<'de>> Visitor<'de> for ValueOrList<V> {
        type Value = PerLayer<V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value, or a list with one for each layer")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            V::deserialize(text.into_deserializer()).map(PerLayer::all)
        }

        fn visit_bool<E: Error>(self, truth: bool) -> Result<Self::Value, E> {
            V::deserialize(truth.into_deserializer()).map(PerLayer::all)
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
            V::deserialize(number.into_deserializer()).map(PerLayer::all)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            V::deserialize(number.into_deserializer()).map(PerLayer::all)
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            V::deserialize(number.into_deserializer()).map(PerLayer::all)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            V::deserialize(MapAccessDeserializer::new(map)).map(PerLayer::all)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Self::Value, A::Error> {
            let values = Vec::deserialize(SeqAccessDeserializer::new(values))?;
            PerLayer::each(&values).map_err(|_| {
                let reason = format!("has to have 1 to {} values, one a layer", super::MAX_DEPTH);
                A::Error::custom(reason)
            })
        }
    }
}
