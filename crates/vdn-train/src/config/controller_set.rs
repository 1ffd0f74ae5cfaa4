//! The controllers that can be added to a mode.

use crate::config::control::{ControlConfig, ControlName};
use crate::error::TrainError;
use serde::{Deserialize, Serialize};

/// A controller that can be added to a mode: `controllers = ["ar", "free_bits"]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControllerName {
    /// The autoregressive penalty between a window and the one before it, held at a share of the
    /// loss: `[control.ar]`.
    Ar,
    /// The budget of the rate: `[control.rate]`.
    Rate,
    /// The budget of the KL: `[control.kl]`.
    Kl,
    /// A KL without cost up to a floor: `[control.free_bits]`.
    FreeBits,
    /// A rising weight of the KL: `[control.annealing]`.
    Annealing,
    /// A target for the layer's KL: `[control.capacity]`.
    Capacity,
    /// The least KL that a constraint on the score allows: `[control.geco]`.
    Geco,
    /// PI control of each unit's KL: `[control.pi]`.
    Pi,
    /// The thermostat of each unit's KL weight, without bands: `[control.thermostat]`.
    Thermostat,
    /// A target for the similarity of units from window to window: `[control.persistence]`.
    Persistence,
}

impl ControllerName {
    /// All controllers, in the order in which they act.
    pub const ALL: [Self; 10] = [
        Self::Thermostat,
        Self::Rate,
        Self::Kl,
        Self::FreeBits,
        Self::Annealing,
        Self::Capacity,
        Self::Geco,
        Self::Pi,
        Self::Ar,
        Self::Persistence,
    ];

    /// The name of the controller, which is also the name of its table.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Ar => "ar",
            Self::Rate => "rate",
            Self::Kl => "kl",
            Self::FreeBits => "free_bits",
            Self::Annealing => "annealing",
            Self::Capacity => "capacity",
            Self::Geco => "geco",
            Self::Pi => "pi",
            Self::Thermostat => "thermostat",
            Self::Persistence => "persistence",
        }
    }

    /// The name of the controller in messages.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Ar => "the AR penalty",
            Self::Rate => "the rate budget",
            Self::Kl => "the KL budget",
            Self::FreeBits => "free bits",
            Self::Annealing => "annealing",
            Self::Capacity => "the capacity target",
            Self::Geco => "GECO",
            Self::Pi => "PI control",
            Self::Thermostat => "the thermostat",
            Self::Persistence => "the persistence target",
        }
    }
}

/// The controllers that are added to a mode; in TOML a list of names.
///
/// ```
/// use vdn_train::config::{ControllerName, ControllerSet};
/// let set: ControllerSet = [ControllerName::Ar, ControllerName::FreeBits].into_iter().collect();
/// assert!(set.contains(ControllerName::Ar) && !set.contains(ControllerName::Pi));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<ControllerName>", into = "Vec<ControllerName>")]
pub struct ControllerSet(u16);

impl ControllerSet {
    /// Whether the set contains a controller.
    #[must_use]
    pub fn contains(self, name: ControllerName) -> bool {
        self.0 & (1 << name as u16) != 0
    }

    /// Removes a controller.
    pub fn remove(&mut self, name: ControllerName) {
        self.0 &= !(1 << name as u16);
    }

    /// Adds a controller.
    pub fn insert(&mut self, name: ControllerName) {
        self.0 |= 1 << name as u16;
    }
}

impl FromIterator<ControllerName> for ControllerSet {
    fn from_iter<I: IntoIterator<Item = ControllerName>>(names: I) -> Self {
        let mut set = Self::default();
        names.into_iter().for_each(|name| set.insert(name));
        set
    }
}

impl From<Vec<ControllerName>> for ControllerSet {
    fn from(names: Vec<ControllerName>) -> Self {
        names.into_iter().collect()
    }
}

impl From<ControllerSet> for Vec<ControllerName> {
    fn from(set: ControllerSet) -> Self {
        ControllerName::ALL.into_iter().filter(|&name| set.contains(name)).collect()
    }
}

impl ControlConfig {
    /// Chooses a mode, controllers, or both by name: `rate`, `homeo,ar`, `free_bits,annealing`.
    ///
    /// ```
    /// use vdn_train::config::{ControlConfig, ControlName, ControllerName};
    /// let mut control = ControlConfig::default();
    /// control.choose(["homeo", "ar"])?;
    /// assert_eq!(control.mode, ControlName::Homeo);
    /// assert!(control.has(ControllerName::Ar));
    /// assert!(control.choose(["homeo", "proj_on"]).is_err());
    /// # Ok::<(), vdn_train::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error for a name that is neither a mode nor a controller, and for a second mode.
    pub fn choose<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), TrainError> {
        use serde::de::IntoDeserializer;
        use serde::de::value::{Error, StrDeserializer};
        let read = |name: &'a str| -> StrDeserializer<'a, Error> { name.into_deserializer() };
        let (mut mode, mut controllers) = (None, ControllerSet::default());
        for name in names {
            if let Ok(found) = ControllerName::deserialize(read(name)) {
                controllers.insert(found);
            } else if let Ok(found) = ControlName::deserialize(read(name)) {
                if mode.is_some_and(|mode| mode != found) {
                    return Err(TrainError::config(format!("control {name}: a second mode")));
                }
                mode = Some(found);
            } else {
                let reason = format!(
                    "control {name}: neither a mode (none, rate, homeo, proj_on, proj_off) nor a \
                    controller (ar, kl, \
                     free_bits, annealing, capacity, geco, pi, thermostat, persistence)"
                );
                return Err(TrainError::config(reason));
            }
        }
        // `rate` is a mode and a controller: it is the mode unless another mode is named.
        if mode.is_none() && controllers.contains(ControllerName::Rate) {
            controllers.remove(ControllerName::Rate);
            mode = Some(ControlName::Rate);
        }
        self.mode = mode.unwrap_or(ControlName::None);
        self.controllers = controllers;
        Ok(())
    }
}
