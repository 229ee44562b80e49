//! Keys of the registry that drivers open by name (ZwOpenKey and its like), over the machine's registry.
//!
//! The registry has strings, lists of strings, numbers and bytes; a value of another type is kept as its bytes.

use super::registry::Value;
use super::threads::Target;
use super::zw::{NOT_FOUND, name_of};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::nt::runtime::text;
use crate::kernel::wdk::{
    ACCESS_MASK, HANDLE, KEY_INFORMATION_CLASS, KEY_VALUE_INFORMATION_CLASS, NTSTATUS, PHANDLE, POBJECT_ATTRIBUTES,
    PULONG, PUNICODE_STRING, PVOID, ULONG, types,
};
use ndk_types::{
    STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER, STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS,
};
use std::ptr;

/// STATUS_NO_MORE_ENTRIES
const NO_MORE_ENTRIES: NTSTATUS = 0x8000_001a_u32.cast_signed();
/// Types of values.
const SZ: u32 = 1;
const EXPAND_SZ: u32 = 2;
const BINARY: u32 = 3;
const DWORD: u32 = 4;
const MULTI_SZ: u32 = 7;
/// What ZwCreateKey found.
const CREATED_NEW_KEY: u32 = 1;
const OPENED_EXISTING_KEY: u32 = 2;

