//! softndk.sys: an NDK provider in software, as an NDIS intermediate driver.

#![no_std]

#[global_allocator]
static ALLOCATOR: wdk_alloc::WdkAllocator = wdk_alloc::WdkAllocator;

extern crate alloc;
extern crate wdk_panic;

pub mod adapter;
pub mod config;
pub mod entry;
pub mod event_log;
pub mod kernel;
pub mod miniport;
pub mod platform;

pub mod binding;
pub mod data_path;
pub mod protocol;
pub mod routes;
