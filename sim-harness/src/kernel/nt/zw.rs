//! Files that drivers open by name (ZwCreateFile and its like), on a disk that is a list of names and bytes.
//!
//! Everything completes at once. A handle without FILE_SYNCHRONOUS_IO_... has no position of its own, as in the real thing.

#[cfg(test)]
mod tests;

use super::threads::{Target, check_attributes};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::nt::runtime::text;
use crate::kernel::wdk::{
    ACCESS_MASK, FILE_INFORMATION_CLASS, HANDLE, NTSTATUS, PHANDLE, PIO_STATUS_BLOCK, PLARGE_INTEGER,
    POBJECT_ATTRIBUTES, PULONG, PVOID, ULONG, types,
};
use ndk_types::{
    STATUS_ACCESS_DENIED, STATUS_BUFFER_TOO_SMALL, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER, STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS,
};
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// STATUS_INVALID_INFO_CLASS, STATUS_END_OF_FILE, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_SYNTAX_BAD
const INVALID_INFO_CLASS: NTSTATUS = 0xc000_0003_u32.cast_signed();
const END_OF_FILE: NTSTATUS = 0xc000_0011_u32.cast_signed();
pub(super) const NOT_FOUND: NTSTATUS = 0xc000_0034_u32.cast_signed();
pub(super) const PATH_SYNTAX_BAD: NTSTATUS = 0xc000_003b_u32.cast_signed();

/// What is done about a file that is there, or is not: FILE_SUPERSEDE to FILE_OVERWRITE_IF; and what was done.
mod disposition {
    pub(super) const SUPERSEDE: u32 = 0;
    pub(super) const OPEN: u32 = 1;
    pub(super) const CREATE: u32 = 2;
    pub(super) const OPEN_IF: u32 = 3;
    pub(super) const OVERWRITE: u32 = 4;
    pub(super) const OVERWRITE_IF: u32 = 5;
    pub(super) const SUPERSEDED: u64 = 0;
    pub(super) const OPENED: u64 = 1;
    pub(super) const CREATED: u64 = 2;
    pub(super) const OVERWRITTEN: u64 = 3;
}

/// FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT, FILE_DELETE_ON_CLOSE is not played.
const SYNCHRONOUS: u32 = 0x30;
/// Access to read (FILE_READ_DATA, GENERIC_READ, GENERIC_ALL) and to write.
const READS: u32 = 0x9000_0001;
const WRITES: u32 = 0x5000_0006;
/// Offsets that mean the end of the file and the handle's position.
const AT_END: i64 = -1;
const AT_POSITION: i64 = -2;
/// The longest file there may be.
const MOST: usize = 1 << 28;

/// A file that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub(super) path: String,
    /// Where the handle stands, when it stands anywhere.
    position: Option<usize>,
    access: u32,
}

/// The files of one machine, by name.
#[derive(Debug, Default)]
pub struct Disk(Mutex<BTreeMap<String, Vec<u8>>>);

/// A name as it is compared: without case, and with one spelling for the drive's root.
fn folded(path: &str) -> String {
    let path = path.to_ascii_uppercase();
    let rest = [r"\DOSDEVICES\", r"\??\", r"\GLOBAL??\"].iter().find_map(|prefix| path.strip_prefix(prefix));
    let path = rest.map_or(path.clone(), |rest| format!(r"\??\{rest}"));
    path.strip_prefix(r"\SYSTEMROOT\").map_or(path.clone(), |rest| format!(r"\??\C:\WINDOWS\{rest}"))
}

impl Disk {
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a file on the disk.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        self.files().insert(folded(path), bytes.to_vec());
    }

    /// What is in a file.
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.files().get(&folded(path)).cloned()
    }
}

