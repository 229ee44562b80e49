//! Instructions of a kernel, carried out on saved registers: CR8, GS, the shared page. Everything else is told in words.

use super::Cause;
use super::shared;
use crate::kernel::irql::{self, Irql};
use crate::kernel::nt::locks;
use crate::kernel::{Machine, stack};
use iced_x86::{Code, Decoder, DecoderOptions, FastFormatter, Instruction, Mnemonic, OpKind, Register};
use std::fmt;

/// Flags of arithmetic: carry, parity, auxiliary, zero, sign, overflow.
const ARITHMETIC: u64 = 0x8d5;
const CARRY: u64 = 1;
const PARITY: u64 = 4;
const AUXILIARY: u64 = 0x10;
const ZERO: u64 = 0x40;
const SIGN: u64 = 0x80;
const OVERFLOW: u64 = 0x800;

/// The order the processor numbers registers in, as the system's context names them.
const ORDER: [i32; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];
const NAMES: [&str; 16] =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

/// The registers of a thread that faulted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// General registers, by the processor's numbers: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    pub gpr: [u64; 16],
    /// The instruction.
    pub rip: u64,
    /// Flags.
    pub flags: u64,
}

impl Registers {
    pub(super) fn of(saved: &[i64; 23]) -> Self {
        Self {
            gpr: ORDER.map(|place| saved[place as usize].cast_unsigned()),
            rip: saved[libc::REG_RIP as usize].cast_unsigned(),
            flags: saved[libc::REG_EFL as usize].cast_unsigned(),
        }
    }

    pub(super) fn put(&self, saved: &mut [i64; 23]) {
        for (place, value) in ORDER.into_iter().zip(self.gpr) {
            saved[place as usize] = value.cast_signed();
        }
        saved[libc::REG_RIP as usize] = self.rip.cast_signed();
        saved[libc::REG_EFL as usize] = self.flags.cast_signed();
    }

    fn get(&self, register: Register) -> u64 {
        let whole = self.gpr[register.full_register().number()];
        match register.size() {
            1 if is_high_byte(register) => (whole >> 8) & 0xff,
            size => whole & mask(size),
        }
    }

    /// Writes a register as the processor does: 32 bits clear the upper half, less leaves the rest.
    fn set(&mut self, register: Register, value: u64) {
        let whole = &mut self.gpr[register.full_register().number()];
        *whole = match register.size() {
            8 => value,
            4 => value & 0xffff_ffff,
            1 if is_high_byte(register) => (*whole & !0xff00) | ((value & 0xff) << 8),
            size => (*whole & !mask(size)) | (value & mask(size)),
        };
    }
}

impl fmt::Display for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (row, four) in NAMES.iter().zip(self.gpr).collect::<Vec<_>>().chunks(4).enumerate() {
            let line: Vec<_> = four.iter().map(|(name, value)| format!("{name:>3} {value:016x}")).collect();
            write!(f, "{}{}", if row == 0 { "" } else { "\n" }, line.join("  "))?;
        }
        write!(f, "\nrip {:016x}  flags {:x}", self.rip, self.flags)
    }
}

const fn is_high_byte(register: Register) -> bool {
    matches!(register, Register::AH | Register::CH | Register::DH | Register::BH)
}

/// The bits of so many bytes.
const fn mask(size: usize) -> u64 {
    if size >= 8 { u64::MAX } else { (1 << (size * 8)) - 1 }
}

fn decode(rip: u64, bytes: &[u8]) -> Instruction {
    Decoder::with_ip(64, bytes, rip, DecoderOptions::NONE).decode()
}

/// An instruction in words, with its bytes.
pub(super) fn text(rip: u64, bytes: &[u8]) -> String {
    let instruction = decode(rip, bytes);
    let own = bytes.get(..instruction.len().max(1)).unwrap_or(bytes);
    let hex: Vec<_> = own.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut words = String::new();
    if !instruction.is_invalid() {
        FastFormatter::new().format(&instruction, &mut words);
    }
    format!("{words} [{}]", hex.join(" "))
}

/// Carries out the instruction at the registers' RIP; or says why the run ends.
pub(super) fn step(cause: Cause, registers: &mut Registers, bytes: &[u8]) -> Result<(), String> {
    let instruction = decode(registers.rip, bytes);
    match instruction.code() {
        Code::Mov_r64_cr if instruction.op1_register() == Register::CR8 => {
            registers.set(instruction.op0_register(), irql::current() as u64);
        }
        Code::Mov_cr_r64 if instruction.op0_register() == Register::CR8 => {
            set_level(registers.get(instruction.op1_register()))?;
        }
        Code::Int_imm8 => return Err(interrupt(instruction.immediate8(), registers)),
        Code::Int3 => return Err("a breakpoint, and no debugger".to_owned()),
        Code::Ud2 => return Err("ud2: code that the compiler says is never reached, or a trap of its own".to_owned()),
        _ => {
            let value = load(&instruction, registers).unwrap_or_else(|| Err(describe(cause, &instruction)))?;
            apply(&instruction, registers, value)?;
        }
    }
    registers.rip = instruction.next_ip();
    Ok(())
}

/// CR8 is written: the processor's level. What KeLowerIrql holds against a driver holds here.
fn set_level(value: u64) -> Result<(), String> {
    if value > 15 {
        return Err(format!("CR8 is given {value:#x}, which is no IRQL"));
    }
    let new = Irql::of(value as u8);
    if new < Irql::Dispatch && locks::held() > 0 {
        let text = format!("CR8 is lowered to {new} with {} spin locks held", locks::held());
        Machine::current().violation("irql", text);
    }
    irql::set(new);
    Ok(())
}

