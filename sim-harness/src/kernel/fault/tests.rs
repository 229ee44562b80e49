//! Small pieces of code in pages that pose as an image: what is played for them, and how their other faults end a run.

use super::emulate::text;
use super::*;
use crate::kernel::irql::Irql;
use crate::kernel::nt::{locks, threads, time};
use crate::kernel::wdk::PKSPIN_LOCK;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A page of code.
struct Code {
    page: *mut c_void,
    _watch: Watch,
}

impl Code {
    fn new(bytes: &[u8]) -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping at an address of the system's choice.
        let page = unsafe { libc::mmap(ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        assert!(page != libc::MAP_FAILED);
        // SAFETY: a page, and the code is shorter.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), page.cast(), bytes.len()) };
        // SAFETY: the page above.
        assert_eq!(unsafe { libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC) }, 0);
        let watch = watch(page.addr(), 4096);
        watch.name("toy.sys");
        Self { page, _watch: watch }
    }

    /// Calls it as a machine calls an image.
    fn call(&self, machine: &Arc<Machine>, argument: u64) -> u64 {
        // SAFETY: the page's code is a function of this type.
        let function: unsafe extern "win64" fn(u64) -> u64 = unsafe { std::mem::transmute(self.page) };
        machine.enter(|| {
            // SAFETY: it takes any number.
            unsafe { crate::call_image!(function, argument) }
        })
    }

