//! The usermode harness: virtual world, simulated consumers, checkers and command line.
//!
//! * `world`: one clock, one event heap, seeded dice; nodes joined by a wire with bad manners.
//! * `station`: what sits on the wire: a natively built provider, or a simulated machine.
//! * `platform`: what a node lends the provider.
//! * `tcpip`: a TCP/IP stack for ordinary traffic.
//! * `memory`: buffers with MDLs, as a consumer has them.
//! * `consumer`: a consumer's side of NDK, through dispatch-table function pointers only.
//! * `conformance`, `bed`: what consumers may count on, case by case, on whatever bed.
//! * `demo`: two hosts move a file the way SMB Direct does.
//! * `decode`: what is in a capture.
//! * `bench`: how fast the provider is on one core.
//! * `endpoint`: one host in real time, with rping as its consumer.
//! * `kernel`: a simulated Windows kernel that runs the driver image.
//! * `image`: softndk.sys built on Linux, and looked at.
//! * `cli`: the command line.

pub mod bed;
pub mod bench;
pub mod cli;
pub mod conformance;
pub mod consumer;
pub mod decode;
pub mod demo;
pub mod dice;
pub mod endpoint;
pub mod image;
pub mod kernel;
pub mod memory;
pub mod platform;
pub mod station;
pub mod tcpip;
pub mod wire;
pub mod world;
