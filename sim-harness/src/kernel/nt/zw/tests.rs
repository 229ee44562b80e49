//! Files and keys, opened by name as drivers do; and what they do wrong with them.

use super::*;
use crate::kernel::bad_drivers::{broken, import};
use crate::kernel::nt::registry::Value;
use crate::kernel::nt::threads::KERNEL_HANDLE;
use crate::kernel::wdk::{LARGE_INTEGER, UNICODE_STRING, types::_FILE_INFORMATION_CLASS as Class};

/// GENERIC_READ, GENERIC_WRITE, GENERIC_ALL.
const READ: u32 = 0x8000_0000;
const WRITE: u32 = 0x4000_0000;
const ALL: u32 = 0x1000_0000;

/// Attributes over a name, which must outlive them.
struct Named {
    units: Vec<u16>,
    name: Box<UNICODE_STRING>,
    root: HANDLE,
}

impl Named {
    fn new(name: &str) -> Self {
        Self::below(ptr::null_mut(), name)
    }

    fn below(root: HANDLE, name: &str) -> Self {
        let mut units: Vec<u16> = name.encode_utf16().collect();
        let length = (units.len() * 2) as u16;
        let name = UNICODE_STRING { Length: length, MaximumLength: length, Buffer: units.as_mut_ptr() };
        Self { units, name: Box::new(name), root }
    }

    fn attributes(&mut self) -> types::OBJECT_ATTRIBUTES {
        self.name.Buffer = self.units.as_mut_ptr();
        types::OBJECT_ATTRIBUTES {
            Length: 48,
            RootDirectory: self.root,
            ObjectName: &raw mut *self.name,
            Attributes: KERNEL_HANDLE,
            SecurityDescriptor: ptr::null_mut(),
            SecurityQualityOfService: ptr::null_mut(),
        }
    }
}

fn block() -> types::IO_STATUS_BLOCK {
    // SAFETY: all zeroes is a status block.
    unsafe { std::mem::zeroed() }
}

/// The status, the handle and what was done.
fn file_with(name: &str, access: u32, wanted: u32, options: u32) -> (NTSTATUS, HANDLE, u64) {
    let (mut name, mut handle, mut block) = (Named::new(name), ptr::null_mut(), block());
    let (mut attributes, none) = (name.attributes(), ptr::null_mut());
    let status = import!(
        ZwCreateFile,
        &raw mut handle,
        access,
        &raw mut attributes,
        &raw mut block,
        ptr::null_mut(),
        0x80,
        0,
        wanted,
        options,
        none,
        0
    );
    (status, handle, block.Information)
}

fn written(handle: HANDLE, bytes: &[u8], at: Option<i64>) -> (NTSTATUS, u64) {
    let (mut block, mut offset) = (block(), LARGE_INTEGER { QuadPart: at.unwrap_or(0) });
    let offset = if at.is_some() { &raw mut offset } else { ptr::null_mut() };
    let (none, buffer) = (ptr::null_mut(), bytes.as_ptr().cast_mut().cast());
    let length = bytes.len() as u32;
    let nobody = ptr::null_mut();
    let status =
        import!(ZwWriteFile, handle, nobody, none, none, &raw mut block, buffer, length, offset, ptr::null_mut());
    (status, block.Information)
}

fn read(handle: HANDLE, room: u32, at: Option<i64>) -> (NTSTATUS, Vec<u8>) {
    let (mut block, mut offset) = (block(), LARGE_INTEGER { QuadPart: at.unwrap_or(0) });
    let offset = if at.is_some() { &raw mut offset } else { ptr::null_mut() };
    let (none, mut buffer) = (ptr::null_mut(), vec![0_u8; room as usize]);
    let nobody = ptr::null_mut();
    let at = buffer.as_mut_ptr().cast();
    let status = import!(ZwReadFile, handle, nobody, none, none, &raw mut block, at, room, offset, ptr::null_mut());
    buffer.truncate(block.Information as usize);
    (status, buffer)
}

