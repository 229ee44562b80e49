//! The registry as NDIS reads it: NdisOpenConfigurationEx, NdisReadConfiguration, NdisReadNetworkAddress.
//!
//! Which key a handle of NDIS reads is said with [`Configuration::attach`]. What was read lies in pool until the configuration
//! is closed. A text is given as an integer when it is one in the notation that was asked for; apart from that "ParameterType
//! is ignored", as the page has it: the driver gets the value in the type the registry has, and must look at the type it got.
//! The page's predefined names, ProcessorType and NdisVersion, are not simulated.

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::nt::registry::Value;
use crate::kernel::nt::runtime::text;
use ndk_types::*;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tag of what was read.
const TAG: u32 = u32::from_le_bytes(*b"NDcf");
/// The first handle: no address of anything.
const FIRST: usize = 0x4346_0001;

#[derive(Debug)]
struct Open {
    owner: usize,
    key: String,
    /// Its owner is gone.
    late: bool,
    /// What was read so far: blocks of pool.
    read: Vec<usize>,
}

#[derive(Debug, Default)]
struct State {
    keys: BTreeMap<usize, String>,
    open: BTreeMap<usize, Open>,
    made: usize,
}

/// The keys of handles, and the configurations that are open.
#[derive(Debug, Default)]
pub struct Configuration(Mutex<State>);

impl Configuration {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this handle of a driver, an adapter or a binding (or the address of NDIS_BIND_PARAMETERS) reads this key.
    pub fn attach(&self, handle: usize, key: impl Into<String>) {
        self.state().keys.insert(handle, key.into());
    }

    /// The handle is gone. A configuration opened with it should be closed by now: its next use, its close too, is a violation.
    pub fn detach(&self, handle: usize) {
        let mut state = self.state();
        state.keys.remove(&handle);
        for open in state.open.values_mut().filter(|open| open.owner == handle) {
            open.late = true;
        }
    }

    /// What a driver left behind.
    pub fn leaks(&self) -> Vec<String> {
        self.state().open.values().map(|open| format!("an open configuration of {}", open.key)).collect()
    }

    fn open(&self, owner: usize) -> Option<usize> {
        let mut state = self.state();
        let key = state.keys.get(&owner)?.clone();
        let handle = FIRST + state.made * 16;
        state.made += 1;
        state.open.insert(handle, Open { owner, key, late: false, read: Vec::new() });
        Some(handle)
    }

    /// The key of an open configuration.
    fn key(&self, machine: &Machine, handle: usize) -> Option<String> {
        let state = self.state();
        let found = state.open.get(&handle).map(|open| (open.key.clone(), open.late));
        let closed = state.is_closed(handle);
        drop(state);
        let wrong = match found {
            None if closed => Some("is closed"),
            None => Some("is none"),
            Some((_, true)) => Some("is used after the adapter, binding or driver it is of has gone"),
            Some((_, false)) => None,
        };
        if let Some(wrong) = wrong {
            machine.violation("configuration", format!("configuration {handle:#x} {wrong}"));
        }
        found.map(|(key, _)| key)
    }

    /// A block of pool that lives until the configuration is closed.
    fn block(&self, machine: &Machine, handle: usize, bytes: usize) -> Option<*mut u8> {
        let block = machine.nt.pool.allocate(&machine.nt.memory, bytes, TAG, true)?;
        self.state().open.get_mut(&handle)?.read.push(block.expose_provenance());
        Some(block)
    }
}

impl State {
    fn is_closed(&self, handle: usize) -> bool {
        handle >= FIRST && (handle - FIRST).is_multiple_of(16) && (handle - FIRST) / 16 < self.made
    }
}

/// A value as it is given to a driver.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    Integer(u32),
    /// The type, the bytes, and how many of them count.
    Bytes(NDIS_PARAMETER_TYPE, Vec<u8>, u16),
}

impl Given {
    /// `None`: too long to be counted.
    fn of(value: Value, wanted: NDIS_PARAMETER_TYPE) -> Option<Self> {
        let counted = |kind, bytes: Vec<u8>, zero: usize| {
            let length = u16::try_from(bytes.len()).ok()?.checked_sub(zero as u16)?;
            Some(Self::Bytes(kind, bytes, length))
        };
        match value {
            Value::Dword(number) => Some(Self::Integer(number)),
            Value::Sz(text) => match number(&text, wanted) {
                Some(number) => Some(Self::Integer(number)),
                None => counted(NdisParameterString, units(&text), 2),
            },
            Value::MultiSz(texts) => {
                let mut bytes: Vec<u8> = texts.iter().flat_map(|text| units(text)).collect();
                bytes.extend([0, 0]);
                counted(NdisParameterMultiString, bytes, 2)
            }
            Value::Binary(bytes) => counted(NdisParameterBinary, bytes, 0),
        }
    }

