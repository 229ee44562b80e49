//! ADP: the adapter object.

use super::Case;

/// The cases of this file.
pub const CASES: &[Case] = &[];