#[test]
fn a_file_is_made_written_read_measured_and_removed() {
    let rules = broken(|machine, _| {
        let path = r"\??\C:\log.txt";
        let (status, handle, done) = file_with(path, ALL, disposition::OVERWRITE_IF, SYNCHRONOUS);
        assert_eq!((status, done), (STATUS_SUCCESS, disposition::CREATED));
        assert_eq!((written(handle, b"hello ", None), written(handle, b"world", None)), ((0, 6), (0, 5)));
        assert_eq!(machine.nt.disk.get(r"\DosDevices\c:\LOG.TXT").as_deref(), Some(&b"hello world"[..]));
        assert_eq!(read(handle, 100, Some(6)), (STATUS_SUCCESS, b"world".to_vec()));
        assert_eq!(read(handle, 1, None), (END_OF_FILE, vec![]));
        assert_eq!(written(handle, b"!", Some(AT_END)), (STATUS_SUCCESS, 1));
        let (mut block, mut words) = (block(), [0_u64; 5]);
        let place = words.as_mut_ptr().cast();
        let mut query = |class, room| import!(ZwQueryInformationFile, handle, &raw mut block, place, room, class);
        assert_eq!(query(Class::FileStandardInformation, 8), STATUS_BUFFER_TOO_SMALL);
        assert_eq!((query(Class::FileStandardInformation, 24), words[1]), (STATUS_SUCCESS, 12));
        assert_eq!((query(Class::FilePositionInformation, 8), words[0]), (STATUS_SUCCESS, 12));
        assert_eq!((query(Class::FileBasicInformation, 40), words[4]), (STATUS_SUCCESS, 0x80));
        assert_eq!(query(99, 40), INVALID_INFO_CLASS);
        let set = |value: u64, class| {
            let (mut block, mut value) = (super::tests::block(), value);
            import!(ZwSetInformationFile, handle, &raw mut block, (&raw mut value).cast(), 8, class)
        };
        assert_eq!(set(5, Class::FileEndOfFileInformation), STATUS_SUCCESS);
        assert_eq!(set(1, Class::FilePositionInformation), STATUS_SUCCESS);
        assert_eq!(read(handle, 100, None), (STATUS_SUCCESS, b"ello".to_vec()));
        assert_eq!(
            (set(0, 77), set(1 << 40, Class::FileEndOfFileInformation)),
            (INVALID_INFO_CLASS, STATUS_INVALID_PARAMETER)
        );
        assert_eq!(machine.check_leaks(), 1);
        import!(ZwClose, handle);
        let mut name = Named::new(path);
        let mut attributes = name.attributes();
        let deleted = [0; 2].map(|_| import!(ZwDeleteFile, &raw mut attributes));
        assert_eq!((deleted, machine.check_leaks()), ([STATUS_SUCCESS, NOT_FOUND], 0));
    });
    assert_eq!(rules, [("leak", "ZwSetInformationFile")]);
}

