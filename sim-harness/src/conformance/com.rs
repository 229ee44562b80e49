//! COM: rules common to all objects and callbacks.

use super::Case;

/// The cases of this file.
pub const CASES: &[Case] = &[];