fn units(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A value's type and bytes, as drivers see them.
fn encoded(value: &Value) -> (u32, Vec<u8>) {
    match value {
        Value::Sz(text) => (SZ, units(&format!("{text}\0"))),
        Value::MultiSz(all) => {
            let each = all.iter().flat_map(|one| [one.as_str(), "\0"]);
            (MULTI_SZ, units(&each.chain(["\0"]).collect::<String>()))
        }
        Value::Dword(number) => (DWORD, number.to_le_bytes().to_vec()),
        Value::Binary(bytes) => (BINARY, bytes.clone()),
    }
}

fn string(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
    String::from_utf16_lossy(&units)
}

fn decoded(kind: u32, bytes: &[u8]) -> Value {
    match (kind, bytes) {
        (SZ | EXPAND_SZ, _) => Value::Sz(string(bytes).trim_end_matches('\0').to_owned()),
        (MULTI_SZ, _) => {
            Value::MultiSz(string(bytes).split('\0').filter(|one| !one.is_empty()).map(str::to_owned).collect())
        }
        (DWORD, &[a, b, c, d]) => Value::Dword(u32::from_le_bytes([a, b, c, d])),
        _ => Value::Binary(bytes.to_vec()),
    }
}

/// The key of a handle; a handle that is none is a violation.
fn key(machine: &Machine, handle: HANDLE, call: &str) -> Result<String, NTSTATUS> {
    match machine.nt.threads.target(handle) {
        Some(Target::Key(path)) => Ok(path),
        Some(_) => Err(STATUS_OBJECT_TYPE_MISMATCH),
        None => {
            machine.violation("handle", format!("{call} with {:#x}, which is no open handle", handle.addr()));
            Err(STATUS_INVALID_HANDLE)
        }
    }
}

fn give_handle(machine: &Machine, handle: PHANDLE, path: String) -> NTSTATUS {
    // SAFETY: the pages: room for a handle.
    unsafe { handle.write(machine.nt.threads.open(Target::Key(path))) };
    STATUS_SUCCESS
}

/// Answers with a structure: its fixed part, and behind it what may be cut.
fn answer(place: PVOID, room: ULONG, needed: PULONG, fixed: usize, bytes: &[u8]) -> NTSTATUS {
    // SAFETY: the pages: room for the length.
    unsafe { needed.write(bytes.len() as u32) };
    let room = room as usize;
    if room < fixed {
        return STATUS_BUFFER_TOO_SMALL;
    }
    let given = room.min(bytes.len());
    // SAFETY: the pages: so much room.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place.cast::<u8>(), given) };
    if given < bytes.len() { STATUS_BUFFER_OVERFLOW } else { STATUS_SUCCESS }
}

ndk_types::abi! {
    unsafe extern "C" fn zw_open_key(
        handle: PHANDLE,
        _access: ACCESS_MASK,
        attributes: POBJECT_ATTRIBUTES,
    ) -> NTSTATUS {
        let machine = Machine::current();
        if machine.take_failure("ZwOpenKey") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        match name_of(&machine, attributes, "ZwOpenKey") {
            Ok(path) if machine.nt.registry.exists(&path) => give_handle(&machine, handle, path),
            Ok(_) => NOT_FOUND,
            Err(status) => status,
        }
    }

    unsafe extern "C" fn zw_create_key(
        handle: PHANDLE,
        _access: ACCESS_MASK,
        attributes: POBJECT_ATTRIBUTES,
        _title: ULONG,
        _class: PUNICODE_STRING,
        _options: ULONG,
        disposition: PULONG,
    ) -> NTSTATUS {
        let machine = Machine::current();
        if machine.take_failure("ZwCreateKey") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let path = match name_of(&machine, attributes, "ZwCreateKey") {
            Ok(path) => path,
            Err(status) => return status,
        };
        // The key right above must be there: one call makes one key.
        let above = path.trim_end_matches('\\').rsplit_once('\\').map_or("", |(above, _)| above);
        let there = machine.nt.registry.exists(&path);
        if !there && !machine.nt.registry.exists(above) {
            return NOT_FOUND;
        }
        machine.nt.registry.create(&path);
        if !disposition.is_null() {
            // SAFETY: the page: NULL or room for it.
            unsafe { disposition.write(if there { OPENED_EXISTING_KEY } else { CREATED_NEW_KEY }) };
        }
        give_handle(&machine, handle, path)
    }

    unsafe extern "C" fn zw_query_value_key(
        handle: HANDLE,
        name: PUNICODE_STRING,
        class: KEY_VALUE_INFORMATION_CLASS,
        place: PVOID,
        room: ULONG,
        needed: PULONG,
    ) -> NTSTATUS {
        use types::_KEY_VALUE_INFORMATION_CLASS as Class;
        let machine = Machine::current();
        let path = match key(&machine, handle, "ZwQueryValueKey") {
            Ok(path) => path,
            Err(status) => return status,
        };
        let name = text(name);
        let Some(value) = machine.nt.registry.get(&path, &name) else { return NOT_FOUND };
        let ((kind, data), name) = (encoded(&value), units(&name));
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        match class {
            // TitleIndex, Type, NameLength, Name.
            Class::KeyValueBasicInformation => {
                answer(place, room, needed, 12, &[words(&[0, kind, name.len() as u32]), name].concat())
            }
            // TitleIndex, Type, DataOffset, DataLength, NameLength, Name; the data is aligned to 8.
            Class::KeyValueFullInformation => {
                let offset = (20 + name.len()).next_multiple_of(8);
                let lengths = [0, kind, offset as u32, data.len() as u32, name.len() as u32];
                let gap = vec![0; offset - 20 - name.len()];
                answer(place, room, needed, 20, &[words(&lengths), name, gap, data].concat())
            }
            // TitleIndex, Type, DataLength, Data.
            Class::KeyValuePartialInformation => {
                answer(place, room, needed, 12, &[words(&[0, kind, data.len() as u32]), data].concat())
            }
            _ => STATUS_INVALID_PARAMETER,
        }
    }

    unsafe extern "C" fn zw_set_value_key(
        handle: HANDLE,
        name: PUNICODE_STRING,
        _title: ULONG,
        kind: ULONG,
        data: PVOID,
        size: ULONG,
    ) -> NTSTATUS {
        let machine = Machine::current();
        let path = match key(&machine, handle, "ZwSetValueKey") {
            Ok(path) => path,
            Err(status) => return status,
        };
        // SAFETY: the page: so many bytes, or none.
        let bytes = if size == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size as usize) } };
        machine.nt.registry.set(&path, &text(name), decoded(kind, bytes));
        STATUS_SUCCESS
    }

    unsafe extern "C" fn zw_delete_value_key(handle: HANDLE, name: PUNICODE_STRING) -> NTSTATUS {
        let machine = Machine::current();
        match key(&machine, handle, "ZwDeleteValueKey") {
            Ok(path) if machine.nt.registry.delete_value(&path, &text(name)) => STATUS_SUCCESS,
            Ok(_) => NOT_FOUND,
            Err(status) => status,
        }
    }

    unsafe extern "C" fn zw_delete_key(handle: HANDLE) -> NTSTATUS {
        let machine = Machine::current();
        match key(&machine, handle, "ZwDeleteKey") {
            // A key with keys below it stays: STATUS_CANNOT_DELETE.
            Ok(path) if !machine.nt.registry.keys(&path).is_empty() => 0xc000_0121_u32.cast_signed(),
            Ok(path) if machine.nt.registry.delete(&path) => STATUS_SUCCESS,
            Ok(_) => NOT_FOUND,
            Err(status) => status,
        }
    }

    unsafe extern "C" fn zw_enumerate_key(
        handle: HANDLE,
        index: ULONG,
        class: KEY_INFORMATION_CLASS,
        place: PVOID,
        room: ULONG,
        needed: PULONG,
    ) -> NTSTATUS {
        let machine = Machine::current();
        let path = match key(&machine, handle, "ZwEnumerateKey") {
            Ok(path) => path,
            Err(status) => return status,
        };
        if class != types::_KEY_INFORMATION_CLASS::KeyBasicInformation {
            return STATUS_INVALID_PARAMETER;
        }
        let Some(name) = machine.nt.registry.keys(&path).into_iter().nth(index as usize) else { return NO_MORE_ENTRIES };
        let name = units(&name);
        // LastWriteTime, TitleIndex, NameLength, Name.
        let head = [super::time::BOOT.to_le_bytes(), ((name.len() as u64) << 32).to_le_bytes()];
        answer(place, room, needed, 16, &[head.as_flattened(), &name].concat())
    }

    unsafe extern "C" fn zw_flush_key(handle: HANDLE) -> NTSTATUS {
        key(&Machine::current(), handle, "ZwFlushKey").err().unwrap_or(STATUS_SUCCESS)
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        ZwOpenKey <= Passive = zw_open_key,
        ZwCreateKey <= Passive = zw_create_key,
        ZwQueryValueKey <= Passive = zw_query_value_key,
        ZwSetValueKey <= Passive = zw_set_value_key,
        ZwDeleteValueKey <= Passive = zw_delete_value_key,
        ZwDeleteKey <= Passive = zw_delete_key,
        ZwEnumerateKey <= Passive = zw_enumerate_key,
        ZwFlushKey <= Passive = zw_flush_key,
    }
}
