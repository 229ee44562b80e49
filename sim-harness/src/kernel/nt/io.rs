//! The I/O manager: devices and their names, I/O request packets (IRPs), files opened by programs.
//!
//! * `devices`: IoCreateDevice, symbolic links, the name space.
//! * `irps`: a request on its way down and up a stack of devices; completion routines; cancellation.
//! * `csq`: cancel-safe queues, which drivers keep pended requests in.
//! * `files`: what a program does, as functions of the simulator: open, control, cancel, close.
//!
//! What Driver Verifier says of requests is a violation of the rule `irp`: completed twice, completed as pending, neither
//! completed nor pended, marked pending and not returned so or the other way round, returned with another status than it was
//! completed with, completed with a cancel routine set, more bytes than the caller has room for.

mod csq;
mod devices;
mod files;
mod irps;
#[cfg(test)]
mod tests;

use crate::kernel::export::Export;
use crate::kernel::wdk::NTSTATUS;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use devices::{devices, entered};
pub use files::{Direction, File, Request, cancel, close, device_io_control, in_program, open, submit, transfer};
pub use irps::{complete, next_location};

/// Statuses of the I/O manager and of names.
pub mod status {
    use super::NTSTATUS;

    /// STATUS_NO_SUCH_DEVICE
    pub const NO_SUCH_DEVICE: NTSTATUS = 0xc000_000e_u32.cast_signed();
    /// STATUS_MORE_PROCESSING_REQUIRED
    pub const MORE_PROCESSING_REQUIRED: NTSTATUS = 0xc000_0016_u32.cast_signed();
    /// STATUS_OBJECT_NAME_INVALID
    pub const OBJECT_NAME_INVALID: NTSTATUS = 0xc000_0033_u32.cast_signed();
    /// STATUS_OBJECT_NAME_NOT_FOUND
    pub const OBJECT_NAME_NOT_FOUND: NTSTATUS = 0xc000_0034_u32.cast_signed();
    /// STATUS_OBJECT_PATH_SYNTAX_BAD
    pub const OBJECT_PATH_SYNTAX_BAD: NTSTATUS = 0xc000_003b_u32.cast_signed();
}

#[derive(Debug, Default)]
struct State {
    devices: BTreeMap<usize, devices::Device>,
    /// Symbolic links: name in upper case, and the target as it was given.
    links: BTreeMap<String, String>,
    files: BTreeMap<usize, files::Opened>,
    irps: BTreeMap<usize, irps::Live>,
    /// Requests that are gone, the last few: who completes one again is told so.
    gone: VecDeque<usize>,
    /// Dispatch routines that completed their request and still run.
    finished: Vec<irps::Call>,
    next_call: u64,
}

/// The I/O manager of one machine.
#[derive(Debug, Default)]
pub struct Io {
    state: Mutex<State>,
    /// The system-wide cancel spin lock.
    cancel_lock: AtomicU64,
}

impl Io {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is a device or an open file.
    pub(super) fn knows(&self, object: usize) -> bool {
        let state = self.state();
        state.devices.contains_key(&object) || state.files.contains_key(&object)
    }

    /// What is left of a driver that has unloaded.
    pub(super) fn leaks(&self) -> Vec<String> {
        let state = self.state();
        let devices = state.devices.iter().map(|(at, device)| format!("device {} at {at:#x}", device.shown()));
        let links = state.links.iter().map(|(name, target)| format!("symbolic link {name} to {target}"));
        let files = state.files.values().map(|file| format!("open file {}", file.path));
        let ours = state.irps.iter().filter(|(_, irp)| irp.ours);
        let irps = ours.map(|(at, irp)| format!("request {at:#x} ({})", irp.what));
        devices.chain(links).chain(files).chain(irps).collect()
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    devices::exports().into_iter().chain(irps::exports()).chain(csq::exports())
}
