//! [`LayerReports`]: the health of the units of every layer, and the value and cost of all of them.

use crate::data::Noun;
use crate::units::layer_use::LayerUse;
use crate::units::unit_report::{UnitReport, use_line};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::fmt;

/// The units of a model's layers.
///
/// As JSON, a model of one layer is its [`UnitReport`]. A model of several layers has `layers` and
/// `together`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReports {
    /// The number of layers of the model, including layers without distributional units.
    pub depth: usize,
    /// The layers with distributional units, from the encoder up.
    pub layers: Vec<LayerReport>,
    /// The value of all layers together on all validation windows; `None` without a probe.
    pub together: Option<LayerUse>,
    /// The name of an example in reports.
    pub examples: Noun,
}

/// The units of one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// The number of the layer, from 1.
    pub layer: usize,
    /// The units of the layer.
    #[serde(flatten)]
    pub units: UnitReport,
}

impl LayerReports {
    /// The units of the first of these layers. In a model of one layer these are all units.
    #[must_use]
    pub fn first(&self) -> Option<&UnitReport> {
        self.layers.first().map(|layer| &layer.units)
    }
}

impl Serialize for LayerReports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.depth, &self.layers[..]) {
            (1, [only]) => only.units.serialize(serializer),
            _ => {
                let mut all = serializer.serialize_struct("LayerReports", 2)?;
                all.serialize_field("layers", &self.layers)?;
                all.serialize_field("together", &self.together)?;
                all.end()
            }
        }
    }
}

impl fmt::Display for LayerReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (1, Some(only)) = (self.depth, self.first()) {
            return only.fmt(f);
        }
        for (place, LayerReport { layer, units }) in self.layers.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            units.lines(f, &format!("layer {layer}: "))?;
        }
        match &self.together {
            Some(together) => {
                write!(f, "\n{}", use_line("together  ", "all layers", together, self.examples))
            }
            None => Ok(()),
        }
    }
}
