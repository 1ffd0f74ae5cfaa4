//! The SIMD levels: which exist, which this machine has, and which one is in use.
//!
//! One build serves all machines: kernels are compiled for every level, and the level is chosen
//! when the first kernel runs. The environment variable `VDN_SIMD` overrides the choice. A level
//! that the machine does not have is an error, not a fallback, so that a measurement never runs on
//! another level than the requested one.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// A SIMD level. All levels have sixteen logical lanes. Results agree bit for bit between the
/// levels with fused multiply-add (AVX2, AVX-512, and NEON through [`Level::Portable`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The `wide` crate at the build's baseline: SSE2 on x86-64 without flags, NEON on AArch64,
    /// SIMD128 on wasm.
    Portable,
    /// Two 256-bit vectors, with FMA.
    Avx2,
    /// One 512-bit vector (AVX-512 F, BW, DQ, VL).
    Avx512,
}

impl Level {
    /// Returns the name used by `VDN_SIMD`: `portable`, `avx2`, `avx512`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Returns whether this machine can run the level.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => super::Avx2::try_new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => super::Avx512::try_new().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = LevelError;
    fn from_str(name: &str) -> Result<Self, LevelError> {
        [Self::Portable, Self::Avx2, Self::Avx512]
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| LevelError::Unknown(name.to_owned()))
    }
}

/// The error of a SIMD level that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LevelError {
    /// `VDN_SIMD` does not name a level.
    Unknown(String),
    /// This machine does not have the level.
    Absent(Level),
}

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "VDN_SIMD={name}: unknown level, use portable, avx2 or avx512")
            }
            Self::Absent(level) => {
                write!(f, "VDN_SIMD={level}: this machine lacks the level {level}")
            }
        }
    }
}

impl std::error::Error for LevelError {}

/// The level in use: `UNSET`, or the level's number plus one.
static CURRENT: AtomicU8 = AtomicU8::new(UNSET);
const UNSET: u8 = 0;

fn decode(code: u8) -> Option<Level> {
    [Level::Portable, Level::Avx2, Level::Avx512].into_iter().find(|&l| encode(l) == code)
}

fn encode(level: Level) -> u8 {
    level as u8 + 1
}

/// Returns the levels that this machine can run, lowest first.
#[must_use]
pub fn available() -> Vec<Level> {
    let all = [Level::Portable, Level::Avx2, Level::Avx512];
    all.into_iter().filter(|level| level.is_available()).collect()
}

/// Returns the level in use: the choice of [`set_level`]; otherwise the level in the environment
/// variable `VDN_SIMD`; otherwise the best level of this machine. It is determined once, then
/// cached.
///
/// # Errors
/// Fails if `VDN_SIMD` does not name a level, or names one that this machine does not have.
#[inline]
pub fn level() -> Result<Level, LevelError> {
    match decode(CURRENT.load(Ordering::Relaxed)) {
        Some(level) => Ok(level),
        None => detect(),
    }
}

#[cold]
fn detect() -> Result<Level, LevelError> {
    let level = match std::env::var("VDN_SIMD") {
        Ok(name) => name.parse()?,
        Err(std::env::VarError::NotUnicode(name)) => {
            return Err(LevelError::Unknown(name.to_string_lossy().into_owned()));
        }
        Err(std::env::VarError::NotPresent) => *available().last().unwrap_or(&Level::Portable),
    };
    set_level(level)?;
    Ok(level)
}

/// Sets the level for the whole process from now on, for benchmarks and tests that compare levels.
///
/// # Errors
/// Fails if this machine does not have the level.
pub fn set_level(level: Level) -> Result<(), LevelError> {
    if !level.is_available() {
        return Err(LevelError::Absent(level));
    }
    CURRENT.store(encode(level), Ordering::Relaxed);
    Ok(())
}
