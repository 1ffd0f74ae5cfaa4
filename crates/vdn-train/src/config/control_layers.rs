//! Settings of the controllers of single layers, which override the settings of all layers.
//!
//! ```toml
//! [control]                  # of every layer with distributional units
//! mode = "rate"
//! [control.rate]
//! target = 0.3
//! [[control.layer]]          # over them, in one layer: any of the same keys
//! layer = 1                  # from 1: the layer that sees the encoder
//! rate.target = 0.1
//! [[control.layer]]
//! layer = 3
//! mode = "none"
//! ```

use crate::config::control::ControlConfig;
use crate::config::controller_set::ControllerName;
use crate::config::layered::{lay_over, parse, read_at};
use crate::error::TrainError;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The settings that differ in one layer: some of the keys of `[control]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerOverride {
    /// The number of the layer, from 1.
    pub layer: usize,
    #[serde(flatten)]
    settings: Table,
}

impl LayerOverride {
    /// Creates the settings of layer number `layer` (from 1). `settings` is TOML with keys of
    /// `[control]`.
    ///
    /// ```
    /// use vdn_train::config::{ControlConfig, LayerOverride};
    /// let mut control = ControlConfig::default();
    /// control.choose(["rate"])?;
    /// control.layer.push(LayerOverride::new(2, "rate.target = 0.3")?);
    /// assert_eq!(control.of_layer(1)?.rate.target, None);
    /// assert_eq!(control.of_layer(2)?.rate.target, Some(0.3));
    /// # Ok::<(), vdn_train::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the text is not TOML.
    pub fn new(layer: usize, settings: &str) -> Result<Self, TrainError> {
        Ok(Self { layer, settings: parse(settings)? })
    }
}

/// Removes from `base` the goals of the tables in which `over` gives others: an interval replaces a
/// value, and a value replaces an interval.
fn forget_other_goals(base: &mut Table, over: &Table) {
    for key in ["rate", "kl", "persistence"] {
        let (Some(Value::Table(base)), Some(Value::Table(over))) =
            (base.get_mut(key), over.get(key))
        else {
            continue;
        };
        if over.contains_key("low") || over.contains_key("high") {
            base.remove("target");
        }
        if over.contains_key("target") && key == "persistence" {
            base.remove("low");
            base.remove("high");
        }
    }
}

impl ControlConfig {
    /// The settings of layer number `layer`, from 1.
    ///
    /// # Errors
    /// Returns an error if the layer's own settings have an unknown key or a value of the wrong
    /// type.
    pub fn of_layer(&self, layer: usize) -> Result<Self, TrainError> {
        let base = Self { layer: Vec::new(), ..self.clone() };
        let mut own = self.layer.iter().filter(|own| own.layer == layer).peekable();
        if own.peek().is_none() {
            return Ok(base);
        }
        let mut table =
            Table::try_from(&base).map_err(|error| TrainError::config(error.to_string()))?;
        own.for_each(|own| {
            forget_other_goals(&mut table, &own.settings);
            lay_over(&mut table, &own.settings);
        });
        read_at(&format!("control.layer {layer}: "), Value::Table(table))
    }

    /// Checks the settings of single layers: their keys, and that no layer is given twice.
    ///
    /// # Errors
    /// Returns an error for the first layer with wrong settings; the error names the layer.
    pub fn check_layers(&self, depth: Option<usize>) -> Result<(), TrainError> {
        for (place, own) in self.layer.iter().enumerate() {
            let layer = own.layer;
            if layer == 0 || depth.is_some_and(|depth| layer > depth) {
                let last = depth.map_or_else(String::new, |depth| format!(", at most {depth}"));
                let reason = format!("control.layer.layer = {layer}: has to be at least 1{last}");
                return Err(TrainError::config(reason));
            }
            if self.layer[..place].iter().any(|other| other.layer == layer) {
                return Err(TrainError::config(format!("control.layer {layer}: is there twice")));
            }
            self.of_layer(layer)?;
        }
        Ok(())
    }

    /// The settings of all layers, then the settings of single layers. Invalid settings are left
    /// out.
    pub(super) fn variants(&self) -> impl Iterator<Item = Self> + '_ {
        let own = self.layer.iter().filter_map(|own| self.of_layer(own.layer).ok());
        self.of_layer(0).into_iter().chain(own)
    }

    /// Whether a layer may have this controller, by the mode or in addition to it.
    #[must_use]
    pub fn has_anywhere(&self, name: ControllerName) -> bool {
        self.variants().any(|own| own.has(name))
    }

    /// Whether a controller needs the KL of every row.
    #[must_use]
    pub fn wants_rows(&self) -> bool {
        self.has_anywhere(ControllerName::Thermostat)
    }

    /// Whether a controller needs the predecessors of earlier windows.
    #[must_use]
    pub fn wants_predecessors(&self) -> bool {
        let wants = |own: Self| {
            own.has(ControllerName::Persistence)
                || own.has(ControllerName::Ar)
                    && own.ar.earlier == vdn_model::objective::EarlierWindow::Predecessor
        };
        self.variants().any(wants)
    }
}
