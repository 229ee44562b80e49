//! Security descriptors, lists of access rights and identifiers (SIDs), as drivers build them for their devices. Nobody is
//! refused anything by them here: they are made, measured and checked.

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::wdk::{ACCESS_MASK, BOOLEAN, NTSTATUS, PULONG, PVOID, UCHAR, ULONG};
use ndk_types::{STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_REVISION_MISMATCH, STATUS_SUCCESS};
use std::ptr;

/// STATUS_UNKNOWN_REVISION, STATUS_INVALID_ACL, STATUS_INVALID_SID, STATUS_INVALID_SECURITY_DESCR,
/// STATUS_ALLOTTED_SPACE_EXCEEDED
const UNKNOWN_REVISION: NTSTATUS = 0xc000_0058_u32.cast_signed();
const INVALID_ACL: NTSTATUS = 0xc000_0077_u32.cast_signed();
const INVALID_SID: NTSTATUS = 0xc000_0078_u32.cast_signed();
const INVALID_DESCRIPTOR: NTSTATUS = 0xc000_0079_u32.cast_signed();
const SPACE_EXCEEDED: NTSTATUS = 0xc000_0099_u32.cast_signed();

const REVISION: u8 = 1;
const DACL_PRESENT: u16 = 4;
const DACL_DEFAULTED: u16 = 8;
const SELF_RELATIVE: u16 = 0x8000;
/// Revisions of lists: ACL_REVISION to ACL_REVISION_DS.
const LIST_REVISIONS: std::ops::RangeInclusive<u8> = 2..=4;
const MOST_SUB_AUTHORITIES: u8 = 15;
/// Bytes of a list's head, and of an entry before its identifier.
const LIST_HEAD: usize = 8;
const ENTRY_HEAD: usize = 8;

/// SECURITY_DESCRIPTOR in absolute form.
#[repr(C)]
struct Descriptor {
    revision: u8,
    unused: u8,
    control: u16,
    owner: PVOID,
    group: PVOID,
    sacl: PVOID,
    dacl: PVOID,
}

/// ACL.
#[repr(C)]
struct List {
    revision: u8,
    unused: u8,
    size: u16,
    count: u16,
    unused_too: u16,
}

fn at<'a, T>(place: PVOID) -> &'a mut T {
    // SAFETY: the callers' pages: storage for what they say, or a valid one.
    unsafe { &mut *place.cast::<T>() }
}

/// The first two bytes of an identifier: its revision and the number of its parts.
fn head(sid: PVOID) -> [u8; 2] {
    // SAFETY: the callers' pages: an identifier.
    unsafe { sid.cast::<[u8; 2]>().read() }
}

const fn bytes_of(parts: u8) -> usize {
    8 + 4 * parts as usize
}

fn is_valid(sid: PVOID) -> bool {
    !sid.is_null() && matches!(head(sid), [REVISION, parts] if parts <= MOST_SUB_AUTHORITIES)
}

/// Where the entries of a list end, as an offset; `None` when they run over it.
fn end_of(list: PVOID) -> Option<usize> {
    let head = at::<List>(list);
    let mut end = LIST_HEAD;
    for _ in 0..head.count {
        let size = list.cast::<u8>().wrapping_add(end + 2).cast::<u16>();
        // SAFETY: an entry's head, inside the list so far.
        let size = usize::from(unsafe { size.read_unaligned() });
        end += size;
        if size < ENTRY_HEAD || end > usize::from(head.size) {
            return None;
        }
    }
    Some(end)
}

fn list_bytes(list: PVOID) -> usize {
    if list.is_null() { 0 } else { usize::from(at::<List>(list).size).next_multiple_of(4) }
}

fn sid_bytes(sid: PVOID) -> usize {
    if sid.is_null() { 0 } else { bytes_of(head(sid)[1]) }
}

