//! Stand-in for the crate wdk.

#![no_std]

/// Whether a status is one of success or information.
#[must_use]
pub const fn nt_success(status: wdk_sys::NTSTATUS) -> bool {
    status >= 0
}
