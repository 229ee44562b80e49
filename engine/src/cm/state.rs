//! The states of a connection and which may follow which.

/// IBTA's connection states, as far as a reliable connection over Ethernet has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No connection.
    Idle,
    /// Active: REQ sent, no answer yet.
    ReqSent,
    /// Active: REP received, the consumer thinks.
    RepRcvd,
    /// Passive: REQ received, the consumer thinks.
    ReqRcvd,
    /// Passive: REP sent, no RTU yet.
    RepSent,
    /// It stands.
    Established,
    /// DREQ sent, no DREP yet.
    DreqSent,
    /// DREQ received, the consumer thinks.
    DreqRcvd,
    /// Over; its numbers rest.
    Timewait,
}

impl State {
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::ReqSent,
        Self::RepRcvd,
        Self::ReqRcvd,
        Self::RepSent,
        Self::Established,
        Self::DreqSent,
        Self::DreqRcvd,
        Self::Timewait,
    ];

    /// Whether `next` may follow.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Idle => matches!(next, Self::ReqSent | Self::ReqRcvd),
            Self::ReqSent => matches!(next, Self::RepRcvd | Self::Timewait),
            Self::RepRcvd | Self::RepSent => matches!(next, Self::Established | Self::DreqRcvd | Self::Timewait),
            Self::ReqRcvd => matches!(next, Self::RepSent | Self::Timewait),
            Self::Established => matches!(next, Self::DreqSent | Self::DreqRcvd | Self::Timewait),
            Self::DreqSent | Self::DreqRcvd => matches!(next, Self::Timewait),
            Self::Timewait => matches!(next, Self::Idle),
        }
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
            for to in State::ALL.into_iter().filter(|&to| from.may_become(to)) {
                write!(matrix, " {to:?}").unwrap();
            }
            matrix.push('\n');
        }
        let expected = "Idle: ReqSent ReqRcvd
ReqSent: RepRcvd Timewait
RepRcvd: Established DreqRcvd Timewait
ReqRcvd: RepSent Timewait
RepSent: Established DreqRcvd Timewait
Established: DreqSent DreqRcvd Timewait
DreqSent: Timewait
DreqRcvd: Timewait
Timewait: Idle
";
        assert_eq!(matrix, expected);
    }
}