ndk_types::abi! {
    unsafe extern "C" fn create_security_descriptor(descriptor: PVOID, revision: ULONG) -> NTSTATUS {
        if revision != u32::from(REVISION) {
            return UNKNOWN_REVISION;
        }
        let none = ptr::null_mut();
        let new =
            Descriptor { revision: REVISION, unused: 0, control: 0, owner: none, group: none, sacl: none, dacl: none };
        *at(descriptor) = new;
        STATUS_SUCCESS
    }

    unsafe extern "C" fn set_dacl_security_descriptor(
        descriptor: PVOID,
        present: BOOLEAN,
        dacl: PVOID,
        defaulted: BOOLEAN,
    ) -> NTSTATUS {
        let own = at::<Descriptor>(descriptor);
        if own.revision != REVISION {
            return UNKNOWN_REVISION;
        }
        if own.control & SELF_RELATIVE != 0 {
            return INVALID_DESCRIPTOR;
        }
        own.control &= !(DACL_PRESENT | DACL_DEFAULTED);
        own.dacl = ptr::null_mut();
        if present != 0 {
            if dacl.is_null() {
                Machine::current().log("a security descriptor with a NULL list: everybody may do everything");
            }
            own.control |= DACL_PRESENT | if defaulted == 0 { 0 } else { DACL_DEFAULTED };
            own.dacl = dacl;
        }
        STATUS_SUCCESS
    }

    unsafe extern "C" fn length_security_descriptor(descriptor: PVOID) -> ULONG {
        let own = at::<Descriptor>(descriptor);
        let parts = sid_bytes(own.owner) + sid_bytes(own.group) + list_bytes(own.sacl) + list_bytes(own.dacl);
        (size_of::<Descriptor>() + parts) as ULONG
    }

    unsafe extern "C" fn valid_security_descriptor(descriptor: PVOID) -> BOOLEAN {
        let own = at::<Descriptor>(descriptor);
        let sids = [own.owner, own.group].into_iter().all(|sid| sid.is_null() || is_valid(sid));
        let dacl = own.dacl.is_null() || end_of(own.dacl).is_some();
        BOOLEAN::from(own.revision == REVISION && sids && dacl)
    }

    unsafe extern "C" fn create_acl(list: PVOID, length: ULONG, revision: ULONG) -> NTSTATUS {
        if (length as usize) < LIST_HEAD {
            return STATUS_BUFFER_TOO_SMALL;
        }
        let known = u8::try_from(revision).is_ok_and(|revision| LIST_REVISIONS.contains(&revision));
        let Ok(size) = u16::try_from(length) else { return STATUS_INVALID_PARAMETER };
        if !known {
            return STATUS_INVALID_PARAMETER;
        }
        *at(list) = List { revision: revision as u8, unused: 0, size: size & !3, count: 0, unused_too: 0 };
        STATUS_SUCCESS
    }

    unsafe extern "C" fn add_access_allowed_ace(
        list: PVOID,
        revision: ULONG,
        mask: ACCESS_MASK,
        sid: PVOID,
    ) -> NTSTATUS {
        if !is_valid(sid) {
            return INVALID_SID;
        }
        let own = at::<List>(list);
        if !LIST_REVISIONS.contains(&own.revision) || !(2..=4).contains(&revision) {
            return STATUS_REVISION_MISMATCH;
        }
        let Some(end) = end_of(list) else { return INVALID_ACL };
        let sid_bytes = bytes_of(head(sid)[1]);
        let size = ENTRY_HEAD + sid_bytes;
        if end + size > usize::from(own.size) {
            return SPACE_EXCEEDED;
        }
        let entry = list.cast::<u8>().wrapping_add(end);
        // Type (0: allowed) and flags, size, mask.
        let words = [(size as u32) << 16, mask];
        // SAFETY: room in the list (above), which is aligned to 4.
        unsafe { entry.cast::<[u32; 2]>().write_unaligned(words) };
        // SAFETY: as above, and an identifier of so many bytes.
        unsafe { ptr::copy_nonoverlapping(sid.cast::<u8>(), entry.wrapping_add(ENTRY_HEAD), sid_bytes) };
        own.count += 1;
        own.revision = own.revision.max(revision as u8);
        STATUS_SUCCESS
    }

    unsafe extern "C" fn initialize_sid(sid: PVOID, authority: *const [u8; 6], parts: UCHAR) -> NTSTATUS {
        if parts > MOST_SUB_AUTHORITIES {
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: the page: an authority.
        let authority = unsafe { authority.read() };
        let mut bytes = [0; 8];
        bytes[..2].copy_from_slice(&[REVISION, parts]);
        bytes[2..].copy_from_slice(&authority);
        *at(sid) = bytes;
        STATUS_SUCCESS
    }

    unsafe extern "C" fn sub_authority_sid(sid: PVOID, number: ULONG) -> PULONG {
        sid.cast::<u8>().wrapping_add(8 + 4 * number as usize).cast()
    }

    unsafe extern "C" fn length_required_sid(parts: ULONG) -> ULONG {
        8 + 4 * parts
    }

    unsafe extern "C" fn length_sid(sid: PVOID) -> ULONG {
        bytes_of(head(sid)[1]) as ULONG
    }

    unsafe extern "C" fn valid_sid(sid: PVOID) -> BOOLEAN {
        BOOLEAN::from(is_valid(sid))
    }

    unsafe extern "C" fn copy_sid(room: ULONG, destination: PVOID, source: PVOID) -> NTSTATUS {
        let bytes = bytes_of(head(source)[1]);
        if (room as usize) < bytes {
            return STATUS_BUFFER_TOO_SMALL;
        }
        // SAFETY: an identifier of so many bytes, and room for them.
        unsafe { ptr::copy(source.cast::<u8>(), destination.cast::<u8>(), bytes) };
        STATUS_SUCCESS
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::c_only;
        RtlCreateSecurityDescriptor <= Passive = create_security_descriptor,
        RtlSetDaclSecurityDescriptor <= Passive = set_dacl_security_descriptor,
        RtlLengthSecurityDescriptor <= Passive = length_security_descriptor,
        RtlValidSecurityDescriptor <= Passive = valid_security_descriptor,
        RtlCreateAcl <= Apc = create_acl,
        RtlAddAccessAllowedAce <= Apc = add_access_allowed_ace,
        RtlInitializeSid <= Apc = initialize_sid,
        RtlSubAuthoritySid <= Apc = sub_authority_sid,
        RtlLengthRequiredSid <= Apc = length_required_sid,
        RtlLengthSid <= Apc = length_sid,
        RtlValidSid <= Apc = valid_sid,
        RtlCopySid <= Apc = copy_sid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::bad_drivers::{broken, import};

    #[test]
    fn a_list_takes_what_there_is_room_for_and_a_descriptor_measures_it() {
        let rules = broken(|_, _| {
            let (mut sid, mut list, mut descriptor) = ([0_u64; 2], [0_u64; 6], [0_u64; 5]);
            let (sid, list) = (sid.as_mut_ptr().cast(), list.as_mut_ptr().cast());
            let descriptor = descriptor.as_mut_ptr().cast();
            assert_eq!(import!(c_only: RtlAddAccessAllowedAce, list, 2, 1, sid), INVALID_SID);
            assert_eq!(import!(c_only: RtlInitializeSid, sid, &[0, 0, 0, 0, 0, 5], 1), STATUS_SUCCESS);
            let part = import!(c_only: RtlSubAuthoritySid, sid, 0);
            // SAFETY: the identifier's first part.
            unsafe { part.write(18) };
            assert_eq!((import!(c_only: RtlLengthSid, sid), import!(c_only: RtlValidSid, sid)), (12, 1));
            assert_eq!(import!(c_only: RtlLengthRequiredSid, 1), 12);
            assert_eq!(import!(c_only: RtlCreateAcl, list, 7, 2), STATUS_BUFFER_TOO_SMALL);
            assert_eq!(import!(c_only: RtlCreateAcl, list, 48, 9), STATUS_INVALID_PARAMETER);
            assert_eq!(import!(c_only: RtlCreateAcl, list, 48, 2), STATUS_SUCCESS);
            let added = [0; 3].map(|_| import!(c_only: RtlAddAccessAllowedAce, list, 2, 0x1f_01ff, sid));
            assert_eq!(added, [STATUS_SUCCESS, STATUS_SUCCESS, SPACE_EXCEEDED]);
            assert_eq!(import!(c_only: RtlCreateSecurityDescriptor, descriptor, 2), UNKNOWN_REVISION);
            assert_eq!(import!(c_only: RtlCreateSecurityDescriptor, descriptor, 1), STATUS_SUCCESS);
            assert_eq!(import!(c_only: RtlSetDaclSecurityDescriptor, descriptor, 1, list, 0), STATUS_SUCCESS);
            assert_eq!(import!(c_only: RtlLengthSecurityDescriptor, descriptor), 40 + 48);
            assert_eq!(import!(c_only: RtlValidSecurityDescriptor, descriptor), 1);
            // An entry that runs over its list.
            at::<List>(list).size = 20;
            assert_eq!(import!(c_only: RtlValidSecurityDescriptor, descriptor), 0);
            let mut other = [0_u64; 2];
            let other = other.as_mut_ptr().cast();
            assert_eq!(import!(c_only: RtlCopySid, 11, other, sid), STATUS_BUFFER_TOO_SMALL);
            assert_eq!(import!(c_only: RtlCopySid, 12, other, sid), STATUS_SUCCESS);
            assert_eq!(import!(c_only: RtlLengthSid, other), 12);
        });
        assert_eq!(rules, []);
    }
}
