//! The name of a device, `\Device\{GUID}`, kept without allocation and compared as Windows compares names of devices.

/// The longest name that is kept, in UTF-16 units.
pub const UNITS: usize = 128;

/// A name, or none.
#[derive(Clone, Copy, Debug)]
pub struct DeviceName {
    units: [u16; UNITS],
    len: usize,
}

impl DeviceName {
    /// No name.
    pub const fn none() -> Self {
        Self { units: [0; UNITS], len: 0 }
    }

    /// The first string of `text`, which may be of several (REG_MULTI_SZ). `None` if it is empty or too long.
    pub fn first(text: &[u16]) -> Option<Self> {
        let name = text.split(|unit| *unit == 0).next()?;
        let mut kept = Self::none();
        kept.units.get_mut(..name.len())?.copy_from_slice(name);
        kept.len = name.len();
        (kept.len != 0).then_some(kept)
    }

    /// Its UTF-16 units.
    pub fn units(&self) -> &[u16] {
        self.units.get(..self.len).unwrap_or(&[])
    }

    /// Whether it is the same device: names of devices are of ASCII, and their case says nothing. No name is like no other.
    pub fn is(&self, other: &[u16]) -> bool {
        let lower = |unit: &u16| u8::try_from(*unit).map_or(*unit, |byte| u16::from(byte.to_ascii_lowercase()));
        self.len != 0 && self.units().iter().map(lower).eq(other.iter().map(lower))
    }
}
