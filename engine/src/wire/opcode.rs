//! Opcodes: one table from which names, header lists and legality are derived.

/// What a packet's opcode makes it part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// SEND.
    Send,
    /// RDMA WRITE.
    RdmaWrite,
    /// RDMA READ request.
    ReadRequest,
    /// RDMA READ response.
    ReadResponse,
    /// Acknowledge.
    Acknowledge,
    /// Response to an atomic.
    AtomicAcknowledge,
    /// Atomic request.
    Atomic,
    /// Unreliable datagram.
    Datagram,
    /// Congestion notification.
    CongestionNotification,
}

/// Where in its message a packet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The first of several.
    First,
    /// Neither first nor last.
    Middle,
    /// The last of several.
    Last,
    /// First and last.
    Only,
}

impl Position {
    /// Whether a message starts here.
    pub const fn starts(self) -> bool {
        matches!(self, Self::First | Self::Only)
    }

    /// Whether a message ends here.
    pub const fn ends(self) -> bool {
        matches!(self, Self::Last | Self::Only)
    }
}

/// Which extension headers follow the BTH, in the order they stand on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// None.
    None,
    /// RETH.
    Reth,
    /// AETH.
    Aeth,
    /// Immediate data.
    Imm,
    /// RETH, then immediate data.
    RethImm,
    /// IETH.
    Ieth,
    /// DETH.
    Deth,
    /// DETH, then immediate data.
    DethImm,
    /// AtomicETH.
    Atomic,
    /// AETH, then AtomicAckETH.
    AtomicAck,
    /// The 16 reserved bytes of a congestion notification.
    Reserved,
}

impl Extension {
    /// Bytes on the wire.
    pub const fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Aeth | Self::Imm | Self::Ieth => 4,
            Self::Deth => 8,
            Self::AtomicAck | Self::DethImm => 12,
            Self::Reth | Self::Reserved => 16,
            Self::RethImm => 20,
            Self::Atomic => 28,
        }
    }

    /// Whether nothing follows.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

