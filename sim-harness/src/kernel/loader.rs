//! Loads a driver image into this process: maps its sections between guard pages, relocates it, binds every import to a gate,
//! and protects each section as its header says. Parsing is the `object` crate's.
//!
//! A section that is both writable and executable, an import nobody implements, an ordinal import, and anything outside the
//! image refuse the load with its name.

use super::directory::{Directory, Listing};
use super::export::ExportTable;
use super::fault;
use super::stack::{Gate, Import};
use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG, IMAGE_FILE_MACHINE_AMD64, IMAGE_REL_BASED_ABSOLUTE, IMAGE_REL_BASED_DIR64,
    IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE, ImageNtHeaders64, SectionFlags,
};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, ImageThunkData, PeFile64};
use std::fmt;
use std::io::Write;
use std::ptr;

const PAGE: usize = 4096;
/// Where SecurityCookie is in the load configuration.
const COOKIE_FIELD: usize = 0x58;

/// The libraries the simulated kernel plays. A function of theirs that is not there yet ends the run with its name when it is
/// called; one of another library refuses the load.
const LIBRARIES: [&str; 7] =
    ["ntoskrnl.exe", "hal.dll", "NDIS.SYS", "NETIO.SYS", "CNG.SYS", "WDFLDR.SYS", "WppRecorder.sys"];

/// Hears of the call of a function that is not there: the run is over.
extern "win64" fn trapped(import: &Import) {
    // Not by the macro: a test's harness would keep it from who reads.
    let _ =
        writeln!(std::io::stderr(), "*** the driver calls {}, which the simulated kernel does not have", import.name);
    std::process::exit(101);
}

/// Never reached: [`trapped`] comes first.
extern "win64" fn trap() {}

/// Why an image was not loaded.
#[derive(Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Not a PE image for x64.
    Malformed(String),
    /// These imports have no implementation.
    UnknownImports(Vec<String>),
    /// A section may be written and executed.
    WritableCode(String),
    /// The system gave no memory.
    NoMemory,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "not a driver image for x64: {why}"),
            Self::UnknownImports(names) => write!(f, "imports without an implementation: {}", names.join(", ")),
            Self::WritableCode(section) => write!(f, "section {section} may be both written and executed"),
            Self::NoMemory => f.write_str("no memory to map the image"),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<object::Error> for LoadError {
    fn from(error: object::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

fn malformed(why: &str) -> LoadError {
    LoadError::Malformed(why.to_owned())
}

/// A loaded image. Unmapped when dropped: nothing of it may run any more then.
#[derive(Debug)]
pub struct Image {
    /// Dropped first: what is unmapped is in no directory.
    listed: Option<Listing>,
    watch: fault::Watch,
    mapping: Mapping,
    /// Where it starts to run.
    pub entry: usize,
    gates: Vec<Gate>,
}

#[derive(Debug)]
struct Mapping {
    /// The image's first byte; a guard page lies before it and one after its end.
    base: *mut u8,
    size: usize,
}

// SAFETY: the memory belongs to the image; who may touch what is the image's affair, as in a kernel.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(size: usize) -> Result<Self, LoadError> {
        let size = size.next_multiple_of(PAGE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping at an address of the system's choice.
        let whole = unsafe { libc::mmap(ptr::null_mut(), size + 2 * PAGE, libc::PROT_NONE, flags, -1, 0) };
        if whole == libc::MAP_FAILED {
            return Err(LoadError::NoMemory);
        }
        let mapping = Self { base: whole.cast::<u8>().wrapping_add(PAGE), size };
        mapping.protect(0, size, libc::PROT_READ | libc::PROT_WRITE);
        Ok(mapping)
    }

    fn protect(&self, offset: usize, length: usize, protection: i32) {
        assert!(offset + length <= self.size && offset.is_multiple_of(PAGE));
        let at = self.base.wrapping_add(offset).cast();
        // SAFETY: inside the mapping (above).
        let done = unsafe { libc::mprotect(at, length.next_multiple_of(PAGE), protection) };
        assert_eq!(done, 0, "pages of the image change their protection");
    }

    /// Copies bytes in, at an offset from the base.
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), LoadError> {
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.size) {
            return Err(malformed("something lies outside the image"));
        }
        // SAFETY: inside the mapping (above), writable until loading is done, and nobody else knows it yet.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.wrapping_add(offset), bytes.len()) };
        Ok(())
    }

    fn read_u64(&self, offset: usize) -> Result<u64, LoadError> {
        if offset.checked_add(8).is_none_or(|end| end > self.size) {
            return Err(malformed("something lies outside the image"));
        }
        // SAFETY: inside the mapping (above).
        Ok(unsafe { self.base.wrapping_add(offset).cast::<u64>().read_unaligned() })
    }

    fn write_u64(&self, offset: usize, value: u64) -> Result<(), LoadError> {
        self.write(offset, &value.to_le_bytes())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let whole = self.base.wrapping_sub(PAGE).cast();
        // SAFETY: mapped in `new`, with a page on either side.
        let _ = unsafe { libc::munmap(whole, self.size + 2 * PAGE) };
    }
}

