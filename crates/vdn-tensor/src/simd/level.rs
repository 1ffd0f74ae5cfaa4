//! Which levels exist, which of them this machine has, and which one is in use.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// A SIMD level. All have sixteen logical lanes; results agree bit for bit between the levels with fused
/// multiply-add (AVX2, AVX-512, NEON through [`Level::Portable`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The `wide` crate at the build's baseline: SSE2 on x86-64 without flags, NEON on AArch64, SIMD128 on wasm.
    Portable,
    /// Two 256-bit vectors, with FMA.
    Avx2,
    /// One 512-bit vector (AVX-512 F, BW, DQ, VL).
    Avx512,
}

impl Level {
    /// The name used by `VDN_SIMD`: `portable`, `avx2`, `avx512`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this machine can run the level.
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

/// A SIMD level that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LevelError {
    /// `VDN_SIMD` names no level.
    Unknown(String),
    /// This machine lacks the level.
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

/// The level in use: `UNSET`, or a level's number plus one.
static CURRENT: AtomicU8 = AtomicU8::new(UNSET);
const UNSET: u8 = 0;

fn decode(code: u8) -> Option<Level> {
    [Level::Portable, Level::Avx2, Level::Avx512].into_iter().find(|&l| encode(l) == code)
}

fn encode(level: Level) -> u8 {
    level as u8 + 1
}

/// The levels that this machine can run, lowest first.
#[must_use]
pub fn available() -> Vec<Level> {
    let all = [Level::Portable, Level::Avx2, Level::Avx512];
    all.into_iter().filter(|level| level.is_available()).collect()
}

/// The level in use: what [`set_level`] chose, else what the environment variable `VDN_SIMD` asks for, else the best
/// that this machine has. Found once, then cached.
///
/// # Errors
/// `VDN_SIMD` names no level, or one that this machine lacks.
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

/// Chooses the level for the whole process from now on, for benchmarks and tests that compare levels.
///
/// # Errors
/// This machine lacks the level.
pub fn set_level(level: Level) -> Result<(), LevelError> {
    if !level.is_available() {
        return Err(LevelError::Absent(level));
    }
    CURRENT.store(encode(level), Ordering::Relaxed);
    Ok(())
}