    /// The structure that says so; its bytes are behind it.
    fn parameter(&self, block: *mut NDIS_CONFIGURATION_PARAMETER) -> NDIS_CONFIGURATION_PARAMETER {
        let behind = block.wrapping_add(1);
        let (kind, data) = match *self {
            Self::Integer(number) => (NdisParameterInteger, NDIS_CONFIGURATION_PARAMETER_DATA { IntegerData: number }),
            Self::Bytes(kind, _, length) if kind == NdisParameterBinary => {
                let data = BINARY_DATA { Length: length, Buffer: behind.cast() };
                (kind, NDIS_CONFIGURATION_PARAMETER_DATA { BinaryData: data })
            }
            Self::Bytes(kind, ref bytes, length) => {
                let text = UNICODE_STRING { Length: length, MaximumLength: bytes.len() as u16, Buffer: behind.cast() };
                (kind, NDIS_CONFIGURATION_PARAMETER_DATA { StringData: text })
            }
        };
        NDIS_CONFIGURATION_PARAMETER { ParameterType: kind, ParameterData: data }
    }
}

/// A text's bytes with its zero.
fn units(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// The number that a text is, in the notation asked for.
fn number(text: &str, wanted: NDIS_PARAMETER_TYPE) -> Option<u32> {
    let text = text.trim();
    if wanted == NdisParameterInteger {
        text.parse().ok()
    } else if wanted == NdisParameterHexInteger {
        u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
    } else {
        None
    }
}

/// The bytes that a network address is: pairs of digits, hyphens left out.
fn address(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<_>> = text.chars().filter(|&c| c != '-').map(|c| c.to_digit(16)).collect();
    let bytes: Vec<_> =
        digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8)).collect();
    (!bytes.is_empty()).then_some(bytes)
}

fn open(machine: &Machine, object: &NDIS_CONFIGURATION_OBJECT) -> Result<usize, NDIS_STATUS> {
    let NDIS_OBJECT_HEADER { Type, Revision, Size } = object.Header;
    let good = Type == NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT
        && Revision == NDIS_CONFIGURATION_OBJECT_REVISION_1
        && Size >= NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1;
    if !good {
        let text = format!("NDIS_CONFIGURATION_OBJECT: type {Type}, revision {Revision}, size {Size}");
        machine.violation("header", text);
        return Err(NDIS_STATUS_FAILURE);
    }
    if object.Flags != 0 {
        machine.violation("configuration", format!("Flags {:#x}, which are a filter driver's", object.Flags));
    }
    if machine.take_failure("NdisOpenConfigurationEx") {
        return Err(NDIS_STATUS_RESOURCES);
    }
    machine.ndis.configuration.open(object.NdisHandle.addr()).ok_or_else(|| {
        let text = format!("handle {:#x} has no configuration", object.NdisHandle.addr());
        machine.violation("configuration", text);
        NDIS_STATUS_FAILURE
    })
}

fn read(
    machine: &Machine,
    handle: usize,
    keyword: *mut UNICODE_STRING,
    wanted: NDIS_PARAMETER_TYPE,
) -> Result<*mut NDIS_CONFIGURATION_PARAMETER, NDIS_STATUS> {
    let configuration = &machine.ndis.configuration;
    let key = configuration.key(machine, handle).ok_or(NDIS_STATUS_FAILURE)?;
    if !(NdisParameterInteger..=NdisParameterBinary).contains(&wanted) {
        machine.violation("configuration", format!("a value is asked for as type {wanted}, which is none"));
        return Err(NDIS_STATUS_FAILURE);
    }
    if machine.take_failure("NdisReadConfiguration") {
        return Err(NDIS_STATUS_RESOURCES);
    }
    let value = machine.nt.registry.get(&key, &text(keyword.cast())).ok_or(NDIS_STATUS_FAILURE)?;
    let given = Given::of(value, wanted).ok_or(NDIS_STATUS_FAILURE)?;
    let bytes = if let Given::Bytes(_, bytes, _) = &given { bytes.as_slice() } else { &[] };
    let size = size_of::<NDIS_CONFIGURATION_PARAMETER>() + bytes.len();
    let block = configuration.block(machine, handle, size).ok_or(NDIS_STATUS_RESOURCES)?;
    let block = block.cast::<NDIS_CONFIGURATION_PARAMETER>();
    let parameter = given.parameter(block);
    // SAFETY: a new block with room for both, aligned as pool is.
    unsafe { block.write(parameter) };
    // SAFETY: the room behind the structure.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), block.wrapping_add(1).cast::<u8>(), bytes.len()) };
    Ok(block)
}