impl Image {
    /// Loads an image. Every import is bound to what `exports` has for it; `hook` hears of every call, with the export's
    /// place in the table as its number. `cookie` is the stack cookie of images that have one (W-42).
    pub fn load(
        bytes: &[u8],
        exports: &ExportTable,
        hook: extern "win64" fn(&Import),
        cookie: u64,
    ) -> Result<Self, LoadError> {
        let file = PeFile64::parse(bytes)?;
        let headers = file.nt_headers();
        if headers.file_header().machine.get(LE) != IMAGE_FILE_MACHINE_AMD64 {
            return Err(malformed("another machine"));
        }
        let optional = headers.optional_header();
        let mapping = Mapping::new(optional.size_of_image() as usize)?;
        mapping.write(0, bytes.get(..optional.size_of_headers() as usize).ok_or_else(|| malformed("headers"))?)?;
        for section in file.section_table().iter() {
            let data = section.pe_data(bytes)?;
            mapping.write(section.virtual_address.get(LE) as usize, data)?;
        }
        relocate(&file, &mapping, optional.image_base())?;
        let gates = bind(&file, &mapping, exports, hook)?;
        set_cookie(&file, &mapping, cookie)?;
        protect(&file, &mapping)?;
        let entry = optional.address_of_entry_point() as usize;
        if entry == 0 || entry >= mapping.size {
            return Err(malformed("no entry point"));
        }
        let watch = fault::watch(mapping.base.addr(), mapping.size);
        Ok(Self { listed: None, watch, entry: mapping.base.addr() + entry, gates, mapping })
    }

    /// Enters its addresses into a directory, and those of its gates, which only image code may jump to, as long as it is mapped.
    pub fn enter(&mut self, directory: &Directory) {
        let gates = self.gates.iter().map(|gate| gate.address()..gate.address() + 1);
        let image = self.base()..self.base() + self.size();
        self.listed = Some(directory.list(gates.chain(std::iter::once(image))));
    }

    /// Says what the image is called in reports of its faults.
    pub fn name(&self, name: &str) {
        self.watch.name(name);
    }

    /// Whether an address lies in the image.
    pub fn contains(&self, address: usize) -> bool {
        (self.base()..self.base() + self.mapping.size).contains(&address)
    }

    /// Where it was loaded.
    pub fn base(&self) -> usize {
        self.mapping.base.addr()
    }

    /// Its size in memory, in bytes.
    pub const fn size(&self) -> usize {
        self.mapping.size
    }

    /// What it imports and the simulated kernel does not have, as library!function.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.gates
            .iter()
            .map(Gate::import)
            .filter(|import| import.number == usize::MAX)
            .map(|import| import.name.as_str())
    }

    /// What it imports.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.gates.iter().map(|gate| gate.import().name.as_str())
    }
}

/// Adds the difference to the preferred base to every address the relocation table names.
fn relocate(file: &PeFile64<'_>, mapping: &Mapping, preferred: u64) -> Result<(), LoadError> {
    let difference = (mapping.base.addr() as u64).wrapping_sub(preferred);
    let Some(mut blocks) = file.data_directories().relocation_blocks(file.data(), &file.section_table())? else {
        return Err(malformed("no relocations"));
    };
    while let Some(block) = blocks.next()? {
        for relocation in block {
            let at = relocation.virtual_address as usize;
            match relocation.typ {
                IMAGE_REL_BASED_ABSOLUTE => (),
                IMAGE_REL_BASED_DIR64 => mapping.write_u64(at, mapping.read_u64(at)?.wrapping_add(difference))?,
                _ => return Err(malformed("a relocation that x64 does not have")),
            }
        }
    }
    Ok(())
}

