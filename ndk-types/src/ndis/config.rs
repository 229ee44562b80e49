//! ndis.h: configuration, timers, work items.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{NDIS_HANDLE, NDIS_OBJECT_HEADER, UNICODE_STRING, abi, layout};
use core::ffi::c_void;

/// Type of a registry value.
pub type NDIS_PARAMETER_TYPE = i32;
pub const NdisParameterInteger: NDIS_PARAMETER_TYPE = 0;
pub const NdisParameterHexInteger: NDIS_PARAMETER_TYPE = 1;
pub const NdisParameterString: NDIS_PARAMETER_TYPE = 2;
pub const NdisParameterMultiString: NDIS_PARAMETER_TYPE = 3;
pub const NdisParameterBinary: NDIS_PARAMETER_TYPE = 4;

/// A counted buffer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BINARY_DATA {
    pub Length: u16,
    pub Buffer: *mut c_void,
}

layout!(BINARY_DATA, 16, 8, Length 0, Buffer 8);

/// A registry value; ParameterType says which.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NDIS_CONFIGURATION_PARAMETER_DATA {
    pub IntegerData: u32,
    pub StringData: UNICODE_STRING,
    pub BinaryData: BINARY_DATA,
}

/// A registry value and its type.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_CONFIGURATION_PARAMETER {
    pub ParameterType: NDIS_PARAMETER_TYPE,
    pub ParameterData: NDIS_CONFIGURATION_PARAMETER_DATA,
}

layout!(
    NDIS_CONFIGURATION_PARAMETER, 24, 8, ParameterType 0, ParameterData 8, ParameterData.IntegerData 8,
    ParameterData.StringData 8, ParameterData.BinaryData 8
);

/// What NdisOpenConfigurationEx is asked for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_CONFIGURATION_OBJECT {
    pub Header: NDIS_OBJECT_HEADER,
    pub NdisHandle: NDIS_HANDLE,
    pub Flags: u32,
}

layout!(NDIS_CONFIGURATION_OBJECT, 24, 8, Header 0, NdisHandle 8, Flags 16);

abi! {
    /// A timer expired. DISPATCH_LEVEL.
    pub type PNDIS_TIMER_FUNCTION = Option<unsafe extern "C" fn(
        SystemSpecific1: *mut c_void,
        FunctionContext: *mut c_void,
        SystemSpecific2: *mut c_void,
        SystemSpecific3: *mut c_void
    )>;

    /// A work item runs. PASSIVE_LEVEL.
    pub type NDIS_IO_WORKITEM_ROUTINE = Option<unsafe extern "C" fn(
        WorkItemContext: *mut c_void,
        NdisIoWorkItemHandle: NDIS_HANDLE
    )>;
}

/// What NdisAllocateTimerObject is asked for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_TIMER_CHARACTERISTICS {
    pub Header: NDIS_OBJECT_HEADER,
    pub AllocationTag: u32,
    pub TimerFunction: PNDIS_TIMER_FUNCTION,
    pub FunctionContext: *mut c_void,
}

layout!(NDIS_TIMER_CHARACTERISTICS, 24, 8, Header 0, AllocationTag 4, TimerFunction 8, FunctionContext 16);

pub const NDIS_CONFIGURATION_OBJECT_REVISION_1: u8 = 1;
pub const NDIS_TIMER_CHARACTERISTICS_REVISION_1: u8 = 1;

pub const NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1: u16 = 20;
pub const NDIS_SIZEOF_TIMER_CHARACTERISTICS_REVISION_1: u16 = 24;

pub const NDIS_CONFIG_FLAG_FILTER_INSTANCE_CONFIGURATION: u32 = 1;
