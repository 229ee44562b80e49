//! Configurations as drivers use them, rightly and wrongly.

use super::*;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

const ADAPTER: usize = 0x4000;
const KEY: &str = r"\Registry\Machine\SYSTEM\CurrentControlSet\Control\Class\{4d36e972}\0001";

/// Runs a driver on a machine whose adapter has a key with one value of each type; gives the rules it broke.
fn broken(driver: impl FnOnce(&Arc<Machine>)) -> Vec<&'static str> {
    let machine = Machine::new("configured", Arc::new(AtomicU64::new(0)), 1);
    let registry = &machine.nt.registry;
    registry.set(KEY, "*JumboPacket", "9014");
    registry.set(KEY, "Hex", "0x1F");
    registry.set(KEY, "*NetworkDirect", 1_u32);
    registry.set(KEY, "DriverDesc", "softndk");
    registry.set(KEY, "UpperBindings", Value::MultiSz(vec![r"\Device\{1}".to_owned(), "b".to_owned()]));
    registry.set(KEY, "Bytes", Value::Binary(vec![1, 2, 3]));
    machine.ndis.configuration.attach(ADAPTER, KEY);
    machine.enter(|| driver(&machine));
    machine.verifier.take().into_iter().map(|violation| violation.rule).collect()
}

fn try_open(owner: usize, size: u16) -> (NDIS_STATUS, NDIS_HANDLE) {
    let mut object = NDIS_CONFIGURATION_OBJECT {
        Header: NDIS_OBJECT_HEADER { Type: NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT, Revision: 1, Size: size },
        NdisHandle: ptr::without_provenance_mut(owner),
        Flags: 0,
    };
    let mut handle = ptr::null_mut();
    // SAFETY: an object and a variable of ours.
    let status = unsafe { ndis_open_configuration_ex(&raw mut object, &raw mut handle) };
    (status, handle)
}

fn opened() -> NDIS_HANDLE {
    let (status, handle) = try_open(ADAPTER, NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1);
    assert_eq!(status, NDIS_STATUS_SUCCESS);
    handle
}

fn close(handle: NDIS_HANDLE) {
    // SAFETY: any number: what is none is told.
    unsafe { ndis_close_configuration(handle) };
}

fn try_read(
    handle: NDIS_HANDLE,
    name: &str,
    wanted: NDIS_PARAMETER_TYPE,
) -> Result<*mut NDIS_CONFIGURATION_PARAMETER, NDIS_STATUS> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    let length = (units.len() * 2) as u16;
    let mut keyword = UNICODE_STRING { Length: length, MaximumLength: length, Buffer: units.as_mut_ptr() };
    let (mut status, mut parameter) = (1, ptr::null_mut());
    // SAFETY: variables of ours and a whole string.
    unsafe { ndis_read_configuration(&raw mut status, &raw mut parameter, handle, &raw mut keyword, wanted) };
    if status == NDIS_STATUS_SUCCESS { Ok(parameter) } else { Err(status) }
}

fn parameter(handle: NDIS_HANDLE, name: &str, wanted: NDIS_PARAMETER_TYPE) -> NDIS_CONFIGURATION_PARAMETER {
    let parameter = try_read(handle, name, wanted).expect(name);
    // SAFETY: NDIS's parameter, whose configuration is open.
    unsafe { parameter.read() }
}

/// An integer, whatever it was asked for as.
fn integer(handle: NDIS_HANDLE, name: &str, wanted: NDIS_PARAMETER_TYPE) -> u32 {
    let parameter = parameter(handle, name, wanted);
    assert_eq!(parameter.ParameterType, NdisParameterInteger, "{name}");
    // SAFETY: an integer, as its type says.
    unsafe { parameter.ParameterData.IntegerData }
}

