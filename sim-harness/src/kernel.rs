//! The simulated Windows kernel: loads a driver image, binds its imports to implementations of its own, and uses it as Windows
//! would, at Driver Verifier's strictest (DESIGN D7).
//!
//! * `machine`: one simulated machine: its memory, threads, deferred work, loaded images, and what it holds against them.
//! * `stack`, `loader`, `export`, `directory`: the border to image code, how an image comes in, what it may call, where it is.
//! * `sched`, `irql`: kernel threads, one at a time; the level of a processor. `processors`: several that run at the same time.
//! * `fault`: what images expect of a processor in a kernel, and what ends a run.
//! * `verifier`: the list of broken rules.
//! * `driver`: a driver from its entry to its unload. `kmdf`: the driver framework.
//! * `contract`: what consumers owe NDK, watched between them and the provider.
//! * `nt`: ntoskrnl. `cng`: CNG.SYS. `netio`: NETIO.SYS. `ndis`: NDIS.SYS. `wdk`: its types and prototypes, as the image has them.

#![expect(
    clippy::not_unsafe_ptr_arg_deref,
    clippy::cast_ptr_alignment,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a kernel is given addresses by drivers and answers with addresses: each use says on which page's promise it rests"
)]

#[cfg(test)]
mod bad_drivers;
mod cng;
pub mod contract;
pub mod directory;
pub mod driver;
pub mod export;
pub mod fault;
pub mod host;
pub mod irql;
pub mod kmdf;
pub mod loader;
pub mod machine;
pub mod ndis;
pub mod netio;
pub mod nic;
pub mod nt;
pub mod processors;
pub mod sched;
pub mod stack;
pub mod verifier;
pub mod wdk;

pub use directory::owner_of;
pub use machine::Machine;
