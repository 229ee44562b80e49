//! The border between image code and the simulator's own: image code runs on a stack of 24 KiB with a guard page below it, as
//! kernel code does (W-44); the simulator's functions run on the thread's ordinary stack, whoever calls them.
//!
//! * Into the image: [`call`] (by the macro [`crate::call_image`]) switches to the image stack, or goes on where the image is
//!   on it already, when a function of the simulator calls back.
//! * Out of the image: every import is bound to a [`Gate`], a few bytes of code that switch back and call [`Gate`]'s target.
//!   Before that the gate tells its hook what is called. The simulator's own code may call gates too: dispatch tables are made
//!   of them, and a consumer of one may be either.
//!
//! Arguments are passed as they are: four in registers, up to [`STACK_ARGUMENTS`] on the stack. Floating point arguments are not.

use std::arch::naked_asm;
use std::cell::{Cell, OnceCell};
use std::ptr;

/// The size of a kernel stack on x64.
pub const STACK: usize = 24 * 1024;
/// Stack arguments that are carried over, of eight bytes each.
pub const STACK_ARGUMENTS: usize = 12;
/// What stays free above the first frame: gates copy arguments without knowing how many there are.
const HEADROOM: usize = 256;
const PAGE: usize = 4096;

/// What the assembly below reads and writes; one a thread.
#[repr(C)]
struct Border {
    /// Where [`call`] goes.
    target: Cell<usize>,
    /// The image stack's pointer while the simulator runs.
    image: Cell<usize>,
    /// The simulator's stack pointer while the image runs; 0 while it does not.
    native: Cell<usize>,
    stack: OnceCell<Mapping>,
    lowest: Cell<usize>,
}

impl Border {
    /// The top of this thread's image stack, made at the first call.
    fn top(&self) -> usize {
        self.stack.get_or_init(Mapping::new).top()
    }

    fn is_on_image_stack(&self, pointer: usize) -> bool {
        self.stack.get().is_some_and(|stack| (stack.0.addr()..stack.0.addr() + PAGE + STACK).contains(&pointer))
    }
}

/// Memory of an image stack, its guard page first.
struct Mapping(*mut libc::c_void);

