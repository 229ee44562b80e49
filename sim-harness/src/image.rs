//! Builds softndk.sys and the other drivers of the project on Linux from their own sources (DESIGN D6), and looks at them: imports
//! only what is documented, no YMM or ZMM register (D10), no CR8 (W-43), control-flow guard and NX metadata (W-42), no section both
//! writable and executable.

mod documented;
pub mod panics;

use iced_x86::{Decoder, DecoderOptions, Instruction, Register};
use object::LittleEndian as LE;
use object::pe::{
    DllFlags, IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG, IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
    IMAGE_DLLCHARACTERISTICS_GUARD_CF, IMAGE_DLLCHARACTERISTICS_NX_COMPAT, IMAGE_FILE_MACHINE_AMD64,
    IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE, IMAGE_SUBSYSTEM_NATIVE, ImageNtHeaders64,
};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, ImageThunkData, PeFile64};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// What the image is built for.
pub const TARGET: &str = "x86_64-pc-windows-msvc";
/// DllCharacteristics that must be there, by name.
const CHARACTERISTICS: [(DllFlags, &str); 3] = [
    (IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, "dynamic base"),
    (IMAGE_DLLCHARACTERISTICS_NX_COMPAT, "NX"),
    (IMAGE_DLLCHARACTERISTICS_GUARD_CF, "control-flow guard"),
];
/// Where GuardFlags is in the load configuration, and the bits of it that say calls are checked against a table.
const GUARD_FLAGS: usize = 0x90;
const GUARDED: u32 = 0x100 | 0x400;

/// Why there is no image.
#[derive(Debug)]
pub enum BuildError {
    /// A program could not be run.
    Run(&'static str, std::io::Error),
    /// A program failed, and said why.
    Failed(&'static str),
    /// The Rust target is missing and could not be added.
    NoTarget,
    /// A file could not be read or written.
    File(PathBuf, std::io::Error),
    /// Building changed this lock file.
    LockChanged(PathBuf),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(program, error) => write!(f, "cannot run {program}: {error}"),
            Self::Failed(program) => write!(f, "{program} failed"),
            Self::NoTarget => write!(f, "the Rust target is missing: rustup target add {TARGET}"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::LockChanged(path) => write!(f, "building changed {}", path.display()),
        }
    }
}

impl std::error::Error for BuildError {}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|error| BuildError::File(path.to_owned(), error))
}

/// Adds the Rust target when rustup says it is not there. Without rustup the build itself will say what is missing.
fn add_target() -> Result<(), BuildError> {
    let Ok(list) = Command::new("rustup").args(["target", "list", "--installed"]).output() else { return Ok(()) };
    if String::from_utf8_lossy(&list.stdout).lines().any(|line| line == TARGET) {
        return Ok(());
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    if added.is_ok_and(|status| status.success()) { Ok(()) } else { Err(BuildError::NoTarget) }
}

/// One build at a time in this process: tests on several threads want the same file.
static BUILDING: Mutex<()> = Mutex::new(());

/// The drivers that can be built: the project's own, a consumer of it, and a consumer that breaks rules on purpose.
pub const NAMES: [&str; 3] = ["softndk", "ndkping", "rulebreaker"];

/// Builds softndk.sys and says where it is.
pub fn build(release: bool) -> Result<PathBuf, BuildError> {
    build_named("softndk", release)
}

/// Builds one of the drivers ([`NAMES`]) and says where its .sys is.
pub fn build_named(name: &str, release: bool) -> Result<PathBuf, BuildError> {
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let harness = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = harness.join("image");
    let locks = [harness.join("../Cargo.lock"), folder.join("Cargo.lock")];
    let before = [read(&locks[0])?, read(&locks[1])?];
    add_target()?;
    // A target folder of its own: whoever runs this may hold the other one's lock.
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(outer) => std::path::absolute(Path::new(&outer).join("image"))
            .map_err(|error| BuildError::File(PathBuf::from(outer), error))?,
        None => folder.join("target"),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["rustc", "--locked", "--quiet", "--target", TARGET, "--package", name, "--lib"]);
    command.current_dir(&folder).env("CARGO_TARGET_DIR", &target);
    // Flags of an outer build would take the place of the image's own.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let out = target.join(TARGET).join(if release { "release" } else { "debug" });
    if release {
        command.arg("--release");
    }
    // What was linked, by name: see `panics`.
    command.arg("--").arg(format!("-Clink-arg=/MAP:{}", out.join(name).with_extension("map").display()));
    let status = command.status().map_err(|error| BuildError::Run("cargo", error))?;
    if !status.success() {
        return Err(BuildError::Failed("cargo build of the image"));
    }
    for (lock, before) in locks.iter().zip(before) {
        if read(lock)? != before {
            return Err(BuildError::LockChanged(lock.clone()));
        }
    }
    let image = out.join(format!("{name}.sys"));
    // A new file each time: a loaded one keeps what it has.
    let fresh = out.join(format!("{name}.sys.{}", std::process::id()));
    std::fs::copy(out.join(format!("{name}.dll")), &fresh).map_err(|error| BuildError::File(fresh.clone(), error))?;
    std::fs::rename(&fresh, &image).map_err(|error| BuildError::File(image.clone(), error))?;
    Ok(image)
}

