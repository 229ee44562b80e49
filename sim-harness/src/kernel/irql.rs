//! The interrupt request level of a simulated processor, which is a thread.

use std::cell::Cell;
use std::fmt;

/// An interrupt request level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Irql {
    /// Threads.
    Passive = 0,
    /// Threads without APCs.
    Apc = 1,
    /// DPCs, spin locks.
    Dispatch = 2,
    /// Anything above: nothing simulated runs there.
    High = 15,
}

impl Irql {
    /// The level of this number; every level above DISPATCH_LEVEL is the same here.
    pub const fn of(level: u8) -> Self {
        match level {
            0 => Self::Passive,
            1 => Self::Apc,
            2 => Self::Dispatch,
            _ => Self::High,
        }
    }
}

impl fmt::Display for Irql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passive => "PASSIVE_LEVEL",
            Self::Apc => "APC_LEVEL",
            Self::Dispatch => "DISPATCH_LEVEL",
            Self::High => "HIGH_LEVEL",
        })
    }
}

thread_local! {
    static CURRENT: Cell<Irql> = const { Cell::new(Irql::Passive) };
}

/// The level of this processor.
pub fn current() -> Irql {
    CURRENT.get()
}

/// Sets the level and gives the one before. Whether that is allowed is for the caller to say.
pub fn set(irql: Irql) -> Irql {
    CURRENT.replace(irql)
}

/// Runs `f` at a level and comes back to the one before; gives also the level `f` left behind, which should be the same.
pub fn at<R>(irql: Irql, f: impl FnOnce() -> R) -> (R, Irql) {
    let before = set(irql);
    let result = f();
    (result, set(before))
}
