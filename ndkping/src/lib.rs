//! ndkping.sys: a small NDK consumer. It measures latency and bandwidth between two hosts, asked for by IOCTLs (`ioctl`).

#![no_std]

extern crate wdk_panic;

pub mod client;
pub mod course;
pub mod dispatch;
pub mod endpoint;
pub mod entry;
pub mod hello;
pub mod ioctl;
pub mod irp;
pub mod job;
pub mod jobs;
pub mod kernel;
pub mod lane;
pub mod latency;
pub mod ndk;
pub mod number;
pub mod pattern;
pub mod samples;
pub mod server;
pub mod wsk;