#[test]
fn a_file_is_opened_as_its_disposition_says_and_used_as_its_access_allows() {
    let rules = broken(|machine, _| {
        let path = r"\SystemRoot\one";
        machine.nt.disk.put(r"\??\C:\Windows\One", b"123");
        let mut handles = Vec::new();
        let mut tried = |name, wanted| {
            let (status, handle, done) = file_with(name, READ, wanted, 0);
            if status >= 0 {
                handles.push(handle);
            }
            (status, done)
        };
        assert_eq!(tried(path, disposition::CREATE), (STATUS_OBJECT_NAME_COLLISION, 0));
        assert_eq!(tried(path, disposition::OPEN), (STATUS_SUCCESS, disposition::OPENED));
        assert_eq!(tried(r"\??\C:\two", disposition::OPEN), (NOT_FOUND, 0));
        assert_eq!(tried(r"\??\C:\two", disposition::OVERWRITE), (NOT_FOUND, 0));
        assert_eq!(tried("relative", disposition::OPEN), (PATH_SYNTAX_BAD, 0));
        assert_eq!(tried(path, 9), (STATUS_INVALID_PARAMETER, 0));
        machine.fail_once("ZwCreateFile");
        assert_eq!(tried(path, disposition::OPEN), (STATUS_INSUFFICIENT_RESOURCES, 0));
        let handle = handles[0];
        assert_eq!(written(handle, b"x", Some(0)), (STATUS_ACCESS_DENIED, 0));
        // A handle without a position wants an offset.
        assert_eq!(read(handle, 1, None), (STATUS_INVALID_PARAMETER, vec![]));
        assert_eq!(read(handle, 2, Some(1)), (STATUS_SUCCESS, b"23".to_vec()));
        let mut handles_too = Vec::new();
        let (_, write_only, done) = file_with(path, WRITE, disposition::SUPERSEDE, 0);
        handles_too.push(write_only);
        assert_eq!((done, read(write_only, 1, Some(0))), (disposition::SUPERSEDED, (STATUS_ACCESS_DENIED, vec![])));
        for handle in handles.into_iter().chain(handles_too) {
            import!(ZwClose, handle);
        }
        assert_eq!((machine.check_leaks(), machine.verifier.take()), (0, vec![]));
        assert_eq!(read(handle, 1, Some(0)), (STATUS_INVALID_HANDLE, vec![]));
        let mut name = Named::new(path);
        let mut attributes = name.attributes();
        attributes.Length = 40;
        import!(ZwDeleteFile, &raw mut attributes);
    });
    assert_eq!(rules, [("handle", "ZwReadFile"), ("handle", "ZwDeleteFile")]);
}

/// The status, the handle and the disposition.
fn key_made(root: HANDLE, name: &str) -> (NTSTATUS, HANDLE, u32) {
    let (mut name, mut handle, mut disposition) = (Named::below(root, name), ptr::null_mut(), 0);
    let (mut attributes, none) = (name.attributes(), ptr::null_mut());
    let status = import!(ZwCreateKey, &raw mut handle, 0xf003f, &raw mut attributes, 0, none, 0, &raw mut disposition);
    (status, handle, disposition)
}

fn value_of(key: HANDLE, name: &str, class: i32, room: u32) -> (NTSTATUS, u32, Vec<u8>) {
    let (mut name, mut place, mut needed) = (Named::new(name), vec![0_u8; 64], 0);
    let name = &raw mut *name.name;
    let status = import!(ZwQueryValueKey, key, name, class, place.as_mut_ptr().cast(), room, &raw mut needed);
    place.truncate(needed.min(room) as usize);
    (status, needed, place)
}

fn set_value(key: HANDLE, name: &str, kind: u32, bytes: &[u8]) -> NTSTATUS {
    let mut name = Named::new(name);
    let (name, data) = (&raw mut *name.name, bytes.as_ptr().cast_mut().cast());
    import!(ZwSetValueKey, key, name, 0, kind, data, bytes.len() as u32)
}