    /// What is made of a fault of its first instruction.
    fn judged(&self, machine: &Arc<Machine>, cause: Cause, mut registers: Registers) -> (Verdict, Registers) {
        registers.rip = self.page.addr() as u64;
        let verdict = machine.enter(|| judge(cause, &mut registers));
        (verdict, registers)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`.
        let _ = unsafe { libc::munmap(self.page, 4096) };
    }
}

fn machine(now: u64) -> Arc<Machine> {
    Machine::new("toy", Arc::new(AtomicU64::new(now)), 1)
}

/// W-43
#[test]
fn cr8_is_the_level_of_the_processor() {
    let machine = machine(0);
    let (read, write) = (Code::new(b"\x44\x0f\x20\xc0\xc3"), Code::new(b"\x44\x0f\x22\xc1\xc3"));
    assert_eq!(read.call(&machine, 0), 0);
    write.call(&machine, 2);
    assert_eq!((irql::current(), read.call(&machine, 0)), (Irql::Dispatch, 2));
    assert_eq!(machine.verifier.take(), []);
    let lock: PKSPIN_LOCK = Box::into_raw(Box::new(0));
    machine.enter(|| locks::acquire(lock));
    write.call(&machine, 0);
    assert_eq!(machine.verifier.take().len(), 1);
    machine.enter(|| locks::release(lock));
    // SAFETY: made above.
    drop(unsafe { Box::from_raw(lock) });
    assert_eq!(irql::current(), Irql::Passive);
}

/// W-43
#[test]
fn the_processors_block_knows_its_thread_and_number() {
    let machine = machine(0);
    let thread = Code::new(b"\x65\x48\x8b\x04\x25\x88\x01\x00\x00\xc3");
    assert_eq!(thread.call(&machine, 0), threads::current() as u64);
    let number = Code::new(b"\xb8\xff\xff\xff\xff\x65\x8b\x04\x25\xa4\x01\x00\x00\xc3");
    assert_eq!(number.call(&machine, 0), 0);
    let zero_extended = Code::new(b"\x65\x0f\xb6\x04\x25\x84\x01\x00\x00\xc3");
    assert_eq!(zero_extended.call(&machine, 0), 0);
    let other = Code::new(b"\x65\x48\x8b\x04\x25\x30\x00\x00\x00\xc3");
    let cause = Cause { signal: libc::SIGSEGV, address: 0x30 };
    let (verdict, _) = other.judged(&machine, cause, Registers::default());
    assert!(matches!(&verdict, Verdict::End(text) if text.contains("gs:[0x30]")), "{verdict:?}");
}

/// W-43
#[test]
fn the_shared_page_tells_time_ticks_and_version() {
    let machine = machine(10 * time::TICK + 7);
    // mov rax, [0FFFFF78000000320h]
    let ticks = Code::new(b"\x48\xa1\x20\x03\x00\x00\x80\xf7\xff\xff\xc3");
    assert_eq!(ticks.call(&machine, 0), 10);
    // mov rax, 0FFFFF78000000014h; mov rax, [rax]
    let system = Code::new(b"\x48\xb8\x14\x00\x00\x00\x80\xf7\xff\xff\x48\x8b\x00\xc3");
    assert_eq!(system.call(&machine, 0), time::system(10 * time::TICK));
    // mov rax, 0FFFFF78000000000h; cmp dword ptr [rax + 260h], 26100; sete al; movzx eax, al
    let build =
        b"\x48\xb8\x00\x00\x00\x00\x80\xf7\xff\xff\x81\xb8\x60\x02\x00\x00\xf4\x65\x00\x00\x0f\x94\xc0\x0f\xb6\xc0\xc3";
    assert_eq!(Code::new(build).call(&machine, 0), 1);
    // mov rax, 0FFFFF78000000000h; movsx eax, word ptr [rax + 26Ch]
    let signed = b"\x48\xb8\x00\x00\x00\x00\x80\xf7\xff\xff\x0f\xbf\x80\x6c\x02\x00\x00\xc3";
    assert_eq!(Code::new(signed).call(&machine, 0), 10);
    // A write: mov [rcx], eax.
    let write = Code::new(b"\x89\x01\xc3");
    let mut registers = Registers::default();
    registers.gpr[1] = 0xffff_f780_0000_0000;
    let cause = Cause { signal: libc::SIGSEGV, address: 0xffff_f780_0000_0000 };
    let (verdict, _) = write.judged(&machine, cause, registers);
    assert!(matches!(&verdict, Verdict::End(text) if text.contains("only reads")), "{verdict:?}");
}

/// What the processor's flags are after an operation on a byte and on 64 bits.
macro_rules! real {
    ($name:literal, $left:expr, $right:expr) => {{
        let (mut whole, mut byte): (u64, u8) = ($left, $left as u8);
        let (flags, byte_flags): (u64, u64);
        // SAFETY: arithmetic on registers, and its flags by way of the stack.
        unsafe {
            std::arch::asm!(concat!($name, " {0}, {1}"), "pushfq", "pop {2}", inout(reg) whole, in(reg) $right,
                            lateout(reg) flags);
        }
        // SAFETY: as above.
        unsafe {
            std::arch::asm!(concat!($name, " {0}, {1}"), "pushfq", "pop {2}", inout(reg_byte) byte,
                            in(reg_byte) $right as u8, lateout(reg) byte_flags);
        }
        [(whole, flags), (u64::from(byte), byte_flags)]
    }};
}

#[test]
fn arithmetic_on_the_shared_page_gives_the_processors_results_and_flags() {
    use iced_x86::Mnemonic;
    const VALUES: [u64; 9] = [0, 1, 0x0f, 0x7f, 0x80, 0xff, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, u64::MAX];
    for left in VALUES {
        for right in VALUES {
            let cases = [
                (Mnemonic::Sub, real!("sub", left, right)),
                (Mnemonic::Add, real!("add", left, right)),
                (Mnemonic::And, real!("and", left, right)),
                (Mnemonic::Or, real!("or", left, right)),
                (Mnemonic::Xor, real!("xor", left, right)),
            ];
            for (mnemonic, real) in cases {
                // What a logical operation leaves in the auxiliary flag is undefined.
                let defined = if matches!(mnemonic, Mnemonic::Sub | Mnemonic::Add) { 0x8d5 } else { 0x8c5 };
                for (size, (value, flags)) in [8, 1].into_iter().zip(real) {
                    let own = emulate::compute(mnemonic, left, right, size);
                    let what = format!("{mnemonic:?} of {left:#x} and {right:#x}, {size} bytes");
                    assert_eq!((own.0, own.1 & defined), (value, flags & defined), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_reported_instruction_is_readable() {
    assert_eq!(text(0x1000, b"\x48\x8b\x01\xc3"), "mov rax,[rcx] [48 8b 01]");
}

/// Stands for the address of `__chkstk`.
const PROBE: u64 = u64::MAX;

/// Faults that end a run: the code, its argument, and what the report says.
const ENDS: [(&str, &[u8], u64, &str); 9] = [
    ("fast fail", b"\xb9\x03\x00\x00\x00\xcd\x29", 0, "code 3: a list entry is corrupt"),
    ("breakpoint", b"\xcc\xc3", 0, "a breakpoint"),
    ("assertion", b"\xcd\x2c\xc3", 0, "an assertion of the driver failed"),
    ("null", b"\x8b\x01\xc3", 0, "an address that is none (NULL"),
    ("not canonical", b"\x8b\x01\xc3", 0x8000_0000_0000_0000, "an address that is none"),
    ("privileged", b"\xf4\xc3", 0, "a privileged instruction"),
    ("jump", b"\x48\x83\xec\x28\xff\xd1\xc3", 0x5000, "a jump to 0x5000"),
    // mov eax, 60000; jmp rcx: the argument is the probe.
    ("probe", b"\x48\x83\xec\x28\xb8\x60\xea\x00\x00\xff\xd1\xc3", PROBE, "is used up (W-44)"),
    ("stack", b"\x50\xeb\xfd", 0, "is used up (W-44)"),
];

/// The variable that makes this test the process whose run ends.
const CASE: &str = "SOFTNDK_FAULT_CASE";

/// W-42, W-43: and a fault of the simulator's own is none of an image's.
#[test]
fn a_fault_of_an_image_ends_the_run_with_a_report() {
    if let Ok(case) = std::env::var(CASE) {
        let machine = machine(0);
        if case == "native" {
            let _code = Code::new(b"\xc3");
            // SAFETY: the process ends here, as it is to.
            unsafe { ptr::without_provenance::<u32>(16).read_volatile() };
        }
        let (_, code, argument, _) = ENDS.into_iter().find(|(name, ..)| *name == case).unwrap();
        let probe = crate::kernel::nt::data::variable("ntoskrnl.exe", "__chkstk").unwrap() as u64;
        Code::new(code).call(&machine, if argument == PROBE { probe } else { argument });
        unreachable!("the run went on");
    }
    let run = |case: &str| {
        let name = "kernel::fault::tests::a_fault_of_an_image_ends_the_run_with_a_report";
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", name, "--nocapture"]).env(CASE, case).output().unwrap()
    };
    for (case, _, _, says) in ENDS {
        let output = run(case);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(101), "{case}: {text}");
        assert!(case == "probe" || text.contains("toy.sys+0x"), "{case}: {text}");
        assert!(text.contains(says) && text.contains("rip"), "{case}: {text}");
    }
    let output = run("native");
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{}", String::from_utf8_lossy(&output.stderr));
}
