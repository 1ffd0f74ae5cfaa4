//! The priors of units.

/// What a unit's posterior is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prior {
    /// `Normal(0, 1)`, the same for every unit.
    #[default]
    StandardNormal,
}