#[test]
fn keys_are_made_one_below_the_other_and_hold_values_of_each_type() {
    let rules = broken(|machine, _| {
        let top = r"\Registry\Machine\SYSTEM\ControlSet001\Services\toy";
        assert_eq!(key_made(ptr::null_mut(), top).0, NOT_FOUND);
        machine.nt.registry.create(r"\Registry\Machine\SYSTEM\ControlSet001\Services");
        let (status, key, new) = key_made(ptr::null_mut(), top);
        assert_eq!((status, new), (STATUS_SUCCESS, 1));
        let (status, below, new) = key_made(key, "Parameters");
        assert_eq!((status, new), (STATUS_SUCCESS, 1));
        assert_eq!(set_value(below, "Number", 4, &7_u32.to_le_bytes()), STATUS_SUCCESS);
        assert_eq!(set_value(below, "Text", 1, b"a\0b\0\0\0"), STATUS_SUCCESS);
        assert_eq!(set_value(below, "List", 7, b"a\0\0\0b\0\0\0\0\0"), STATUS_SUCCESS);
        assert_eq!(set_value(below, "Bytes", 3, &[9, 8]), STATUS_SUCCESS);
        let path = format!(r"{top}\parameters");
        assert_eq!(machine.nt.registry.get(&path, "text"), Some(Value::Sz("ab".into())));
        assert_eq!(machine.nt.registry.get(&path, "list"), Some(Value::MultiSz(vec!["a".into(), "b".into()])));
        let (status, needed, list) = value_of(below, "list", 2, 64);
        assert_eq!((status, needed, &list[12..]), (STATUS_SUCCESS, 22, &b"a\0\0\0b\0\0\0\0\0"[..]));
        let (status, needed, partial) = value_of(below, "number", 2, 16);
        assert_eq!((status, needed, &partial[4..]), (STATUS_SUCCESS, 16, &[4, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0][..]));
        assert_eq!(
            (value_of(below, "number", 2, 11).0, value_of(below, "number", 2, 12).0),
            (STATUS_BUFFER_TOO_SMALL, ndk_types::STATUS_BUFFER_OVERFLOW)
        );
        let (status, needed, full) = value_of(below, "Text", 1, 64);
        assert_eq!(
            (status, needed, &full[8..12], &full[32..]),
            (STATUS_SUCCESS, 38, &[32, 0, 0, 0][..], &b"a\0b\0\0\0"[..])
        );
        assert_eq!((value_of(below, "Text", 0, 64).1, value_of(below, "None", 2, 64).0), (20, NOT_FOUND));
        assert_eq!(value_of(below, "Text", 9, 64).0, STATUS_INVALID_PARAMETER);
        let (mut place, mut needed) = ([0_u8; 64], 0);
        let at = place.as_mut_ptr().cast();
        let mut listed = |index| import!(ZwEnumerateKey, key, index, 0, at, 64, &raw mut needed);
        assert_eq!((listed(0), place[12], listed(1)), (STATUS_SUCCESS, 20, 0x8000_001a_u32.cast_signed()));
        let mut name = Named::new("number");
        let name = &raw mut *name.name;
        assert_eq!([0; 2].map(|_| import!(ZwDeleteValueKey, below, name)), [STATUS_SUCCESS, NOT_FOUND]);
        assert_eq!(import!(ZwDeleteKey, key), 0xc000_0121_u32.cast_signed());
        assert_eq!((import!(ZwDeleteKey, below), import!(ZwDeleteKey, key)), (STATUS_SUCCESS, STATUS_SUCCESS));
        for handle in [key, below] {
            import!(ZwClose, handle);
        }
        assert_eq!((machine.check_leaks(), machine.verifier.take()), (0, vec![]));
        import!(ZwFlushKey, key);
    });
    assert_eq!(rules, [("handle", "ZwFlushKey")]);
}

#[test]
fn a_key_is_opened_when_it_is_there_and_the_call_can_fail() {
    let rules = broken(|machine, _| {
        let top = r"\Registry\Machine\SOFTWARE\Toy";
        machine.nt.registry.create(top);
        let open = |name: &str| {
            let (mut name, mut handle) = (Named::new(name), ptr::null_mut());
            let mut attributes = name.attributes();
            (import!(ZwOpenKey, &raw mut handle, 1, &raw mut attributes), handle)
        };
        machine.fail_once("ZwOpenKey");
        assert_eq!((open(top).0, open(r"\Registry\Machine\None").0), (STATUS_INSUFFICIENT_RESOURCES, NOT_FOUND));
        let (status, key) = open(top);
        assert_eq!((status, value_of(key, "x", 2, 12).0), (STATUS_SUCCESS, NOT_FOUND));
        machine.fail_once("ZwCreateKey");
        assert_eq!(key_made(key, "Below").0, STATUS_INSUFFICIENT_RESOURCES);
        assert_eq!(read(key, 1, Some(0)).0, STATUS_OBJECT_TYPE_MISMATCH);
        import!(ZwClose, key);
        assert_eq!(machine.check_leaks(), 0);
    });
    assert_eq!(rules, []);
}
