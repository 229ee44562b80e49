//! The border between image code and the simulator's own: image code runs on a stack of 24 KiB with a guard page below it, as
//! kernel code does (W-44); the simulator's functions run on the thread's ordinary stack, whoever calls them.
//!
//! * Into the image: [`call`] (by the macro [`crate::call_image`]) switches to the image stack, or goes on where the image is
//!   on it already, when a function of the simulator calls back.
//! * Out of the image: every import is bound to a [`Gate`], a few bytes of code that switch back and call [`Gate`]'s target.
//!   Before that the gate tells its hook what is called. The simulator's own code may call gates too: dispatch tables are made
//!   of them, and a consumer of one may be either.
//! * Out of the image, by a pointer it was given: what image code calls directly, as a consumer's callback, starts on the image
//!   stack, and goes over to the thread's own by [`outside`].
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
}

impl Border {
    /// The top of this thread's image stack, made at the first call.
    fn top(&self) -> usize {
        self.stack.get_or_init(Mapping::new).top()
    }

    /// Whether a stack pointer is one of this thread's image stack.
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

    /// Bytes from the top down to the last word that was ever written: the mapping began as zeroes.
    fn used(&self) -> usize {
        let words = self.0.cast::<usize>().wrapping_byte_add(PAGE);
        // SAFETY: words of the mapping behind its guard page; nothing of the image runs on this thread now.
        let untouched = (0..STACK / 8).take_while(|&word| unsafe { words.wrapping_add(word).read() } == 0).count();
        (STACK - HEADROOM).saturating_sub(untouched * 8)
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

/// The caller's stack pointer is kept, the image's looked up (made at the first call), and what was there before is noted at
/// `out`: target, then the image pointer to come back to. The old native pointer goes below them.
unsafe extern "win64" fn enter(caller: usize, out: *mut usize) -> usize {
    BORDER.with(|border| {
        let target = border.target.replace(0);
        assert!(target != 0, "an argument of call_image calls an image itself: its value is to be made before");
        let (before, old_native) = (border.image.replace(0), border.native.get());
        let words: [(*mut usize, usize); 3] =
            [(out, target), (out.wrapping_add(1), before), (out.wrapping_sub(2), old_native)];
        for (place, word) in words {
            // SAFETY: these words of `call`'s frame are its own.
            unsafe { place.write(word) };
        }
        if border.is_on_image_stack(caller) {
            // A function that image code called by a pointer, and that is not `outside`: both go on where it is.
            return caller & !15;
        }
        border.native.set(caller);
        // An import or something `outside` calls the image again: below what the image has on its stack.
        if before == 0 { border.top() } else { before & !15 }
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
        let native = border.native.get();
        assert!(native != 0, "image code that was not entered by call_image leaves");
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

/// Whether whoever calls this runs on this thread's image stack.
pub fn on_image_stack() -> bool {
    let here = 0_u8;
    is_image_stack((&raw const here).addr())
}

/// Runs `f` on the simulator's stack. For the bodies of functions that image code calls by a pointer it was given; whoever
/// was not called by image code runs `f` where it is.
pub fn outside<R>(f: impl FnOnce() -> R) -> R {
    if !on_image_stack() {
        return f();
    }
    let mut job = Job { body: Some(f), result: None };
    // SAFETY: `run` is given the job it is made for, which stays until it returns.
    unsafe { switch(run_of(&job), (&raw mut job).cast()) };
    job.result.expect("it has run")
}

/// What [`switch`] carries over.
struct Job<F, R> {
    body: Option<F>,
    result: Option<R>,
}

type Run = unsafe extern "win64" fn(*mut libc::c_void);

fn run_of<F: FnOnce() -> R, R>(_job: &Job<F, R>) -> Run {
    run::<F, R>
}

/// # Safety
/// The job is one of these types, and nobody else looks at it.
unsafe extern "win64" fn run<F: FnOnce() -> R, R>(job: *mut libc::c_void) {
    // SAFETY: the caller's contract.
    let job = unsafe { &mut *job.cast::<Job<F, R>>() };
    job.result = job.body.take().map(|body| body());
}

/// Calls `run` with `job` on the simulator's stack; to be called on the image stack.
#[unsafe(naked)]
unsafe extern "win64" fn switch(run: Run, job: *mut libc::c_void) {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, 48",                   // home space of what is called here, then two words of ours
        "mov [rbp - 8], rcx",
        "mov [rbp - 16], rdx",
        "mov rcx, rsp",
        "call {out}",                    // rax: the simulator's stack pointer
        "mov rcx, [rbp - 16]",
        "mov r11, [rbp - 8]",
        "mov rsp, rax",
        "and rsp, -16",
        "sub rsp, 32",
        "call r11",
        "lea rsp, [rbp - 48]",
        "mov rcx, rsp",
        "call {back}",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
        out = sym out,
        back = sym back,
    )
}

/// Where the simulator's stack is while image code runs on this thread; 0 while none does.
pub fn native() -> usize {
    BORDER.with(|border| border.native.get())
}

/// Whether an address is in the part of this thread's image stack that may be used.
pub fn is_image_stack(address: usize) -> bool {
    BORDER.with(|border| border.is_on_image_stack(address)) && !is_guard(address)
}

/// Whether an address is in the guard page of this thread's image stack.
pub fn is_guard(address: usize) -> bool {
    let guard = |stack: &Mapping| (stack.0.addr()..stack.0.addr() + PAGE).contains(&address);
    BORDER.with(|border| border.stack.get().is_some_and(guard))
}

/// How many bytes of its stack the image has used on this thread so far.
pub fn deepest() -> usize {
    BORDER.with(|border| border.stack.get().map_or(0, Mapping::used))
}

#[cfg(test)]
mod tests;