/// The full name that attributes give: below the key or directory of a handle, or from the root.
pub(super) fn name_of(machine: &Machine, attributes: POBJECT_ATTRIBUTES, call: &str) -> Result<String, NTSTATUS> {
    check_attributes(attributes, call);
    if attributes.is_null() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: the pages: valid attributes.
    let fields = unsafe { attributes.read() };
    if fields.Length as usize != size_of::<types::OBJECT_ATTRIBUTES>() {
        machine.violation("handle", format!("{call} with OBJECT_ATTRIBUTES of {} bytes", fields.Length));
        return Err(STATUS_INVALID_PARAMETER);
    }
    let name = text(fields.ObjectName);
    if fields.RootDirectory.is_null() {
        return if name.starts_with('\\') { Ok(name) } else { Err(PATH_SYNTAX_BAD) };
    }
    let above = match machine.nt.threads.target(fields.RootDirectory) {
        Some(Target::Key(path)) => path,
        Some(Target::File(open)) => open.path,
        Some(Target::Thread(_)) => return Err(STATUS_OBJECT_TYPE_MISMATCH),
        None => return Err(STATUS_INVALID_HANDLE),
    };
    Ok(if name.is_empty() { above } else { format!(r"{above}\{name}") })
}

/// The file of a handle; a handle that is none is a violation.
fn file(machine: &Machine, handle: HANDLE, call: &str) -> Result<Open, NTSTATUS> {
    match machine.nt.threads.target(handle) {
        Some(Target::File(open)) => Ok(open),
        Some(_) => Err(STATUS_OBJECT_TYPE_MISMATCH),
        None => {
            machine.violation("handle", format!("{call} with {:#x}, which is no open handle", handle.addr()));
            Err(STATUS_INVALID_HANDLE)
        }
    }
}

fn report(block: PIO_STATUS_BLOCK, status: NTSTATUS, information: u64) -> NTSTATUS {
    // SAFETY: the pages: room for the status block.
    let block = unsafe { &mut *block };
    block.__bindgen_anon_1.Pointer = ptr::null_mut();
    block.__bindgen_anon_1.Status = status;
    block.Information = information;
    status
}

/// Opens or makes a file; gives what was done.
fn create(machine: &Machine, path: &str, wanted: u32) -> Result<u64, NTSTATUS> {
    use disposition::*;
    let mut files = machine.nt.disk.files();
    let key = folded(path);
    let (there, done) = match (wanted, files.contains_key(&key)) {
        (OPEN | OVERWRITE, false) => return Err(NOT_FOUND),
        (CREATE, true) => return Err(STATUS_OBJECT_NAME_COLLISION),
        (OPEN | OPEN_IF, true) => (true, OPENED),
        (SUPERSEDE, true) => (false, SUPERSEDED),
        (OVERWRITE | OVERWRITE_IF, true) => (false, OVERWRITTEN),
        (SUPERSEDE | CREATE | OPEN_IF | OVERWRITE_IF, false) => (false, CREATED),
        _ => return Err(STATUS_INVALID_PARAMETER),
    };
    if !there {
        files.insert(key, Vec::new());
    }
    Ok(done)
}

struct Request {
    wanted: u32,
    options: u32,
    access: u32,
}

fn open(
    handle: PHANDLE,
    attributes: POBJECT_ATTRIBUTES,
    block: PIO_STATUS_BLOCK,
    request: &Request,
    call: &str,
) -> NTSTATUS {
    let machine = Machine::current();
    if machine.take_failure(call) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let opened = name_of(&machine, attributes, call).and_then(|path| {
        let done = create(&machine, &path, request.wanted)?;
        Ok((path, done))
    });
    match opened {
        Ok((path, done)) => {
            let position = (request.options & SYNCHRONOUS != 0).then_some(0);
            let target = Target::File(Open { path, position, access: request.access });
            // SAFETY: the page: room for a handle.
            unsafe { handle.write(machine.nt.threads.open(target)) };
            report(block, STATUS_SUCCESS, done)
        }
        Err(status) => report(block, status, 0),
    }
}

/// Where a transfer begins.
fn offset(open: &Open, at: PLARGE_INTEGER, length: usize) -> Result<usize, NTSTATUS> {
    let at = if at.is_null() {
        AT_POSITION
    } else {
        // SAFETY: the page: NULL or an offset.
        let at = unsafe { at.read() };
        // SAFETY: every member of the union is the same 64 bits.
        unsafe { at.QuadPart }
    };
    match at {
        AT_POSITION => open.position.ok_or(STATUS_INVALID_PARAMETER),
        AT_END => Ok(length),
        at => usize::try_from(at).ok().filter(|at| *at <= MOST).ok_or(STATUS_INVALID_PARAMETER),
    }
}

