//! The simulated Windows kernel: loads a driver image, binds its imports to implementations of its own, and uses it as Windows
//! would, at Driver Verifier's strictest (DESIGN D7).

pub mod export;
pub mod irql;
pub mod loader;
pub mod sched;
pub mod stack;
pub mod verifier;
pub mod wdk;
