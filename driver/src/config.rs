//! What the registry says about an adapter: read once, in MiniportInitializeEx, at PASSIVE_LEVEL.

pub mod keywords;

use core::ptr::null_mut;
use keywords::{JUMBO_PACKET, Keyword, NETWORK_DIRECT, ROCE_FRAME_SIZE, Reading, TECHNOLOGY};
use ndk_types::{
    NDIS_CONFIGURATION_OBJECT, NDIS_CONFIGURATION_OBJECT_REVISION_1, NDIS_HANDLE, NDIS_OBJECT_HEADER,
    NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT, NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1, NDIS_STATUS,
    NDIS_STATUS_SUCCESS, NdisCloseConfiguration, NdisOpenConfigurationEx, NdisParameterInteger, NdisReadConfiguration,
    UNICODE_STRING,
};

/// Longer than any keyword's name.
const NAME_UNITS: usize = 40;

/// The adapter's keywords, each with a value that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `*NetworkDirect`.
    pub network_direct: bool,
    /// `*NetworkDirectRoCEFrameSize`.
    pub roce_frame_size: u32,
    /// `*JumboPacket`.
    pub jumbo_packet: u32,
}

impl Config {
    /// Reads the keywords; `complain` hears of each that got its default. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// `miniport` is the handle that MiniportInitializeEx was given.
    pub unsafe fn read(
        miniport: NDIS_HANDLE,
        mut complain: impl FnMut(&Keyword, Reading),
    ) -> Result<Self, NDIS_STATUS> {
        // SAFETY: the caller's handle.
        let open = unsafe { Configuration::open(miniport) }?;
        let mut value = |keyword: &Keyword| {
            let reading = keyword.judge(open.integer(keyword.name));
            if !matches!(reading, Reading::Said(_)) {
                complain(keyword, reading);
            }
            keyword.value(reading)
        };
        // One technology is spoken; the keyword is read so that another is complained of.
        value(&TECHNOLOGY);
        Ok(Self {
            network_direct: value(&NETWORK_DIRECT) != 0,
            roce_frame_size: value(&ROCE_FRAME_SIZE),
            jumbo_packet: value(&JUMBO_PACKET),
        })
    }
}

/// An open configuration handle.
struct Configuration(NDIS_HANDLE);

impl Configuration {
    /// # Safety
    /// `owner` is a miniport adapter handle.
    unsafe fn open(owner: NDIS_HANDLE) -> Result<Self, NDIS_STATUS> {
        let mut object = NDIS_CONFIGURATION_OBJECT {
            Header: NDIS_OBJECT_HEADER {
                Type: NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT,
                Revision: NDIS_CONFIGURATION_OBJECT_REVISION_1,
                Size: NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1,
            },
            NdisHandle: owner,
            Flags: 0,
        };
        let mut handle = null_mut();
        // SAFETY: NdisOpenConfigurationEx: a complete object, a place for the handle, PASSIVE_LEVEL.
        let status = unsafe { NdisOpenConfigurationEx(&raw mut object, &raw mut handle) };
        if status == NDIS_STATUS_SUCCESS { Ok(Self(handle)) } else { Err(status) }
    }

    /// The number under `name`, if there is one.
    fn integer(&self, name: &str) -> Option<u32> {
        let mut units = [0u16; NAME_UNITS];
        let mut length = 0u16;
        for (place, unit) in units.iter_mut().zip(name.encode_utf16()) {
            *place = unit;
            length = length.saturating_add(2);
        }
        let mut keyword = UNICODE_STRING { Length: length, MaximumLength: length, Buffer: units.as_mut_ptr() };
        let (mut status, mut found) = (NDIS_STATUS_SUCCESS, null_mut());
        // SAFETY: NdisReadConfiguration: an open handle, a counted name, places for both answers, PASSIVE_LEVEL.
        unsafe {
            NdisReadConfiguration(&raw mut status, &raw mut found, self.0, &raw mut keyword, NdisParameterInteger);
        }
        if status != NDIS_STATUS_SUCCESS {
            return None;
        }
        // SAFETY: on success NDIS's own parameter, valid until the handle is closed.
        let parameter = unsafe { found.as_ref() }?;
        // The type that is asked for is ignored (NdisReadConfiguration): what is no number comes as it is.
        if parameter.ParameterType != NdisParameterInteger {
            return None;
        }
        // SAFETY: an integer, as its type says.
        Some(unsafe { parameter.ParameterData.IntegerData })
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // SAFETY: NdisCloseConfiguration: open until now, closed once.
        unsafe { NdisCloseConfiguration(self.0) };
    }
}