/// Writes the first bytes of a structure that a caller asked for.
fn give(place: PVOID, room: ULONG, bytes: &[u8], block: PIO_STATUS_BLOCK) -> NTSTATUS {
    if (room as usize) < bytes.len() {
        return report(block, STATUS_BUFFER_TOO_SMALL, 0);
    }
    // SAFETY: the page: so much room.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place.cast::<u8>(), bytes.len()) };
    report(block, STATUS_SUCCESS, bytes.len() as u64)
}

ndk_types::abi! {
    unsafe extern "C" fn zw_create_file(
        handle: PHANDLE,
        access: ACCESS_MASK,
        attributes: POBJECT_ATTRIBUTES,
        block: PIO_STATUS_BLOCK,
        _allocation: PLARGE_INTEGER,
        _file_flags: ULONG,
        _share: ULONG,
        wanted: ULONG,
        options: ULONG,
        _ea: PVOID,
        _ea_length: ULONG,
    ) -> NTSTATUS {
        open(handle, attributes, block, &Request { wanted, options, access }, "ZwCreateFile")
    }

    unsafe extern "C" fn zw_open_file(
        handle: PHANDLE,
        access: ACCESS_MASK,
        attributes: POBJECT_ATTRIBUTES,
        block: PIO_STATUS_BLOCK,
        _share: ULONG,
        options: ULONG,
    ) -> NTSTATUS {
        open(handle, attributes, block, &Request { wanted: disposition::OPEN, options, access }, "ZwOpenFile")
    }

    unsafe extern "C" fn zw_read_file(
        handle: HANDLE,
        _event: HANDLE,
        _apc: PVOID,
        _context: PVOID,
        block: PIO_STATUS_BLOCK,
        buffer: PVOID,
        length: ULONG,
        at: PLARGE_INTEGER,
        _key: PULONG,
    ) -> NTSTATUS {
        let machine = Machine::current();
        let open = match file(&machine, handle, "ZwReadFile") {
            Ok(open) if open.access & READS == 0 => return report(block, STATUS_ACCESS_DENIED, 0),
            Ok(open) => open,
            Err(status) => return status,
        };
        let bytes = machine.nt.disk.get(&open.path).unwrap_or_default();
        let from = match offset(&open, at, bytes.len()) {
            Ok(from) if from >= bytes.len() && length > 0 => return report(block, END_OF_FILE, 0),
            Ok(from) => from.min(bytes.len()),
            Err(status) => return status,
        };
        let taken = &bytes[from..bytes.len().min(from + length as usize)];
        // SAFETY: the page: a buffer of so many bytes.
        unsafe { ptr::copy_nonoverlapping(taken.as_ptr(), buffer.cast::<u8>(), taken.len()) };
        let end = from + taken.len();
        machine.nt.threads.update(handle, |open| open.position = open.position.map(|_| end));
        report(block, STATUS_SUCCESS, taken.len() as u64)
    }

    unsafe extern "C" fn zw_write_file(
        handle: HANDLE,
        _event: HANDLE,
        _apc: PVOID,
        _context: PVOID,
        block: PIO_STATUS_BLOCK,
        buffer: PVOID,
        length: ULONG,
        at: PLARGE_INTEGER,
        _key: PULONG,
    ) -> NTSTATUS {
        let machine = Machine::current();
        let open = match file(&machine, handle, "ZwWriteFile") {
            Ok(open) if open.access & WRITES == 0 => return report(block, STATUS_ACCESS_DENIED, 0),
            Ok(open) => open,
            Err(status) => return status,
        };
        // SAFETY: the page: a buffer of so many bytes.
        let new = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length as usize) };
        let mut bytes = machine.nt.disk.get(&open.path).unwrap_or_default();
        let from = match offset(&open, at, bytes.len()) {
            Ok(from) => from,
            Err(status) => return status,
        };
        let end = from + new.len();
        bytes.resize(bytes.len().max(end), 0);
        bytes[from..end].copy_from_slice(new);
        machine.nt.disk.put(&open.path, &bytes);
        machine.nt.threads.update(handle, |open| open.position = open.position.map(|_| end));
        report(block, STATUS_SUCCESS, new.len() as u64)
    }

    unsafe extern "C" fn zw_query_information_file(
        handle: HANDLE,
        block: PIO_STATUS_BLOCK,
        place: PVOID,
        room: ULONG,
        class: FILE_INFORMATION_CLASS,
    ) -> NTSTATUS {
        use types::_FILE_INFORMATION_CLASS as Class;
        let machine = Machine::current();
        let open = match file(&machine, handle, "ZwQueryInformationFile") {
            Ok(open) => open,
            Err(status) => return status,
        };
        let length = machine.nt.disk.get(&open.path).map_or(0, |bytes| bytes.len()) as u64;
        match class {
            Class::FileStandardInformation => {
                // AllocationSize, EndOfFile, NumberOfLinks, DeletePending, Directory.
                let words = [length.next_multiple_of(4096), length, 1];
                give(place, room, words.map(u64::to_le_bytes).as_flattened(), block)
            }
            Class::FilePositionInformation => {
                give(place, room, &(open.position.unwrap_or(0) as u64).to_le_bytes(), block)
            }
            // Four times and the attributes (FILE_ATTRIBUTE_NORMAL).
            Class::FileBasicInformation => {
                let boot = super::time::BOOT;
                give(place, room, [boot, boot, boot, boot, 0x80].map(u64::to_le_bytes).as_flattened(), block)
            }
            _ => report(block, INVALID_INFO_CLASS, 0),
        }
    }

    unsafe extern "C" fn zw_set_information_file(
        handle: HANDLE,
        block: PIO_STATUS_BLOCK,
        place: PVOID,
        room: ULONG,
        class: FILE_INFORMATION_CLASS,
    ) -> NTSTATUS {
        use types::_FILE_INFORMATION_CLASS as Class;
        let machine = Machine::current();
        let open = match file(&machine, handle, "ZwSetInformationFile") {
            Ok(open) => open,
            Err(status) => return status,
        };
        let needed = if class == Class::FileDispositionInformation { 1 } else { 8 };
        if room < needed {
            return report(block, STATUS_BUFFER_TOO_SMALL, 0);
        }
        if class == Class::FileDispositionInformation {
            machine.nt.disk.files().remove(&folded(&open.path));
            return report(block, STATUS_SUCCESS, 0);
        }
        // SAFETY: the page: a structure that begins with 64 bits.
        let value = unsafe { place.cast::<u64>().read_unaligned() };
        let Some(value) = usize::try_from(value).ok().filter(|value| *value <= MOST) else {
            return report(block, STATUS_INVALID_PARAMETER, 0);
        };
        match class {
            Class::FilePositionInformation => {
                machine.nt.threads.update(handle, |open| open.position = open.position.map(|_| value));
            }
            Class::FileEndOfFileInformation => {
                let mut bytes = machine.nt.disk.get(&open.path).unwrap_or_default();
                bytes.resize(value, 0);
                machine.nt.disk.put(&open.path, &bytes);
            }
            _ => return report(block, INVALID_INFO_CLASS, 0),
        }
        report(block, STATUS_SUCCESS, 0)
    }

    unsafe extern "C" fn zw_delete_file(attributes: POBJECT_ATTRIBUTES) -> NTSTATUS {
        let machine = Machine::current();
        match name_of(&machine, attributes, "ZwDeleteFile") {
            Ok(path) if machine.nt.disk.files().remove(&folded(&path)).is_some() => STATUS_SUCCESS,
            Ok(_) => NOT_FOUND,
            Err(status) => status,
        }
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        ZwCreateFile <= Passive = zw_create_file,
        ZwOpenFile <= Passive = zw_open_file,
        ZwReadFile <= Passive = zw_read_file,
        ZwWriteFile <= Passive = zw_write_file,
        ZwQueryInformationFile <= Passive = zw_query_information_file,
        ZwSetInformationFile <= Passive = zw_set_information_file,
        ZwDeleteFile <= Passive = zw_delete_file,
    }
}
