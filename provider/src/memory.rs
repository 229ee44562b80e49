//! Memory registration: what tokens and logical addresses mean, and the only code that touches consumer memory.
//!
//! * `copy`: the one function that does touch it.
//! * `logical`: NDK_LOGICAL_ADDRESS values and the mappings behind them.
//! * `table`: regions, windows and protection domains, in slots that tokens name.
//! * `requests`: what work requests do to them.
//! * `turn`: the table as one turn of a queue pair sees it; implements the engine's `Regions`.
//! * `mdl`: what a consumer's MDL chain describes.
//!
//! Nothing here waits and nothing holds a lock over a copy. Revoking access is T-03: nothing starts after, a copy in
//! flight finishes first, and whoever is the last one out tells whoever waits.

mod copy;
mod free;
mod gate;
mod logical;
pub mod mdl;
mod pages;
mod requests;
mod stage;
mod table;
mod turn;

#[cfg(all(test, not(loom)))]
pub(crate) mod tests;

pub use logical::{LogicalSpace, MAPPING_SIZE_MAX, MAPPINGS_MAX};
pub use pages::PagesRefused;
pub use requests::{InitializeRefused, StageRefused};
pub use stage::StageOwner;
pub use table::{Deregistered, Domain, RegionKind, RegionTable, Registration, Wake};
pub use turn::{TurnOwner, TurnRegions};
