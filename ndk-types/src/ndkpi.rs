//! ndkpi.h: the NDK provider interface.

mod callbacks;
mod dispatch;
mod flags;
mod functions;
mod objects;

pub use callbacks::*;
pub use dispatch::*;
pub use flags::*;
pub use functions::*;
pub use objects::*;
