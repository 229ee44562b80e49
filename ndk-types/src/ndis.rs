//! ndis.h and its parts: what a miniport, a protocol and NDIS exchange.

mod attributes;
mod config;
mod link;
mod miniport;
mod nbl_info;
mod net_buffer;
mod object;
mod offload;
mod oid;
mod oids;
mod pnp;
mod protocol;
mod qos;
mod rss;
mod statuses;

pub use attributes::*;
pub use config::*;
pub use link::*;
pub use miniport::*;
pub use nbl_info::*;
pub use net_buffer::*;
pub use object::*;
pub use offload::*;
pub use oid::*;
pub use oids::*;
pub use pnp::*;
pub use protocol::*;
pub use qos::*;
pub use rss::*;
pub use statuses::*;