fn interrupt(vector: u8, registers: &Registers) -> String {
    match vector {
        0x29 => {
            let code = registers.gpr[1] & 0xffff_ffff;
            format!("a fast fail (int 29h), code {code}: {}", shared::fast_fail(code))
        }
        0x2c => "an assertion of the driver failed (int 2Ch)".to_owned(),
        0x2d => "the debugger is called (int 2Dh), and there is none".to_owned(),
        _ => format!("interrupt {vector:#x}, which no driver may raise"),
    }
}

/// What the memory operand of an instruction holds, if it is one of those that are played here.
fn load(instruction: &Instruction, registers: &Registers) -> Option<Result<u64, String>> {
    let place = (0..instruction.op_count()).find(|&place| instruction.op_kind(place) == OpKind::Memory)?;
    let size = instruction.memory_size().size();
    let value = |register: Register, _, _| {
        let segment = matches!(register, Register::DS | Register::ES | Register::SS | Register::CS | Register::GS);
        Some(if segment { 0 } else { registers.get(register) })
    };
    let address = instruction.virtual_address(place, 0, value)?;
    if instruction.memory_segment() == Register::GS {
        return Some(shared::processor_block(address, size));
    }
    shared::page_offset(address).map(|offset| Ok(shared::page(offset, size) & mask(size)))
}

/// Carries out an instruction that reads memory, with what is there.
fn apply(instruction: &Instruction, registers: &mut Registers, memory: u64) -> Result<(), String> {
    let refuse = || format!("{:?} with this memory is not played by the simulated kernel", instruction.mnemonic());
    let to_memory = instruction.op0_kind() == OpKind::Memory;
    let size = instruction.memory_size().size();
    let target = instruction.op0_register();
    let other = |place: u32, registers: &Registers| match instruction.op_kind(place) {
        OpKind::Memory => Some(memory),
        OpKind::Register => Some(registers.get(instruction.op_register(place))),
        _ => instruction.try_immediate(place).ok(),
    };
    match instruction.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movzx if !to_memory && target.is_gpr() => registers.set(target, memory),
        Mnemonic::Movsx | Mnemonic::Movsxd if target.is_gpr() => registers.set(target, sign_extended(memory, size)),
        Mnemonic::Cmp
        | Mnemonic::Sub
        | Mnemonic::Test
        | Mnemonic::And
        | Mnemonic::Or
        | Mnemonic::Xor
        | Mnemonic::Add => {
            let (Some(left), Some(right)) = (other(0, registers), other(1, registers)) else { return Err(refuse()) };
            let kept = !matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test);
            if kept && to_memory {
                return Err("a write to memory of the system that only reads".to_owned());
            }
            let (result, flags) = compute(instruction.mnemonic(), left, right, size);
            registers.flags = (registers.flags & !ARITHMETIC) | flags;
            if kept {
                registers.set(target, result);
            }
        }
        _ if to_memory => return Err("a write to memory of the system that only reads".to_owned()),
        _ => return Err(refuse()),
    }
    Ok(())
}

fn sign_extended(value: u64, size: usize) -> u64 {
    let unused = 64 - size * 8;
    ((value << unused).cast_signed() >> unused).cast_unsigned()
}

/// The result and the flags of an operation of so many bytes.
pub(super) fn compute(mnemonic: Mnemonic, left: u64, right: u64, size: usize) -> (u64, u64) {
    let (left, right, top) = (left & mask(size), right & mask(size), 1_u64 << (size * 8 - 1));
    let (result, carry, overflow) = match mnemonic {
        Mnemonic::Cmp | Mnemonic::Sub => {
            let result = left.wrapping_sub(right) & mask(size);
            (result, left < right, (left ^ right) & (left ^ result) & top != 0)
        }
        Mnemonic::Add => {
            let result = left.wrapping_add(right) & mask(size);
            (result, result < left, !(left ^ right) & (left ^ result) & top != 0)
        }
        Mnemonic::Or => (left | right, false, false),
        Mnemonic::Xor => (left ^ right, false, false),
        _ => (left & right, false, false),
    };
    let auxiliary =
        matches!(mnemonic, Mnemonic::Cmp | Mnemonic::Sub | Mnemonic::Add) && (left ^ right ^ result) & 0x10 != 0;
    let flags = [
        (carry, CARRY),
        ((result as u8).count_ones().is_multiple_of(2), PARITY),
        (auxiliary, AUXILIARY),
        (result == 0, ZERO),
        (result & top != 0, SIGN),
        (overflow, OVERFLOW),
    ];
    (result, flags.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag).sum())
}

/// A fault that nothing is done about, in words.
fn describe(cause: Cause, instruction: &Instruction) -> String {
    match cause.signal {
        libc::SIGILL => "an instruction that the processor does not have".to_owned(),
        libc::SIGTRAP => "a trap, and no debugger".to_owned(),
        libc::SIGBUS => format!("memory at {:#x} that is not there", cause.address),
        _ if stack::is_guard(cause.address) => "the kernel stack of 24 KiB is used up (W-44)".to_owned(),
        _ if cause.address == 0 && instruction.is_privileged() => {
            "a privileged instruction that the simulated kernel does not play".to_owned()
        }
        _ if cause.address == 0 => {
            "memory at an address that is none (NULL, or not canonical), or a protection fault".to_owned()
        }
        _ => format!("memory at {:#x}, which may not be reached like this", cause.address),
    }
}