/// The type and the counted text; behind it is a zero.
fn string(handle: NDIS_HANDLE, name: &str, wanted: NDIS_PARAMETER_TYPE) -> (NDIS_PARAMETER_TYPE, String) {
    let parameter = parameter(handle, name, wanted);
    // SAFETY: one of both types of strings, which the callers compare.
    let data = unsafe { parameter.ParameterData.StringData };
    assert_eq!(data.MaximumLength, data.Length + 2, "{name}");
    // SAFETY: the zero behind the text is in the same block.
    assert_eq!(unsafe { data.Buffer.wrapping_add(usize::from(data.Length / 2)).read() }, 0);
    (parameter.ParameterType, text((&raw const data).cast()))
}

#[test]
fn a_text_that_is_a_number_is_an_integer_in_the_notation_asked_for() {
    let rules = broken(|_| {
        let handle = opened();
        assert_eq!(integer(handle, "*jumbopacket", NdisParameterInteger), 9014);
        assert_eq!(integer(handle, "*JumboPacket", NdisParameterHexInteger), 0x9014);
        assert_eq!(integer(handle, "Hex", NdisParameterHexInteger), 0x1f);
        assert_eq!(integer(handle, "*NetworkDirect", NdisParameterHexInteger), 1);
        close(handle);
    });
    assert_eq!(rules, [""; 0]);
}

/// NdisReadConfiguration: "ParameterType is ignored".
#[test]
fn a_value_of_another_type_than_asked_for_comes_as_what_it_is() {
    let rules = broken(|_| {
        let handle = opened();
        assert_eq!(string(handle, "DriverDesc", NdisParameterInteger), (NdisParameterString, "softndk".to_owned()));
        assert_eq!(string(handle, "Hex", NdisParameterInteger), (NdisParameterString, "0x1F".to_owned()));
        assert_eq!(integer(handle, "*NetworkDirect", NdisParameterString), 1);
        close(handle);
    });
    assert_eq!(rules, [""; 0]);
}

/// W-02
#[test]
fn strings_of_a_list_are_counted_with_their_zeroes_and_bytes_are_counted() {
    let rules = broken(|_| {
        let handle = opened();
        let bindings = string(handle, "UpperBindings", NdisParameterMultiString);
        assert_eq!(bindings, (NdisParameterMultiString, "\\Device\\{1}\0b\0".to_owned()));
        let bytes = parameter(handle, "Bytes", NdisParameterBinary);
        // SAFETY: bytes, as the type says, which the assertion below holds.
        let data = unsafe { bytes.ParameterData.BinaryData };
        assert_eq!((bytes.ParameterType, data.Length), (NdisParameterBinary, 3));
        // SAFETY: so many bytes are there until the configuration is closed.
        let bytes = unsafe { std::slice::from_raw_parts(data.Buffer.cast::<u8>(), 3) };
        assert_eq!(bytes, [1, 2, 3]);
        close(handle);
    });
    assert_eq!(rules, [""; 0]);
}

#[test]
fn a_missing_value_fails_and_what_was_read_is_freed_when_the_configuration_is_closed() {
    let rules = broken(|machine| {
        let handle = opened();
        assert_eq!(try_read(handle, "Missing", NdisParameterInteger), Err(NDIS_STATUS_FAILURE));
        machine.nt.registry.set(KEY, "Long", Value::Binary(vec![0; 0x1_0000]));
        assert_eq!(try_read(handle, "Long", NdisParameterBinary), Err(NDIS_STATUS_FAILURE));
        let first = try_read(handle, "Bytes", NdisParameterBinary);
        assert_ne!(first, try_read(handle, "Bytes", NdisParameterBinary));
        assert_eq!(machine.nt.pool.live().len(), 2);
        close(handle);
        assert_eq!(machine.check_leaks(), 0);
    });
    assert_eq!(rules, [""; 0]);
}

