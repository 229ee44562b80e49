//! The states of a queue pair and which may follow which.
//!
//! A reliable connection has no way from RTS to SQE, and nothing drains (SQD) in NDK: what is not in the table cannot
//! happen, because [`State::to`] refuses it.

/// IBTA's queue pair states, as far as a reliable connection of ours has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Made; receives may be posted.
    Reset,
    /// Ready to receive: the peer is known, its requests are served, ours wait.
    Rtr,
    /// Ready to send: everything flows.
    Rts,
    /// Everything outstanding and to come completes as flushed.
    Err,
}

impl State {
    /// All states, in the order a connection goes through them.
    pub const ALL: [Self; 4] = [Self::Reset, Self::Rtr, Self::Rts, Self::Err];

    /// The state after a transition to `next`, if there is such a transition.
    pub const fn to(self, next: Self) -> Option<Self> {
        let legal = match (self, next) {
            (Self::Reset, Self::Rtr)
            | (Self::Rtr, Self::Rts)
            // A flush may come at any time, also again.
            | (Self::Reset | Self::Rtr | Self::Rts | Self::Err, Self::Err) => true,
            (_, Self::Reset | Self::Rtr | Self::Rts) => false,
        };
        if legal { Some(next) } else { None }
    }

    /// Whether requests of the peer are served.
    pub const fn receives(self) -> bool {
        matches!(self, Self::Rtr | Self::Rts)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::fmt::Write;
    use std::string::String;

    #[test]
    fn the_whole_matrix_is_as_written_here() {
        let mut matrix = String::new();
        for from in State::ALL {
            write!(matrix, "{from:?}:").unwrap();
            for to in State::ALL {
                if from.to(to).is_some() {
                    write!(matrix, " {to:?}").unwrap();
                }
            }
            matrix.push('\n');
        }
        assert_eq!(matrix, "Reset: Rtr Err\nRtr: Rts Err\nRts: Err\nErr: Err\n");
    }
}
