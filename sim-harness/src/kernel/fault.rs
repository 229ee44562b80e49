//! Faults of images: what compiled C expects of a kernel's machine and a process has not (W-42, W-43).
//!
//! Image code that reads or writes CR8, reads its processor's block through GS, or the page that the kernel shares with programs,
//! faults in a process. The instruction is carried out here, and the image goes on (`emulate`). Every other fault of an image
//! ends the run with a report: where, which instruction, the registers, what was called last. Faults of the simulator's own code
//! go where they went before.
//!
//! A fault of image code comes where that code is, so it is as a call from there: no lock of the simulator is held, and whatever
//! an import may do may be done here, on the simulator's stack.

mod emulate;
mod shared;
#[cfg(test)]
mod tests;

pub use emulate::Registers;

use super::{Machine, irql, stack, verifier};
use std::arch::naked_asm;
use std::ffi::c_void;
use std::fmt::Write as _;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, OnceLock, PoisonError};

/// How many images may be loaded at a time.
const PLACES: usize = 64;
const SIGNALS: [i32; 4] = [libc::SIGSEGV, libc::SIGILL, libc::SIGTRAP, libc::SIGBUS];

/// Where an image is; both 0 for a free place.
struct Place {
    start: AtomicUsize,
    end: AtomicUsize,
}

/// Looked at by the handler, so without a lock.
static PLACES_TAKEN: [Place; PLACES] =
    [const { Place { start: AtomicUsize::new(0), end: AtomicUsize::new(0) } }; PLACES];
static NAMES: Mutex<[String; PLACES]> = Mutex::new([const { String::new() }; PLACES]);
static BEFORE: [OnceLock<libc::sigaction>; SIGNALS.len()] = [const { OnceLock::new() }; SIGNALS.len()];

/// An image whose faults are looked at, as long as this is kept.
#[derive(Debug)]
pub struct Watch(usize);

/// Watches an image from now on.
///
/// # Panics
/// When there are more images than anybody loads.
pub fn watch(base: usize, bytes: usize) -> Watch {
    install();
    let free = |place: &&Place| {
        // The end stays 0 until the start is that of this image: nobody finds anything in between.
        place.start.compare_exchange(0, base, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    };
    let number = PLACES_TAKEN.iter().position(|place| free(&place)).expect("a place for an image");
    PLACES_TAKEN[number].end.store(base + bytes, Ordering::SeqCst);
    let watch = Watch(number);
    watch.name("image");
    watch
}

impl Watch {
    /// Says what the image is called in reports.
    pub fn name(&self, name: &str) {
        name.clone_into(&mut names()[self.0]);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let place = &PLACES_TAKEN[self.0];
        place.end.store(0, Ordering::SeqCst);
        place.start.store(0, Ordering::SeqCst);
    }
}

fn names() -> std::sync::MutexGuard<'static, [String; PLACES]> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The image an address is in: its number, its first address and the first behind it.
fn find(address: usize) -> Option<(usize, usize, usize)> {
    PLACES_TAKEN.iter().enumerate().find_map(|(number, place)| {
        let (start, end) = (place.start.load(Ordering::SeqCst), place.end.load(Ordering::SeqCst));
        (start..end).contains(&address).then_some((number, start, end))
    })
}

/// Why the processor stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The signal.
    pub signal: i32,
    /// The address that was reached for, 0 when the processor does not say.
    pub address: usize,
}

/// What becomes of a fault.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The instruction was carried out, and the registers say where to go on.
    GoOn,
    /// The run ends, with this report.
    End(String),
}

/// Has the handler look at faults, once in a process.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (signal, before) in SIGNALS.into_iter().zip(&BEFORE) {
            // SAFETY: all zeroes is a sigaction: no flags, an empty mask.
            let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
            // SAFETY: as above.
            let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
            new.sa_sigaction = handler as *const () as usize;
            new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            // SAFETY: two structures of this frame, and a handler with three arguments, as SA_SIGINFO says.
            let done = unsafe { libc::sigaction(signal, &raw const new, &raw mut old) };
            assert_eq!(done, 0, "a handler for faults of images");
            let _ = before.set(old);
        }
    });
}

/// What the handler hands to [`look`].
struct Job {
    cause: Cause,
    registers: Registers,
}

unsafe extern "C" fn handler(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: a handler with SA_SIGINFO is given a ucontext_t.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    // SAFETY: and a siginfo_t.
    let info = unsafe { &*info };
    // SAFETY: which has an address for these signals.
    let address = unsafe { info.si_addr() }.addr();
    let mut registers = Registers::of(&context.uc_mcontext.gregs);
    // A breakpoint has been passed when it is told; a jump to nowhere is where it leads, with its way back on the stack.
    if signal == libc::SIGTRAP && is_breakpoint(registers.rip.wrapping_sub(1) as usize) {
        registers.rip -= 1;
    }
    // Whoever runs into the guard page of an image's stack does so for the image.
    let from_image = find(registers.rip as usize).is_some() || jumped(&registers, address) || stack::is_guard(address);
    if !from_image {
        return hand_back(signal);
    }
    let mut job = Job { cause: Cause { signal, address }, registers };
    let native = stack::native();
    // Where image code was not entered by its border, the handler's own stack has to do.
    if native == 0 {
        look((&raw mut job).cast());
    } else {
        // SAFETY: the simulator's stack below its pointer is free while image code runs; `look` is given its job.
        unsafe { call_on(native, look, (&raw mut job).cast()) };
    }
    job.registers.put(&mut context.uc_mcontext.gregs);
}