impl Mapping {
    fn new() -> Self {
        let (length, flags) = (STACK + PAGE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh anonymous mapping at an address of the system's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        assert!(base != libc::MAP_FAILED, "no memory for a kernel stack");
        // SAFETY: the first page of the mapping above.
        let guarded = unsafe { libc::mprotect(base, PAGE, libc::PROT_NONE) };
        assert_eq!(guarded, 0, "a guard page below a kernel stack");
        Self(base)
    }

    fn top(&self) -> usize {
        self.0.addr() + PAGE + STACK - HEADROOM
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and the thread that ran on it is ending.
        let _ = unsafe { libc::munmap(self.0, STACK + PAGE) };
    }
}

thread_local! {
    static BORDER: Border = const {
        Border {
            target: Cell::new(0),
            image: Cell::new(0),
            native: Cell::new(0),
            stack: OnceCell::new(),
            lowest: Cell::new(usize::MAX),
        }
    };
}

/// Says where the next [`call`] of this thread goes.
pub fn aim(target: usize) {
    BORDER.with(|border| border.target.set(target));
}

/// Whether this thread is inside image code: a function of the simulator was called by the image.
pub fn inside_image() -> bool {
    BORDER.with(|border| border.image.get() != 0)
}

/// Calls an image function on the image stack: `call_image!(function, arguments...)`. The value is what the function returns.
/// Needs an unsafe block: the caller answers for the function's contract.
#[macro_export]
macro_rules! call_image {
    ($function:expr $(, $argument:expr)* $(,)?) => {{
        let function = $function;
        $crate::kernel::stack::aim(function as usize);
        $crate::kernel::stack::same_type(function, $crate::kernel::stack::call as *const () as usize)($($argument),*)
    }};
}

/// Calls a function of a driver, image code on the image stack and one of the simulator's own plainly:
/// `call_either!(machine, function, arguments...)`. The value is what the function returns. Needs an unsafe block: the caller
/// answers for the function's contract. A value of `function` is a function pointer.
#[macro_export]
macro_rules! call_either {
    ($machine:expr, $function:expr $(, $argument:expr)* $(,)?) => {{
        let function = $function;
        if $machine.is_image_code(function as usize) {
            $crate::call_image!(function $(, $argument)*)
        } else {
            function($($argument),*)
        }
    }};
}

/// The same as a callback at an IRQL, as [`Machine::callback`](crate::kernel::Machine::callback) has it:
/// `call_driver!(machine, "What", irql, function, arguments...)`.
#[macro_export]
macro_rules! call_driver {
    ($machine:expr, $what:expr, $irql:expr, $function:expr $(, $argument:expr)* $(,)?) => {{
        let machine = &$machine;
        machine.callback($what, $irql, || $crate::call_either!(machine, $function $(, $argument)*))
    }};
}

/// Gives [`call`] the type of the function it stands for.
///
/// # Safety
/// `F` is a function pointer, and `call` its address or another function of that type.
pub unsafe fn same_type<F: Copy>(_function: F, call: usize) -> F {
    assert_eq!(size_of::<F>(), size_of::<usize>(), "a function pointer");
    // SAFETY: the caller's contract.
    unsafe { std::mem::transmute_copy(&call) }
}

/// The way into the image, with whatever arguments the target of [`aim`] has.
///
/// # Safety
/// The target's contract; to be called by [`crate::call_image`] only.
#[unsafe(naked)]
pub unsafe extern "win64" fn call() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        // Register arguments into their home space above the return address.
        "mov [rbp + 16], rcx",
        "mov [rbp + 24], rdx",
        "mov [rbp + 32], r8",
        "mov [rbp + 40], r9",
        "sub rsp, 80",                   // home space of what is called here, then six words of ours
        "mov rcx, rsp",
        "lea rdx, [rbp - 16]",
        "call {enter}",                  // rax: the image stack's pointer; [rbp - 16]: target; [rbp - 8]: image before
        "mov r11, [rbp - 16]",
        "mov rsp, rax",
        "sub rsp, 32 + {stack_bytes}",
        "xor r10d, r10d",
        "2:",
        "mov rax, [rbp + 48 + r10]",
        "mov [rsp + 32 + r10], rax",
        "add r10, 8",
        "cmp r10, {stack_bytes}",
        "jne 2b",
        "mov rcx, [rbp + 16]",
        "mov rdx, [rbp + 24]",
        "mov r8, [rbp + 32]",
        "mov r9, [rbp + 40]",
        "call r11",
        "lea rsp, [rbp - 80]",
        "mov [rbp - 24], rax",
        "mov rcx, [rbp - 8]",
        "mov rdx, [rbp - 32]",
        "call {leave}",
        "mov rax, [rbp - 24]",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
        enter = sym enter,
        leave = sym leave,
        stack_bytes = const STACK_ARGUMENTS * 8,
    )
}

/// The simulator's stack pointer is kept, the image's looked up (made at the first call), and what was there before is noted at
/// `out`: target, then the image pointer to come back to. The old native pointer goes below them.
unsafe extern "win64" fn enter(native: usize, out: *mut usize) -> usize {
    BORDER.with(|border| {
        let before = border.image.replace(0);
        let old_native = border.native.replace(native);
        let words: [(*mut usize, usize); 3] =
            [(out, border.target.get()), (out.wrapping_add(1), before), (out.wrapping_sub(2), old_native)];
        for (place, word) in words {
            // SAFETY: these words of `call`'s frame are its own.
            unsafe { place.write(word) };
        }
        if before != 0 {
            return before & !15;
        }
        border.top()
    })
}

/// Back from the image.
extern "win64" fn leave(image: usize, native: usize) {
    BORDER.with(|border| {
        border.image.set(image);
        border.native.set(native);
    });
}

/// An import of an image.
#[derive(Debug)]
#[repr(C)]
pub struct Import {
    target: usize,
    hook: extern "win64" fn(&Import),
    /// What it is called, for whoever hears of calls.
    pub name: String,
    /// A number for the hook.
    pub number: usize,
}

/// A few bytes of code that an import is bound to. The code is executable and never changes.
#[derive(Debug)]
pub struct Gate {
    code: *mut libc::c_void,
    import: Box<Import>,
}

// SAFETY: code and record are only read once made.
unsafe impl Send for Gate {}
// SAFETY: as above.
unsafe impl Sync for Gate {}