fn read_address(machine: &Machine, handle: usize) -> Result<(*mut u8, u32), NDIS_STATUS> {
    let configuration = &machine.ndis.configuration;
    let key = configuration.key(machine, handle).ok_or(NDIS_STATUS_FAILURE)?;
    if machine.take_failure("NdisReadNetworkAddress") {
        return Err(NDIS_STATUS_FAILURE);
    }
    let Some(Value::Sz(text)) = machine.nt.registry.get(&key, "NetworkAddress") else {
        return Err(NDIS_STATUS_FAILURE);
    };
    let bytes = address(&text).ok_or(NDIS_STATUS_FAILURE)?;
    let block = configuration.block(machine, handle, bytes.len()).ok_or(NDIS_STATUS_FAILURE)?;
    // SAFETY: a new block of that many bytes.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), block, bytes.len()) };
    Ok((block, bytes.len() as u32))
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_open_configuration_ex(
        object: *mut NDIS_CONFIGURATION_OBJECT,
        handle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS {
        // SAFETY: the page: a structure the caller filled.
        let object = unsafe { object.read() };
        match open(&Machine::current(), &object) {
            Ok(opened) => {
                // SAFETY: the page: a variable for the handle.
                unsafe { handle.write(ptr::without_provenance_mut(opened)) };
                NDIS_STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }

    unsafe extern "C" fn ndis_close_configuration(handle: NDIS_HANDLE) {
        let machine = Machine::current();
        let configuration = &machine.ndis.configuration;
        if configuration.key(&machine, handle.addr()).is_none() {
            return;
        }
        let closed = configuration.state().open.remove(&handle.addr());
        for block in closed.into_iter().flat_map(|open| open.read) {
            let block = ptr::with_exposed_provenance_mut(block);
            if let Err(bad) = machine.nt.pool.free(&machine.nt.memory, block, TAG) {
                machine.violation("pool", format!("a value that was read, when its configuration is closed: {bad:?}"));
            }
        }
    }

    unsafe extern "C" fn ndis_read_configuration(
        status: *mut NDIS_STATUS,
        parameter: *mut *mut NDIS_CONFIGURATION_PARAMETER,
        handle: NDIS_HANDLE,
        keyword: *mut UNICODE_STRING,
        wanted: NDIS_PARAMETER_TYPE,
    ) {
        let result = read(&Machine::current(), handle.addr(), keyword, wanted);
        if let Ok(found) = result {
            // SAFETY: the page: a variable for the address.
            unsafe { parameter.write(found) };
        }
        // SAFETY: the page: a variable for the status.
        unsafe { status.write(result.err().unwrap_or(NDIS_STATUS_SUCCESS)) };
    }

    unsafe extern "C" fn ndis_read_network_address(
        status: *mut NDIS_STATUS,
        address: *mut *mut c_void,
        length: *mut u32,
        handle: NDIS_HANDLE,
    ) {
        let result = read_address(&Machine::current(), handle.addr());
        if let Ok((found, bytes)) = result {
            // SAFETY: the page: a variable for the address.
            unsafe { address.write(found.cast()) };
            // SAFETY: the page: a variable for the length.
            unsafe { length.write(bytes) };
        }
        // SAFETY: the page: a variable for the status.
        unsafe { status.write(result.err().unwrap_or(NDIS_STATUS_SUCCESS)) };
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisOpenConfigurationEx <= Passive = ndis_open_configuration_ex,
        NdisCloseConfiguration <= Passive = ndis_close_configuration,
        NdisReadConfiguration <= Passive = ndis_read_configuration,
        NdisReadNetworkAddress <= Passive = ndis_read_network_address,
    }
}

#[cfg(test)]
mod tests;
