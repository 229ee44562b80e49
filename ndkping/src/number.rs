//! The contexts of requests: what a request was, and its place among others of the kind.

/// What a request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// A receive.
    Receive(u32),
    /// A send, READ or WRITE.
    Initiator(u32),
    /// A send of a credit message.
    Credit(u32),
}

const SHIFT: u32 = 16;

impl Number {
    /// As a context.
    pub fn to_context(self) -> usize {
        let (kind, place) = match self {
            Self::Receive(place) => (1, place),
            Self::Initiator(place) => (2, place),
            Self::Credit(place) => (3, place),
        };
        (kind << SHIFT | (place & 0xffff)) as usize
    }

    /// From a context; `None` when it is none of ours.
    pub fn from_context(context: usize) -> Option<Self> {
        let context = u32::try_from(context).ok()?;
        let place = context & 0xffff;
        match context >> SHIFT {
            1 => Some(Self::Receive(place)),
            2 => Some(Self::Initiator(place)),
            3 => Some(Self::Credit(place)),
            _ => None,
        }
    }
}