impl Gate {
    /// A gate to `target`; `hook` runs before every call, on the simulator's stack.
    pub fn new(name: String, number: usize, target: usize, hook: extern "win64" fn(&Import)) -> Self {
        let import = Box::new(Import { target, hook, name, number });
        // mov r11, import; mov rax, gate; jmp rax
        let mut code = vec![0x49, 0xbb];
        code.extend((&raw const *import).addr().to_le_bytes());
        code.extend([0x48, 0xb8]);
        code.extend((gate as *const () as usize).to_le_bytes());
        code.extend([0xff, 0xe0]);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping at an address of the system's choice.
        let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        assert!(page != libc::MAP_FAILED, "no memory for a gate");
        // SAFETY: a page, and the code is shorter.
        unsafe { ptr::copy_nonoverlapping(code.as_ptr(), page.cast(), code.len()) };
        // SAFETY: the page above.
        let sealed = unsafe { libc::mprotect(page, PAGE, libc::PROT_READ | libc::PROT_EXEC) };
        assert_eq!(sealed, 0, "a gate that can run");
        Self { code: page, import }
    }

    /// Where the image calls.
    pub fn address(&self) -> usize {
        self.code.addr()
    }

    /// What it leads to.
    pub fn import(&self) -> &Import {
        &self.import
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`; the image that called it is gone.
        let _ = unsafe { libc::munmap(self.code, PAGE) };
    }
}

/// The way out of the image: R11 is the import. On the image stack: the return address, home space, stack arguments.
#[unsafe(naked)]
unsafe extern "win64" fn gate() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "mov [rbp + 16], rcx",
        "mov [rbp + 24], rdx",
        "mov [rbp + 32], r8",
        "mov [rbp + 40], r9",
        "sub rsp, 48",
        "mov [rbp - 8], r11",
        "mov rcx, rsp",
        "call {out}",                    // rax: the simulator's stack pointer
        "mov r11, [rbp - 8]",
        "mov rsp, rax",
        "and rsp, -16",
        "sub rsp, 32 + {stack_bytes}",
        "mov rcx, r11",
        "call [r11 + 8]",                // the hook
        "mov r11, [rbp - 8]",
        "xor r10d, r10d",
        "2:",
        "mov rax, [rbp + 48 + r10]",
        "mov [rsp + 32 + r10], rax",
        "add r10, 8",
        "cmp r10, {stack_bytes}",
        "jne 2b",
        "mov rcx, [rbp + 16]",
        "mov rdx, [rbp + 24]",
        "mov r8, [rbp + 32]",
        "mov r9, [rbp + 40]",
        "call [r11]",
        "mov rsp, rbp",
        "sub rsp, 48",
        "mov [rbp - 8], rax",
        "mov rcx, rsp",
        "call {back}",
        "mov rax, [rbp - 8]",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
        out = sym out,
        back = sym back,
        stack_bytes = const STACK_ARGUMENTS * 8,
    )
}

/// Leaves the image: its stack pointer is kept, and the simulator's is the answer. Code of the simulator, which knows gates from
/// dispatch tables, stays where it is.
extern "win64" fn out(image: usize) -> usize {
    BORDER.with(|border| {
        if !border.is_on_image_stack(image) {
            return image;
        }
        border.image.set(image);
        border.lowest.set(border.lowest.get().min(image));
        let native = border.native.get();
        assert!(native != 0, "an import was called by code that was not entered by call_image");
        native
    })
}

/// Into the image again, if that is where the gate's caller is.
extern "win64" fn back(caller: usize) {
    BORDER.with(|border| {
        if border.is_on_image_stack(caller) {
            border.image.set(0);
        }
    });
}

/// How many bytes of its stack the image has used on this thread, as far as its calls of imports show.
pub fn deepest() -> usize {
    BORDER.with(|border| if border.lowest.get() == usize::MAX { 0 } else { border.top() - border.lowest.get() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Machine;
    use crate::kernel::irql::{self, Irql};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    static CALLS: AtomicUsize = AtomicUsize::new(0);

    extern "win64" fn heard(import: &Import) {
        CALLS.fetch_add(import.number, Ordering::SeqCst);
    }

    type Six = unsafe extern "win64" fn(u64, u64, u64, u64, u64, u64) -> u64;

    /// What the simulator offers: it weighs its arguments, and calls the image again when the first is not 0.
    #[expect(clippy::many_single_char_names, reason = "six arguments, to be told apart by place")]
    unsafe extern "win64" fn offered(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64 {
        assert!(inside_image());
        if a > 1 {
            let image: Six = image;
            // SAFETY: `image` may be called with any numbers.
            return unsafe { call_image!(image, a - 1, b, c, d, e, f) };
        }
        a + 10 * b + 100 * c + 1000 * d + 10_000 * e + 100_000 * f
    }

    thread_local! {
        static GATE: Cell<usize> = const { Cell::new(0) };
        static SEEN: Cell<usize> = const { Cell::new(0) };
    }

    /// Image code, as far as the border can tell.
    #[expect(clippy::many_single_char_names, reason = "six arguments, to be told apart by place")]
    unsafe extern "win64" fn image(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64 {
        let here = 0_u8;
        SEEN.set((&raw const here).addr());
        // SAFETY: the gate leads to a function of this type.
        let import: Six = unsafe { std::mem::transmute(GATE.get()) };
        // SAFETY: it takes any numbers.
        unsafe { import(a, b, c, d, e, f) }
    }

    /// W-44
    #[test]
    fn image_code_runs_on_its_own_stack_and_imports_on_ours_with_all_arguments() {
        let target: Six = offered;
        let gate = Gate::new("Offered".into(), 1, target as usize, heard);
        GATE.set(gate.address());
        let function: Six = image;
        for depth in 1..=5 {
            // SAFETY: `image` takes any numbers.
            let answer = unsafe { call_image!(function, depth, 2, 3, 4, 5, 6) };
            assert_eq!(answer, 654_321);
            assert!(!inside_image());
        }
        let here = 0_u8;
        assert!((&raw const here).addr().abs_diff(SEEN.get()) > STACK, "the image ran on our stack");
        assert_eq!(CALLS.load(Ordering::SeqCst), 1 + 2 + 3 + 4 + 5);
        assert!((1..STACK).contains(&deepest()));
        assert_eq!(gate.import().name, "Offered");
    }

    extern "win64" fn unheard(_: &Import) {}

    unsafe extern "win64" fn where_am_i(place: *mut usize) -> u64 {
        let here = 0_u8;
        // SAFETY: the caller's variable.
        unsafe { place.write((&raw const here).addr()) };
        irql::current() as u64
    }

    type Where = unsafe extern "win64" fn(*mut usize) -> u64;

    /// W-44: what the machine knows as an image runs on the image stack, at the level asked for, and what it does not on ours.
    #[test]
    fn a_driver_is_entered_as_what_it_is() {
        let machine = Machine::new("border", Arc::new(AtomicU64::new(0)), 1);
        let function: Where = where_am_i;
        let seen = || {
            let mut place = 0;
            // SAFETY: our variable.
            let level = unsafe { crate::call_driver!(machine, "Where", Irql::Dispatch, function, &raw mut place) };
            let here = 0_u8;
            (level, (&raw const here).addr().abs_diff(place) > STACK)
        };
        assert_eq!(seen(), (2, false));
        let listing = machine.images().list(std::iter::once(function as usize..function as usize + 1));
        assert_eq!(seen(), (2, true));
        drop(listing);
        assert_eq!(seen(), (2, false));
        assert_eq!((irql::current(), machine.verifier.take()), (Irql::Passive, vec![]));
    }

    /// An import that calls a gate itself.
    unsafe extern "win64" fn between(place: *mut usize) -> u64 {
        // SAFETY: the gate leads to a function of this type.
        let gate: Where = unsafe { std::mem::transmute(GATE.get()) };
        // SAFETY: the caller's variable.
        unsafe { gate(place) }
    }

    #[test]
    fn a_gate_leaves_the_simulator_on_the_stack_it_is_on() {
        let function: Where = where_am_i;
        let inner = Gate::new("Where".into(), 0, function as usize, unheard);
        let between: Where = between;
        let outer = Gate::new("Between".into(), 0, between as usize, unheard);
        GATE.set(inner.address());
        let (mut outside, mut inside) = (0, 0);
        // SAFETY: the gate leads to a function of this type.
        let gate: Where = unsafe { std::mem::transmute(inner.address()) };
        // SAFETY: our variable.
        unsafe { gate(&raw mut outside) };
        // SAFETY: as above.
        let image: Where = unsafe { std::mem::transmute(outer.address()) };
        // SAFETY: our variable.
        unsafe { call_image!(image, &raw mut inside) };
        let here = (&raw const outside).addr();
        assert!(
            here.abs_diff(outside) < STACK && here.abs_diff(inside) < STACK,
            "{here:#x}, {outside:#x}, {inside:#x}"
        );
        assert!(!inside_image());
    }
}