/// A function that an image imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The library, as the import table names it.
    pub library: String,
    /// The function.
    pub name: String,
    /// Where it is documented; `None` when it is not on the list.
    pub page: Option<String>,
}

/// What was seen in an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Everything it imports.
    pub imports: Vec<Imported>,
    /// Instructions looked at.
    pub instructions: usize,
    /// What should not be.
    pub faults: Vec<String>,
}

/// Looks at an image.
pub fn inspect(bytes: &[u8]) -> object::Result<Inspection> {
    let file = PeFile64::parse(bytes)?;
    let mut seen = Inspection::default();
    if file.nt_headers().file_header().machine.get(LE) != IMAGE_FILE_MACHINE_AMD64 {
        seen.faults.push("not for x64".to_owned());
    }
    header(&file, &mut seen.faults);
    if guard_flags(&file)?.is_none_or(|flags| flags & GUARDED != GUARDED) {
        seen.faults.push("no table of control-flow guard".to_owned());
    }
    sections(&file, bytes, &mut seen)?;
    seen.imports = imports(&file)?;
    for import in seen.imports.iter().filter(|import| import.page.is_none()) {
        seen.faults.push(format!("{}!{} is not on the list of documented imports", import.library, import.name));
    }
    Ok(seen)
}

fn header(file: &PeFile64<'_>, faults: &mut Vec<String>) {
    let optional = file.nt_headers().optional_header();
    if optional.subsystem() != IMAGE_SUBSYSTEM_NATIVE {
        faults.push("the subsystem is not NATIVE".to_owned());
    }
    let characteristics = optional.dll_characteristics();
    for (flag, name) in CHARACTERISTICS {
        if characteristics & flag != flag {
            faults.push(format!("{name} is off"));
        }
    }
}

/// GuardFlags of the load configuration.
fn guard_flags(file: &PeFile64<'_>) -> object::Result<Option<u32>> {
    let Some(directory) = file.data_directories().get(IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG) else { return Ok(None) };
    let data = directory.data(file.data(), &file.section_table())?;
    let flags = data.get(GUARD_FLAGS..GUARD_FLAGS + 4).and_then(|bytes| bytes.try_into().ok());
    Ok(flags.map(u32::from_le_bytes))
}

