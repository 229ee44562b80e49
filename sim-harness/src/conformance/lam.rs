//! LAM: logical address mappings.

use super::Case;

/// The cases of this file.
pub const CASES: &[Case] = &[];
