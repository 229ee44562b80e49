//! OID: what the NDK OIDs answer.

use super::Case;

/// The cases of this file.
pub const CASES: &[Case] = &[];
