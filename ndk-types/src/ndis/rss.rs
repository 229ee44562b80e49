//! ntddndis.h: receive-side scaling.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{NDIS_OBJECT_HEADER, PROCESSOR_NUMBER, layout};

/// What an adapter can do.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_RECEIVE_SCALE_CAPABILITIES {
    pub Header: NDIS_OBJECT_HEADER,
    pub CapabilitiesFlags: u32,
    pub NumberOfInterruptMessages: u32,
    pub NumberOfReceiveQueues: u32,
    pub NumberOfIndirectionTableEntries: u16,
}

layout!(
    NDIS_RECEIVE_SCALE_CAPABILITIES, 20, 4, Header 0, CapabilitiesFlags 4, NumberOfInterruptMessages 8,
    NumberOfReceiveQueues 12, NumberOfIndirectionTableEntries 16
);

/// The head of the body of OID_GEN_RECEIVE_SCALE_PARAMETERS.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_RECEIVE_SCALE_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u16,
    pub BaseCpuNumber: u16,
    pub HashInformation: u32,
    pub IndirectionTableSize: u16,
    pub IndirectionTableOffset: u32,
    pub HashSecretKeySize: u16,
    pub HashSecretKeyOffset: u32,
    pub ProcessorMasksOffset: u32,
    pub NumberOfProcessorMasks: u32,
    pub ProcessorMasksEntrySize: u32,
    pub DefaultProcessorNumber: PROCESSOR_NUMBER,
}

layout!(
    NDIS_RECEIVE_SCALE_PARAMETERS, 44, 4, Header 0, Flags 4, BaseCpuNumber 6, HashInformation 8,
    IndirectionTableSize 12, IndirectionTableOffset 16, HashSecretKeySize 20, HashSecretKeyOffset 24,
    ProcessorMasksOffset 28, NumberOfProcessorMasks 32, ProcessorMasksEntrySize 36, DefaultProcessorNumber 40
);

/// How RSS processors are chosen.
pub type NDIS_RSS_PROFILE = i32;
pub const NdisRssProfileClosest: NDIS_RSS_PROFILE = 1;
pub const NdisRssProfileClosestStatic: NDIS_RSS_PROFILE = 2;
pub const NdisRssProfileNuma: NDIS_RSS_PROFILE = 3;
pub const NdisRssProfileNumaStatic: NDIS_RSS_PROFILE = 4;
pub const NdisRssProfileConservative: NDIS_RSS_PROFILE = 5;
pub const NdisRssProfileBalanced: NDIS_RSS_PROFILE = 6;
pub const NdisRssProfileMaximum: NDIS_RSS_PROFILE = 7;

/// One processor of the RSS set.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_RSS_PROCESSOR {
    pub ProcNum: PROCESSOR_NUMBER,
    pub PreferenceIndex: u16,
    pub Reserved: u16,
}

layout!(NDIS_RSS_PROCESSOR, 8, 2, ProcNum 0, PreferenceIndex 4, Reserved 6);

/// The head of the RSS set.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_RSS_PROCESSOR_INFO {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub RssBaseProcessor: PROCESSOR_NUMBER,
    pub MaxNumRssProcessors: u32,
    pub PreferredNumaNode: u16,
    pub RssProcessorArrayOffset: u32,
    pub RssProcessorCount: u32,
    pub RssProcessorEntrySize: u32,
    pub RssMaxProcessor: PROCESSOR_NUMBER,
    pub RssProfile: NDIS_RSS_PROFILE,
}

layout!(
    NDIS_RSS_PROCESSOR_INFO, 40, 4, Header 0, Flags 4, RssBaseProcessor 8, MaxNumRssProcessors 12,
    PreferredNumaNode 16, RssProcessorArrayOffset 20, RssProcessorCount 24, RssProcessorEntrySize 28,
    RssMaxProcessor 32, RssProfile 36
);

