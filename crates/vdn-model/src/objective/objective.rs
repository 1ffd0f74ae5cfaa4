//! [`Objective`]: the function that a network minimises.

/// The function that training minimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Objective {
    /// The predictive score plus `beta` times the KL of every unit.
    #[default]
    Vib,
    /// The negative evidence lower bound: the mean over samples of the negative log-likelihood,
    /// plus the KL.
    Elbo,
    /// The importance-weighted bound (Burda, Grosse and Salakhutdinov 2016).
    Iwae,
}