fn sections(file: &PeFile64<'_>, bytes: &[u8], seen: &mut Inspection) -> object::Result<()> {
    for section in file.section_table().iter() {
        let flags = section.characteristics.get(LE);
        let name = String::from_utf8_lossy(section.raw_name()).into_owned();
        if flags & IMAGE_SCN_MEM_EXECUTE != IMAGE_SCN_MEM_EXECUTE {
            continue;
        }
        if flags & IMAGE_SCN_MEM_WRITE == IMAGE_SCN_MEM_WRITE {
            seen.faults.push(format!("section {name} is both writable and executable"));
        }
        let data = section.pe_data(bytes)?;
        let used = data.len().min(section.virtual_size.get(LE) as usize);
        let start = u64::from(section.virtual_address.get(LE));
        let (count, faults) = scan(&data[..used], start);
        seen.instructions += count;
        seen.faults.extend(faults);
    }
    Ok(())
}

/// Disassembles code from its first byte to its last; gives the number of instructions, and those no kernel code may have.
fn scan(code: &[u8], start: u64) -> (usize, Vec<String>) {
    let (mut count, mut faults) = (0, Vec::new());
    for instruction in &mut Decoder::with_ip(64, code, start, DecoderOptions::NONE) {
        count += 1;
        if let Some(register) = registers(&instruction).find(|&register| is_forbidden(register)) {
            faults.push(format!("{:#x}: {:?} uses {register:?}", instruction.ip(), instruction.mnemonic()));
        }
    }
    (count, faults)
}

fn registers(instruction: &Instruction) -> impl Iterator<Item = Register> + '_ {
    let operands = (0..instruction.op_count()).map(|place| instruction.op_register(place));
    operands.chain([instruction.memory_index(), instruction.op_mask()])
}

fn is_forbidden(register: Register) -> bool {
    register.is_ymm() || register.is_zmm() || register.is_k() || register == Register::CR8
}

fn imports(file: &PeFile64<'_>) -> object::Result<Vec<Imported>> {
    let mut all = Vec::new();
    let Some(table) = file.import_table()? else { return Ok(all) };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let library = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).into_owned();
        let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
        while let Some(thunk) = thunks.next::<ImageNtHeaders64>()? {
            let name = if thunk.is_ordinal() {
                format!("#{}", thunk.ordinal())
            } else {
                String::from_utf8_lossy(table.hint_name(thunk.address())?.1).into_owned()
            };
            let page = documented::page(&library, &name);
            all.push(Imported { library: library.clone(), name, page });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D10, W-43
    #[test]
    fn wide_registers_and_cr8_are_found_and_narrow_ones_are_not() {
        let narrow = [0x66, 0x0f, 0x3a, 0x44, 0xc1, 0x11, 0xc5, 0xf9, 0x6f, 0xc1, 0xc3];
        assert_eq!(scan(&narrow, 0), (3, Vec::new()));
        let ymm = [0xc5, 0xfd, 0x6f, 0xc1];
        let zmm = [0x62, 0xf1, 0xfd, 0x48, 0x6f, 0xc1];
        let cr8 = [0x44, 0x0f, 0x20, 0xc0];
        for wide in [&ymm[..], &zmm, &cr8] {
            assert_eq!(scan(wide, 0).1.len(), 1, "{wide:x?}");
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(inspect(b"MZ").is_err());
    }

    /// D6, D10, W-40 to W-43
    #[test]
    fn the_driver_builds_on_linux_into_an_image_without_faults() {
        let path = build(false).unwrap();
        let seen = inspect(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(seen.faults, Vec::<String>::new());
        assert!(seen.instructions > 100 && seen.imports.iter().any(|import| import.name == "WdfVersionBind"));
    }

    /// D6, D10: a WDM driver, which has no framework to bind.
    #[test]
    fn the_consumer_builds_on_linux_into_an_image_without_faults() {
        let path = build_named("ndkping", false).unwrap();
        let seen = inspect(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(seen.faults, Vec::<String>::new());
        let imports = |name: &str| seen.imports.iter().any(|import| import.name == name);
        assert!(imports("IoCreateDevice") && imports("WskCaptureProviderNPI") && !imports("WdfVersionBind"));
    }
}