pub const NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4: u32 = 0x0000_0100;
pub const NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6: u32 = 0x0000_0200;
pub const NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6_EX: u32 = 0x0000_0400;
pub const NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV4: u32 = 0x0000_0800;
pub const NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6: u32 = 0x0000_1000;
pub const NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6_EX: u32 = 0x0000_2000;
pub const NDIS_RSS_CAPS_MESSAGE_SIGNALED_INTERRUPTS: u32 = 0x0100_0000;
pub const NDIS_RSS_CAPS_CLASSIFICATION_AT_ISR: u32 = 0x0200_0000;
pub const NDIS_RSS_CAPS_CLASSIFICATION_AT_DPC: u32 = 0x0400_0000;
pub const NDIS_RSS_CAPS_USING_MSI_X: u32 = 0x0800_0000;
pub const NDIS_RSS_CAPS_RSS_AVAILABLE_ON_PORTS: u32 = 0x1000_0000;
pub const NDIS_RSS_CAPS_SUPPORTS_MSI_X: u32 = 0x2000_0000;
pub const NDIS_RSS_CAPS_SUPPORTS_INDEPENDENT_ENTRY_MOVE: u32 = 0x4000_0000;
pub const NDIS_HASH_FUNCTION_MASK: u32 = 0x0000_00ff;
pub const NDIS_HASH_TYPE_MASK: u32 = 0x00ff_ff00;
pub const NDIS_HASH_IPV4: u32 = 0x0000_0100;
pub const NDIS_HASH_TCP_IPV4: u32 = 0x0000_0200;
pub const NDIS_HASH_IPV6: u32 = 0x0000_0400;
pub const NDIS_HASH_IPV6_EX: u32 = 0x0000_0800;
pub const NDIS_HASH_TCP_IPV6: u32 = 0x0000_1000;
pub const NDIS_HASH_TCP_IPV6_EX: u32 = 0x0000_2000;
pub const NDIS_HASH_UDP_IPV4: u32 = 0x0000_4000;
pub const NDIS_HASH_UDP_IPV6: u32 = 0x0000_8000;
pub const NDIS_HASH_UDP_IPV6_EX: u32 = 0x0001_0000;

pub const NDIS_RSS_PARAM_FLAG_BASE_CPU_UNCHANGED: u16 = 1;
pub const NDIS_RSS_PARAM_FLAG_HASH_INFO_UNCHANGED: u16 = 2;
pub const NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED: u16 = 4;
pub const NDIS_RSS_PARAM_FLAG_HASH_KEY_UNCHANGED: u16 = 8;
pub const NDIS_RSS_PARAM_FLAG_DISABLE_RSS: u16 = 16;
pub const NDIS_RSS_PARAM_FLAG_DEFAULT_PROCESSOR_UNCHANGED: u16 = 32;
pub const NDIS_RSS_INDIRECTION_TABLE_SIZE_REVISION_1: u16 = 128;
pub const NDIS_RSS_HASH_SECRET_KEY_SIZE_REVISION_1: u16 = 40;
pub const NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_1: u16 = 128;
pub const NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_1: u16 = 40;
pub const NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_2: u16 = 512;
pub const NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_2: u16 = 40;
pub const NDIS_RSS_INDIRECTION_TABLE_MAX_SIZE_REVISION_3: u16 = 512;
pub const NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_3: u16 = 40;

pub const NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_1: u8 = 1;
pub const NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_2: u8 = 2;
pub const NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_3: u8 = 3;
pub const NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_1: u8 = 1;
pub const NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_2: u8 = 2;
pub const NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_3: u8 = 3;
pub const NDIS_RSS_PROCESSOR_INFO_REVISION_1: u8 = 1;
pub const NDIS_RSS_PROCESSOR_INFO_REVISION_2: u8 = 2;

pub const NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_1: u16 = 16;
pub const NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_2: u16 = 18;
pub const NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_3: u16 = 18;
pub const NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_1: u16 = 28;
pub const NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_2: u16 = 40;
pub const NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_3: u16 = 44;
pub const NDIS_SIZEOF_RSS_PROCESSOR_INFO_REVISION_1: u16 = 32;
pub const NDIS_SIZEOF_RSS_PROCESSOR_INFO_REVISION_2: u16 = 40;