/// Whether an address of an image holds `int 3`.
fn is_breakpoint(address: usize) -> bool {
    let byte: *const u8 = ptr::with_exposed_provenance(address);
    // SAFETY: a byte of an image that is loaded: all of its pages may be read.
    find(address).is_some() && unsafe { byte.read() } == 0xcc
}

/// Whether image code jumped to where no code is.
fn jumped(registers: &Registers, address: usize) -> bool {
    if address != registers.rip as usize || !stack::is_image_stack(registers.gpr[4] as usize) {
        return false;
    }
    let top: *const usize = ptr::with_exposed_provenance(registers.gpr[4] as usize);
    // SAFETY: an address of this thread's image stack.
    find(unsafe { top.read() }).is_some()
}

/// The handler that was there before takes its turn: the fault happens again.
fn hand_back(signal: i32) {
    let place = SIGNALS.iter().position(|&one| one == signal);
    if let Some(before) = place.and_then(|place| BEFORE[place].get()) {
        // SAFETY: what `sigaction` gave for this signal.
        unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
    }
}

/// Calls a function on another stack.
///
/// # Safety
/// The stack below the pointer is free, and the function takes the argument.
#[unsafe(naked)]
unsafe extern "C" fn call_on(stack: usize, function: extern "C" fn(*mut c_void), argument: *mut c_void) {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "mov rsp, rdi",
        "and rsp, -16",
        "mov rdi, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
    )
}

/// Judges a fault; a run that ends here does not come back.
extern "C" fn look(job: *mut c_void) {
    // SAFETY: the handler's own variable.
    let job = unsafe { &mut *job.cast::<Job>() };
    if let Verdict::End(report) = judge(job.cause, &mut job.registers) {
        eprint!("{report}");
        std::process::exit(101);
    }
}

/// Carries out the instruction that faulted, or says why that cannot be.
pub fn judge(cause: Cause, registers: &mut Registers) -> Verdict {
    let rip = registers.rip as usize;
    let Some((number, start, end)) = find(rip) else {
        if stack::is_guard(cause.address) {
            return Verdict::End(report("the kernel stack of 24 KiB is used up (W-44)", registers, None));
        }
        return Verdict::End(report(&format!("a jump to {rip:#x}, where no code is"), registers, None));
    };
    let length = (end - rip).min(15);
    let code: *const u8 = ptr::with_exposed_provenance(rip);
    // SAFETY: bytes of an image that is loaded: all of its pages may be read.
    let bytes = unsafe { std::slice::from_raw_parts(code, length) };
    match emulate::step(cause, registers, bytes) {
        Ok(()) => Verdict::GoOn,
        Err(why) => {
            let name = names()[number].clone();
            let place = format!("{name}+{:#x}", rip - start);
            Verdict::End(report(&why, registers, Some((&place, bytes))))
        }
    }
}

/// The report of a run that ends.
fn report(why: &str, registers: &Registers, at: Option<(&str, &[u8])>) -> String {
    let mut text = String::new();
    let machine = Machine::entered();
    let name = machine.as_ref().map_or("no machine", |machine| machine.name.as_str());
    let (call, level) = (verifier::call(), irql::current());
    let _ = writeln!(text, "*** {why}");
    match at {
        Some((place, bytes)) => {
            let _ = writeln!(text, "at {place}, on {name}, at {level}: {}", emulate::text(registers.rip, bytes));
        }
        None => {
            let _ = writeln!(text, "on {name}, at {level}; {}", return_place(registers));
        }
    }
    if !call.is_empty() {
        let _ = writeln!(text, "the last import that was called: {call}");
    }
    let _ = writeln!(text, "{registers}");
    for violation in machine.iter().flat_map(|machine| machine.verifier.violations()) {
        let _ = writeln!(text, "{violation}");
    }
    text
}

/// Where code that jumped to nowhere would have come back to.
fn return_place(registers: &Registers) -> String {
    let stack = registers.gpr[4] as usize;
    if !stack::is_image_stack(stack) {
        return "from nowhere that is known".to_owned();
    }
    let top: *const usize = ptr::with_exposed_provenance(stack);
    // SAFETY: an address of this thread's image stack.
    let back = unsafe { top.read() };
    find(back).map_or_else(
        || format!("from {back:#x}"),
        |(number, start, _)| format!("called from before {}+{:#x}", names()[number], back - start),
    )
}
