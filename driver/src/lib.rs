//! softndk.sys: an NDK provider in software, as an NDIS intermediate driver.

#![no_std]

#[global_allocator]
static ALLOCATOR: wdk_alloc::WdkAllocator = wdk_alloc::WdkAllocator;

extern crate alloc;
extern crate wdk_panic;

pub mod adapter;
pub mod config;
pub mod kernel;
pub mod miniport;

pub mod binding;
pub mod data_path;
pub mod protocol;
pub mod routes;

use wdk_sys::{NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, STATUS_SUCCESS};

/// The driver's entry.
///
/// # Safety
/// The loader's contract.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(_driver: PDRIVER_OBJECT, _registry_path: PCUNICODE_STRING) -> NTSTATUS {
    STATUS_SUCCESS
}
