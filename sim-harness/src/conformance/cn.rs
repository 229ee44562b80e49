//! CN: connector and connection state machine.

use super::Case;

/// The cases of this file.
pub const CASES: &[Case] = &[];
