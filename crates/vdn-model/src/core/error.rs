//! What can be wrong with a model: its configuration, or what it is fed.

use std::fmt;

/// A model that cannot be built, or an input that does not fit it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ModelError {
    /// A setting outside its domain.
    Config {
        /// The field of the configuration's struct.
        setting: &'static str,
        /// Its value, where the value by itself is wrong.
        value: Option<String>,
        /// Its domain, or what it contradicts.
        reason: String,
    },
    /// A batch that does not fit the model.
    Batch(String),
    /// A number of a pass that is not finite: the operation, the layer and the unit it first
    /// appeared in.
    NonFinite(String),
    /// Controllers' state that does not fit them.
    Control(String),
    /// Stored weights that do not fit the model, or cannot be read.
    Weights(String),
    /// Two modules that would share their noise, each by its path and the purpose of the noise.
    SharedNoise {
        /// The number of the stream.
        stream: u32,
        /// The module that has the stream.
        holder: String,
        /// The module that was refused.
        refused: String,
    },
    /// An operation on the tape.
    Autograd(vdn_autograd::Error),
}

impl ModelError {
    /// A setting that has no meaning, or contradicts another one.
    pub fn config(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::Config { setting, value: None, reason: reason.into() }
    }

    /// A value outside its domain: `units = 0: has to be at least 1`.
    ///
    /// ```
    /// use vdn_model::core::ModelError;
    /// let error = ModelError::domain("units", 0, "at least 1");
    /// assert_eq!(error.to_string(), "units = 0: has to be at least 1");
    /// ```
    pub fn domain(
        setting: &'static str,
        value: impl fmt::Display,
        domain: impl fmt::Display,
    ) -> Self {
        let reason = format!("has to be {domain}");
        Self::Config { setting, value: Some(value.to_string()), reason }
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { setting, value: None, reason } => write!(f, "{setting}: {reason}"),
            Self::Config { setting, value: Some(value), reason } => {
                write!(f, "{setting} = {value}: {reason}")
            }
            Self::NonFinite(report) => f.write_str(report),
            Self::Batch(reason) => write!(f, "batch: {reason}"),
            Self::Control(reason) => write!(f, "control: {reason}"),
            Self::Weights(reason) => write!(f, "weights: {reason}"),
            Self::SharedNoise { holder, refused, .. } if holder == refused => {
                write!(f, "noise: {refused} is built twice; each module needs a name of its own")
            }
            Self::SharedNoise { stream, holder, refused } => write!(
                f,
                "noise: {refused} would share stream {stream} with {holder}; rename one of the two"
            ),
            Self::Autograd(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ModelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Autograd(error) => Some(error),
            _ => None,
        }
    }
}

impl From<vdn_autograd::Error> for ModelError {
    fn from(error: vdn_autograd::Error) -> Self {
        Self::Autograd(error)
    }
}

/// A setting outside of its domain, named.
pub(crate) fn check(
    setting: &'static str,
    value: f64,
    good: bool,
    domain: &str,
) -> Result<(), ModelError> {
    if good {
        return Ok(());
    }
    Err(ModelError::domain(setting, value, domain))
}