#[test]
fn a_network_address_is_pairs_of_digits_and_hyphens_do_not_count() {
    let rules = broken(|machine| {
        let handle = opened();
        let address = || {
            let (mut status, mut address, mut length) = (1, ptr::null_mut(), 0);
            // SAFETY: variables of ours.
            unsafe { ndis_read_network_address(&raw mut status, &raw mut address, &raw mut length, handle) };
            if status != NDIS_STATUS_SUCCESS {
                return Err(status);
            }
            // SAFETY: NDIS's bytes, whose configuration is open.
            Ok(unsafe { std::slice::from_raw_parts(address.cast::<u8>(), length as usize) }.to_vec())
        };
        assert_eq!(address(), Err(NDIS_STATUS_FAILURE));
        for (text, bytes) in [("02-15-5d-00-00-0A", vec![2, 0x15, 0x5d, 0, 0, 10]), ("021", vec![2, 1])] {
            machine.nt.registry.set(KEY, "NetworkAddress", text);
            assert_eq!(address(), Ok(bytes), "{text}");
        }
        machine.fail_once("NdisReadNetworkAddress");
        assert!(address().is_err() && address().is_ok());
        for value in [Value::from(""), Value::from("02:15"), Value::Dword(2)] {
            machine.nt.registry.set(KEY, "NetworkAddress", value);
            assert_eq!(address(), Err(NDIS_STATUS_FAILURE));
        }
        close(handle);
    });
    assert_eq!(rules, [""; 0]);
}

#[test]
fn opening_and_reading_fail_once_each_without_resources() {
    let rules = broken(|machine| {
        machine.fail_once("NdisOpenConfigurationEx");
        assert_eq!(try_open(ADAPTER, NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1).0, NDIS_STATUS_RESOURCES);
        let handle = opened();
        machine.fail_once("NdisReadConfiguration");
        let read = || try_read(handle, "Bytes", NdisParameterBinary);
        assert!(read() == Err(NDIS_STATUS_RESOURCES) && read().is_ok());
        machine.nt.pool.fail_after(0);
        assert!(read() == Err(NDIS_STATUS_RESOURCES) && read().is_ok());
        close(handle);
    });
    assert_eq!(rules, [""; 0]);
}

#[test]
fn a_handle_without_a_key_and_an_object_that_is_none_are_refused_and_told() {
    let rules = broken(|_| {
        assert_eq!(try_open(ADAPTER + 1, 20).0, NDIS_STATUS_FAILURE);
        assert_eq!(try_open(ADAPTER, 19).0, NDIS_STATUS_FAILURE);
    });
    assert_eq!(rules, ["configuration", "header"]);
}

#[test]
fn a_closed_configuration_is_not_read_nor_closed_again_and_one_that_never_was_neither() {
    let rules = broken(|_| {
        let handle = opened();
        close(handle);
        close(handle);
        assert_eq!(try_read(handle, "Bytes", NdisParameterBinary), Err(NDIS_STATUS_FAILURE));
        close(ptr::without_provenance_mut(ADAPTER));
        let handle = opened();
        assert_eq!(try_read(handle, "Bytes", 5), Err(NDIS_STATUS_FAILURE));
        close(handle);
    });
    assert_eq!(rules, ["configuration"; 4]);
}

#[test]
fn what_a_driver_writes_over_a_value_it_read_is_told_when_the_configuration_is_closed() {
    let rules = broken(|_| {
        let handle = opened();
        let bytes = parameter(handle, "Bytes", NdisParameterBinary);
        // SAFETY: bytes were read.
        let data = unsafe { bytes.ParameterData.BinaryData };
        // SAFETY: one byte behind the value is still its page.
        unsafe { data.Buffer.cast::<u8>().wrapping_add(3).write(0) };
        close(handle);
    });
    assert_eq!(rules, ["pool"]);
}

#[test]
fn a_configuration_that_outlives_its_handle_is_told_when_it_is_used_or_closed() {
    let rules = broken(|machine| {
        let handle = opened();
        machine.ndis.configuration.detach(ADAPTER);
        assert_eq!(try_open(ADAPTER, 20).0, NDIS_STATUS_FAILURE);
        assert!(try_read(handle, "Bytes", NdisParameterBinary).is_ok());
        close(handle);
        assert_eq!(machine.check_leaks(), 0);
    });
    assert_eq!(rules, ["configuration"; 3]);
}

#[test]
fn a_configuration_that_is_never_closed_is_a_leak() {
    let rules = broken(|machine| {
        opened();
        assert_eq!(machine.check_leaks(), 1);
    });
    assert_eq!(rules, ["leak"]);
}