macro_rules! opcodes {
    ($($variant:ident = $value:literal, $name:literal, $message:ident, $position:ident, $extension:ident;)*) => {
        /// A packet's opcode: transport in the upper three bits, operation in the lower five.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Opcode {
            $(#[doc = $name] $variant = $value,)*
        }

        impl Opcode {
            /// All of them, in numerical order within each transport.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The opcode with this number, if it is one that RoCEv2 peers of ours may send.
            #[inline]
            pub const fn from_wire(value: u8) -> Option<Self> {
                match value {
                    $($value => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name every RDMA document uses.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it is part of.
            #[inline]
            pub const fn message(self) -> Message {
                match self { $(Self::$variant => Message::$message,)* }
            }

            /// Where in its message it stands.
            #[inline]
            pub const fn position(self) -> Position {
                match self { $(Self::$variant => Position::$position,)* }
            }

            /// Which headers follow the BTH.
            #[inline]
            pub const fn extension(self) -> Extension {
                match self { $(Self::$variant => Extension::$extension,)* }
            }
        }
    };
}

opcodes! {
    SendFirst = 0x00, "SEND_FIRST", Send, First, None;
    SendMiddle = 0x01, "SEND_MIDDLE", Send, Middle, None;
    SendLast = 0x02, "SEND_LAST", Send, Last, None;
    SendLastWithImmediate = 0x03, "SEND_LAST_WITH_IMMEDIATE", Send, Last, Imm;
    SendOnly = 0x04, "SEND_ONLY", Send, Only, None;
    SendOnlyWithImmediate = 0x05, "SEND_ONLY_WITH_IMMEDIATE", Send, Only, Imm;
    RdmaWriteFirst = 0x06, "RDMA_WRITE_FIRST", RdmaWrite, First, Reth;
    RdmaWriteMiddle = 0x07, "RDMA_WRITE_MIDDLE", RdmaWrite, Middle, None;
    RdmaWriteLast = 0x08, "RDMA_WRITE_LAST", RdmaWrite, Last, None;
    RdmaWriteLastWithImmediate = 0x09, "RDMA_WRITE_LAST_WITH_IMMEDIATE", RdmaWrite, Last, Imm;
    RdmaWriteOnly = 0x0a, "RDMA_WRITE_ONLY", RdmaWrite, Only, Reth;
    RdmaWriteOnlyWithImmediate = 0x0b, "RDMA_WRITE_ONLY_WITH_IMMEDIATE", RdmaWrite, Only, RethImm;
    RdmaReadRequest = 0x0c, "RDMA_READ_REQUEST", ReadRequest, Only, Reth;
    RdmaReadResponseFirst = 0x0d, "RDMA_READ_RESPONSE_FIRST", ReadResponse, First, Aeth;
    RdmaReadResponseMiddle = 0x0e, "RDMA_READ_RESPONSE_MIDDLE", ReadResponse, Middle, None;
    RdmaReadResponseLast = 0x0f, "RDMA_READ_RESPONSE_LAST", ReadResponse, Last, Aeth;
    RdmaReadResponseOnly = 0x10, "RDMA_READ_RESPONSE_ONLY", ReadResponse, Only, Aeth;
    Acknowledge = 0x11, "ACKNOWLEDGE", Acknowledge, Only, Aeth;
    AtomicAcknowledge = 0x12, "ATOMIC_ACKNOWLEDGE", AtomicAcknowledge, Only, AtomicAck;
    CompareSwap = 0x13, "COMPARE_SWAP", Atomic, Only, Atomic;
    FetchAdd = 0x14, "FETCH_ADD", Atomic, Only, Atomic;
    SendLastWithInvalidate = 0x16, "SEND_LAST_WITH_INVALIDATE", Send, Last, Ieth;
    SendOnlyWithInvalidate = 0x17, "SEND_ONLY_WITH_INVALIDATE", Send, Only, Ieth;
    UdSendOnly = 0x64, "UD_SEND_ONLY", Datagram, Only, Deth;
    UdSendOnlyWithImmediate = 0x65, "UD_SEND_ONLY_WITH_IMMEDIATE", Datagram, Only, DethImm;
    CongestionNotification = 0x81, "CNP", CongestionNotification, Only, Reserved;
}

impl Opcode {
    /// Whether the packet goes from requester to responder over a reliable connection.
    #[inline]
    pub const fn is_request(self) -> bool {
        match self.message() {
            Message::Send | Message::RdmaWrite | Message::ReadRequest | Message::Atomic => true,
            Message::ReadResponse
            | Message::Acknowledge
            | Message::AtomicAcknowledge
            | Message::Datagram
            | Message::CongestionNotification => false,
        }
    }

    /// Whether the packet goes from responder to requester.
    #[inline]
    pub const fn is_response(self) -> bool {
        match self.message() {
            Message::ReadResponse | Message::Acknowledge | Message::AtomicAcknowledge => true,
            Message::Send
            | Message::RdmaWrite
            | Message::ReadRequest
            | Message::Atomic
            | Message::Datagram
            | Message::CongestionNotification => false,
        }
    }

    /// Whether immediate data follows.
    pub const fn has_immediate(self) -> bool {
        matches!(self.extension(), Extension::Imm | Extension::RethImm | Extension::DethImm)
    }

    /// Whether the message invalidates a key.
    pub const fn has_invalidate(self) -> bool {
        matches!(self.extension(), Extension::Ieth)
    }

    /// Whether the packet, the last of its message, consumes a receive (T-32).
    pub const fn consumes_receive(self) -> bool {
        match self.message() {
            Message::Send => true,
            Message::RdmaWrite => self.has_immediate(),
            Message::ReadRequest
            | Message::ReadResponse
            | Message::Acknowledge
            | Message::AtomicAcknowledge
            | Message::Atomic
            | Message::Datagram
            | Message::CongestionNotification => false,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;

    #[test]
    fn every_number_gives_back_its_opcode_and_no_other_does() {
        let known = (0..=255u8).filter(|&value| Opcode::from_wire(value).is_some()).count();
        assert_eq!(known, Opcode::ALL.len());
        for &opcode in Opcode::ALL {
            assert_eq!(Opcode::from_wire(opcode as u8), Some(opcode));
        }
    }

    #[test]
    fn each_name_is_its_variant_and_tells_its_position_and_extension() {
        for &opcode in Opcode::ALL {
            let mut spelled = String::new();
            for letter in std::format!("{opcode:?}").chars() {
                if letter.is_uppercase() && !spelled.is_empty() {
                    spelled.push('_');
                }
                spelled.push(letter.to_ascii_uppercase());
            }
            if opcode != Opcode::CongestionNotification {
                assert_eq!(spelled, opcode.name());
            }
            for (word, position) in [("FIRST", Position::First), ("MIDDLE", Position::Middle), ("LAST", Position::Last)]
            {
                assert_eq!(opcode.name().contains(word), opcode.position() == position, "{opcode:?}");
            }
            assert_eq!(opcode.name().contains("IMMEDIATE"), opcode.has_immediate());
            assert_eq!(opcode.name().contains("INVALIDATE"), opcode.has_invalidate());
        }
    }

    #[test]
    fn a_reliable_packet_is_a_request_or_a_response() {
        for &opcode in Opcode::ALL {
            assert_eq!(opcode.is_request() || opcode.is_response(), (opcode as u8) < 0x20, "{opcode:?}");
            assert!(!(opcode.is_request() && opcode.is_response()));
        }
    }

    #[test]
    fn a_reth_stands_only_where_a_write_or_a_read_starts() {
        for &opcode in Opcode::ALL {
            let starts_remote_access =
                matches!(opcode.message(), Message::RdmaWrite | Message::ReadRequest) && opcode.position().starts();
            let has_reth = matches!(opcode.extension(), Extension::Reth | Extension::RethImm);
            assert_eq!(has_reth, starts_remote_access, "{opcode:?}");
        }
    }
}
