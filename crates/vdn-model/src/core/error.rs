//! [`ModelError`]: a faulty configuration of a model, or an input that does not fit it.

use std::fmt;

/// The error of a model that cannot be built, or of an input that does not fit it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ModelError {
    /// A setting outside its domain.
    Config {
        /// The name of the field in the configuration struct.
        setting: &'static str,
        /// Its value, if the value alone is wrong.
        value: Option<String>,
        /// Its domain, or the setting that it contradicts.
        reason: String,
    },
    /// A batch that does not fit the model.
    Batch(String),
    /// A number in a pass is not finite. The message names the operation, the layer and the unit in
    /// which it first appeared.
    NonFinite(String),
    /// A state of controllers that does not fit them.
    Control(String),
    /// Stored weights do not fit the model, or cannot be read.
    Weights(String),
    /// Two modules would share their noise. Each is named by its path and the purpose of the noise.
    SharedNoise {
        /// The number of the stream.
        stream: u32,
        /// The module that already has the stream.
        holder: String,
        /// The module that was refused.
        refused: String,
    },
    /// An error of an operation on the tape.
    Autograd(vdn_autograd::Error),
}

impl ModelError {
    /// Creates the error of a setting that has no meaning or contradicts another setting.
    pub fn config(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::Config { setting, value: None, reason: reason.into() }
    }

    /// Creates the error of a value outside its domain: `units = 0: has to be at least 1`.
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

/// Returns an error that names `setting` unless its value is inside its domain.
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