/// Writes a gate's address into the import address table for every import.
fn bind(
    file: &PeFile64<'_>,
    mapping: &Mapping,
    exports: &ExportTable,
    hook: extern "win64" fn(&Import),
) -> Result<Vec<Gate>, LoadError> {
    let (mut gates, mut unknown) = (Vec::new(), Vec::new());
    let Some(table) = file.import_table()? else { return Ok(gates) };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let library = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).into_owned();
        let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
        let mut slot = descriptor.first_thunk.get(LE) as usize;
        while let Some(thunk) = thunks.next::<ImageNtHeaders64>()? {
            if thunk.is_ordinal() {
                return Err(LoadError::Malformed(format!("{library} imported by ordinal")));
            }
            let (_, name) = table.hint_name(thunk.address())?;
            let name = String::from_utf8_lossy(name).into_owned();
            if let Some(variable) = super::nt::data::variable(&library, &name) {
                mapping.write_u64(slot, variable as u64)?;
                slot += 8;
                continue;
            }
            match exports.place(&library, &name) {
                Some((number, export)) => {
                    let gate = Gate::new(name, number, export.address, hook);
                    mapping.write_u64(slot, gate.address() as u64)?;
                    gates.push(gate);
                }
                None if LIBRARIES.iter().any(|known| library.eq_ignore_ascii_case(known)) => {
                    let gate = Gate::new(format!("{library}!{name}"), usize::MAX, trap as *const () as usize, trapped);
                    mapping.write_u64(slot, gate.address() as u64)?;
                    gates.push(gate);
                }
                None => unknown.push(format!("{library}!{name}")),
            }
            slot += 8;
        }
    }
    if unknown.is_empty() { Ok(gates) } else { Err(LoadError::UnknownImports(unknown)) }
}

/// Images of a C compiler have a stack cookie with a known start value, and end themselves when they find it unchanged.
fn set_cookie(file: &PeFile64<'_>, mapping: &Mapping, cookie: u64) -> Result<(), LoadError> {
    let Some(directory) = file.data_directories().get(IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG) else { return Ok(()) };
    let at = directory.virtual_address.get(LE) as usize;
    if at == 0 || (directory.size.get(LE) as usize) < COOKIE_FIELD + 8 {
        return Ok(());
    }
    let place = mapping.read_u64(at + COOKIE_FIELD)?;
    if place == 0 {
        return Ok(());
    }
    let offset =
        (place as usize).checked_sub(mapping.base.addr()).ok_or_else(|| malformed("a cookie outside the image"))?;
    // The upper 16 bits stay clear, as the compiler's own start code has it.
    mapping.write_u64(offset, (cookie & 0xffff_ffff_ffff) | 1)
}

fn protect(file: &PeFile64<'_>, mapping: &Mapping) -> Result<(), LoadError> {
    mapping.protect(0, PAGE, libc::PROT_READ);
    for section in file.section_table().iter() {
        let flags = section.characteristics.get(LE);
        let has = |flag: SectionFlags| flags & flag == flag;
        let (write, execute) = (has(IMAGE_SCN_MEM_WRITE), has(IMAGE_SCN_MEM_EXECUTE));
        if write && execute {
            return Err(LoadError::WritableCode(String::from_utf8_lossy(section.raw_name()).into_owned()));
        }
        let extra = if write { libc::PROT_WRITE } else { 0 } | if execute { libc::PROT_EXEC } else { 0 };
        let length = section.virtual_size.get(LE).max(section.size_of_raw_data.get(LE)) as usize;
        mapping.protect(section.virtual_address.get(LE) as usize, length, libc::PROT_READ | extra);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "win64" fn nobody_listens(_: &Import) {}

    #[test]
    fn what_is_no_image_is_refused() {
        for bytes in [&b""[..], b"MZ", &[0; 4096]] {
            let refused = Image::load(bytes, &ExportTable::default(), nobody_listens, 1);
            assert!(matches!(refused, Err(LoadError::Malformed(_))), "{refused:?}");
        }
    }
}
