//! Which virtual miniport a NIC carries: `UpperBindings` among the protocol's own parameters of the binding, written by the
//! install script, since there is no notify object (W-02).

use crate::binding::DeviceName;
use core::ptr::null_mut;
use ndk_types::{
    NDIS_CONFIGURATION_OBJECT, NDIS_CONFIGURATION_OBJECT_REVISION_1, NDIS_HANDLE, NDIS_OBJECT_HEADER,
    NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT, NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1, NDIS_STATUS_SUCCESS,
    NdisCloseConfiguration, NdisOpenConfigurationEx, NdisParameterMultiString, NdisParameterString,
    NdisReadConfiguration, UNICODE_STRING,
};

/// The name under the binding's key.
static KEYWORD: [u16; 13] = {
    let text = b"UpperBindings";
    let mut units = [0; 13];
    let mut at = 0;
    while at < units.len() {
        units[at] = text[at] as u16;
        at += 1;
    }
    units
};

/// The virtual miniport of an open binding; `None`: the NIC is none of ours. PASSIVE_LEVEL.
///
/// # Safety
/// `binding` is an open binding's handle.
pub unsafe fn read(binding: NDIS_HANDLE) -> Option<DeviceName> {
    let mut object = NDIS_CONFIGURATION_OBJECT {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT,
            Revision: NDIS_CONFIGURATION_OBJECT_REVISION_1,
            Size: NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1,
        },
        NdisHandle: binding,
        Flags: 0,
    };
    let mut configuration = null_mut();
    // SAFETY: NdisOpenConfigurationEx: a complete object, a place for the handle, PASSIVE_LEVEL.
    let status = unsafe { NdisOpenConfigurationEx(&raw mut object, &raw mut configuration) };
    if status != NDIS_STATUS_SUCCESS {
        return None;
    }
    // SAFETY: just opened.
    let name = unsafe { first(configuration) };
    // SAFETY: opened above, closed once; nothing of it is used any more.
    unsafe { NdisCloseConfiguration(configuration) };
    name
}

/// # Safety
/// `configuration` is open.
unsafe fn first(configuration: NDIS_HANDLE) -> Option<DeviceName> {
    let length = size_of_val(&KEYWORD) as u16;
    let mut keyword = UNICODE_STRING { Length: length, MaximumLength: length, Buffer: KEYWORD.as_ptr().cast_mut() };
    let (mut status, mut found) = (NDIS_STATUS_SUCCESS, null_mut());
    // SAFETY: NdisReadConfiguration: an open handle, a counted name, places for both answers, PASSIVE_LEVEL.
    unsafe {
        NdisReadConfiguration(
            &raw mut status,
            &raw mut found,
            configuration,
            &raw mut keyword,
            NdisParameterMultiString,
        );
    }
    if status != NDIS_STATUS_SUCCESS {
        return None;
    }
    // SAFETY: on success NDIS's own parameter, valid until the configuration is closed.
    let parameter = unsafe { found.as_ref() }?;
    // The type that is asked for is ignored (NdisReadConfiguration): the value comes as it is.
    if ![NdisParameterMultiString, NdisParameterString].contains(&parameter.ParameterType) {
        return None;
    }
    // SAFETY: one string or several, as the type says.
    let text = unsafe { parameter.ParameterData.StringData };
    // SAFETY: a counted string of NDIS.
    DeviceName::first(unsafe { units(&text) })
}

/// The UTF-16 units of a counted string.
///
/// # Safety
/// The string is whole: its buffer has its length, and outlives the borrow.
pub unsafe fn units(text: &UNICODE_STRING) -> &[u16] {
    if text.Buffer.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(text.Buffer, usize::from(text.Length) / 2) }
}
