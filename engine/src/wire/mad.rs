//! Management datagrams: the 256 bytes that QP1 carries.

/// Bytes of a MAD.
pub const MAD_LEN: usize = 256;
/// Bytes of its common header.
pub const MAD_HEADER_LEN: usize = 24;
/// Management class of communication management.
pub const CLASS_COMMUNICATION: u8 = 7;
/// Its class version.
pub const CLASS_VERSION: u8 = 2;
/// Method Send.
pub const METHOD_SEND: u8 = 3;

/// The common header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MadHeader {
    /// MAD format; 1.
    pub base_version: u8,
    /// Management class.
    pub class: u8,
    /// Version of the class.
    pub class_version: u8,
    /// Method.
    pub method: u8,
    /// Status; 0 in requests.
    pub status: u16,
    /// Class-specific; 0 here.
    pub class_specific: u16,
    /// Ties answers to questions: REP and RTU reuse the REQ's.
    pub transaction_id: u64,
    /// Which message.
    pub attribute_id: u16,
    /// Reserved.
    pub reserved: u16,
    /// Attribute modifier; 0 here.
    pub attribute_modifier: u32,
}

impl MadHeader {
    /// The header of a connection-manager message.
    pub const fn communication(transaction_id: u64, attribute_id: u16) -> Self {
        Self {
            base_version: 1,
            class: CLASS_COMMUNICATION,
            class_version: CLASS_VERSION,
            method: METHOD_SEND,
            status: 0,
            class_specific: 0,
            transaction_id,
            attribute_id,
            reserved: 0,
            attribute_modifier: 0,
        }
    }

    /// Reads the header of a whole MAD.
    pub fn from_bytes(mad: &[u8; MAD_LEN]) -> Self {
        let &[
            base_version,
            class,
            class_version,
            method,
            s0,
            s1,
            c0,
            c1,
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7,
            ref rest @ ..,
        ] = Self::front(mad);
        let &[a0, a1, r0, r1, m0, m1, m2, m3] = rest;
        Self {
            base_version,
            class,
            class_version,
            method,
            status: u16::from_be_bytes([s0, s1]),
            class_specific: u16::from_be_bytes([c0, c1]),
            transaction_id: u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            attribute_id: u16::from_be_bytes([a0, a1]),
            reserved: u16::from_be_bytes([r0, r1]),
            attribute_modifier: u32::from_be_bytes([m0, m1, m2, m3]),
        }
    }

    fn front(mad: &[u8; MAD_LEN]) -> &[u8; MAD_HEADER_LEN] {
        const { assert!(MAD_HEADER_LEN <= MAD_LEN) };
        mad.first_chunk().unwrap_or(&[0; MAD_HEADER_LEN])
    }

    /// Writes the header into a MAD.
    pub fn write(&self, mad: &mut [u8; MAD_LEN]) {
        let [s0, s1] = self.status.to_be_bytes();
        let [c0, c1] = self.class_specific.to_be_bytes();
        let [t0, t1, t2, t3, t4, t5, t6, t7] = self.transaction_id.to_be_bytes();
        let [a0, a1] = self.attribute_id.to_be_bytes();
        let [r0, r1] = self.reserved.to_be_bytes();
        let [m0, m1, m2, m3] = self.attribute_modifier.to_be_bytes();
        let bytes: [u8; MAD_HEADER_LEN] = [
            self.base_version,
            self.class,
            self.class_version,
            self.method,
            s0,
            s1,
            c0,
            c1,
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7,
            a0,
            a1,
            r0,
            r1,
            m0,
            m1,
            m2,
            m3,
        ];
        if let Some(front) = mad.first_chunk_mut() {
            *front = bytes;
        }
    }

    /// Whether this is a connection-manager message of the version everybody speaks.
    pub const fn is_communication(&self) -> bool {
        self.base_version == 1
            && self.class == CLASS_COMMUNICATION
            && self.class_version == CLASS_VERSION
            && self.method == METHOD_SEND
    }
}
