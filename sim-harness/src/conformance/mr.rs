//! MR: memory regions.

use super::Case;

/// The cases of this file.
pub const CASES: &[Case] = &[];
