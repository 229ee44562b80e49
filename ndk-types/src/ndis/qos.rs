//! ntddndis.h: QoS parameters; NetworkDirect has a classification condition of its own.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{NDIS_OBJECT_HEADER, layout};

/// Which traffic has which priority.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_QOS_CLASSIFICATION_ELEMENT {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub ConditionSelector: u16,
    pub ConditionField: u16,
    pub ActionSelector: u16,
    pub ActionField: u16,
}

layout!(
    NDIS_QOS_CLASSIFICATION_ELEMENT, 16, 4, Header 0, Flags 4, ConditionSelector 8, ConditionField 10,
    ActionSelector 12, ActionField 14
);

/// The head of the body of OID_QOS_PARAMETERS.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_QOS_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub NumTrafficClasses: u32,
    pub PriorityAssignmentTable: [u8; 8],
    pub TcBandwidthAssignmentTable: [u8; 8],
    pub TsaAssignmentTable: [u8; 8],
    pub PfcEnable: u32,
    pub NumClassificationElements: u32,
    pub ClassificationElementSize: u32,
    pub FirstClassificationElementOffset: u32,
}

layout!(
    NDIS_QOS_PARAMETERS, 52, 4, Header 0, Flags 4, NumTrafficClasses 8, PriorityAssignmentTable 12,
    TcBandwidthAssignmentTable 20, TsaAssignmentTable 28, PfcEnable 36, NumClassificationElements 40,
    ClassificationElementSize 44, FirstClassificationElementOffset 48
);

pub const NDIS_QOS_CONDITION_RESERVED: u16 = 0;
pub const NDIS_QOS_CONDITION_DEFAULT: u16 = 1;
pub const NDIS_QOS_CONDITION_TCP_PORT: u16 = 2;
pub const NDIS_QOS_CONDITION_UDP_PORT: u16 = 3;
pub const NDIS_QOS_CONDITION_TCP_OR_UDP_PORT: u16 = 4;
pub const NDIS_QOS_CONDITION_ETHERTYPE: u16 = 5;
pub const NDIS_QOS_CONDITION_NETDIRECT_PORT: u16 = 6;
pub const NDIS_QOS_CONDITION_MAXIMUM: u16 = 7;
pub const NDIS_QOS_ACTION_PRIORITY: u16 = 0;
pub const NDIS_QOS_ACTION_MAXIMUM: u16 = 1;

pub const NDIS_QOS_CLASSIFICATION_SET_BY_MINIPORT_MASK: u32 = 0xff00_0000;
pub const NDIS_QOS_CLASSIFICATION_ENFORCED_BY_MINIPORT: u32 = 0x0100_0000;
pub const NDIS_QOS_PARAMETERS_ETS_CHANGED: u32 = 1;
pub const NDIS_QOS_PARAMETERS_ETS_CONFIGURED: u32 = 2;
pub const NDIS_QOS_PARAMETERS_PFC_CHANGED: u32 = 256;
pub const NDIS_QOS_PARAMETERS_PFC_CONFIGURED: u32 = 512;
pub const NDIS_QOS_PARAMETERS_CLASSIFICATION_CHANGED: u32 = 0x0001_0000;
pub const NDIS_QOS_PARAMETERS_CLASSIFICATION_CONFIGURED: u32 = 0x0002_0000;
pub const NDIS_QOS_PARAMETERS_WILLING: u32 = 0x8000_0000;

pub const NDIS_QOS_CLASSIFICATION_ELEMENT_REVISION_1: u8 = 1;
pub const NDIS_QOS_PARAMETERS_REVISION_1: u8 = 1;

pub const NDIS_SIZEOF_QOS_CLASSIFICATION_ELEMENT_REVISION_1: u16 = 16;
pub const NDIS_SIZEOF_QOS_PARAMETERS_REVISION_1: u16 = 52;
