//! What `abi!` takes, and that what it emits can be called through tables of C function pointers.

use core::{ffi::c_void, hint::black_box};
use ndk_types::{NDK_CQ, NDK_FN_CLOSE_COMPLETION, NDK_FN_GET_CQ_RESULTS, NDK_RESULT, NTSTATUS, STATUS_PENDING, abi};

trait Platform {
    const STATUS: NTSTATUS;
}

struct Pends;

impl Platform for Pends {
    const STATUS: NTSTATUS = STATUS_PENDING;
}

/// A dispatch table, as a provider fills it.
#[repr(C)]
struct Table {
    plain: PLAIN,
    add: ADD,
    close: NDK_FN_CLOSE_COMPLETION,
}

abi! {
    /// Without parameters and result.
    type NOTHING = Option<unsafe extern "C" fn()>;

    /// With a trailing comma.
    pub(crate) type PLAIN = Option<unsafe extern "C" fn(
        context: *mut c_void,
        status: NTSTATUS,
    ) -> NTSTATUS>;

    type ADD = Option<unsafe extern "C" fn(a: u8, b: u16, c: u32, d: u64, e: i32, f: *const u64) -> u64>;

    unsafe extern "C" fn nothing() {}

    /// One bound, a path.
    unsafe extern "C" fn plain<P: crate::Platform>(context: *mut c_void, status: NTSTATUS) -> NTSTATUS {
        if context.is_null() { status } else { P::STATUS }
    }

    /// Two parameters and a where-clause.
    #[inline(never)]
    unsafe extern "C" fn bounded<P, Q>(context: *mut c_void, status: NTSTATUS) -> NTSTATUS
    where
        P: Platform,
        P: Send,
        Q: Platform,
        Q: 'static,
    {
        if context.is_null() { status } else { P::STATUS + Q::STATUS }
    }

    /// Six parameters: four in registers, two on the stack.
    unsafe extern "C" fn add(a: u8, b: u16, c: u32, d: u64, e: i32, f: *const u64) -> u64 {
        // SAFETY: the caller passes a valid pointer.
        let f = unsafe { *f };
        u64::from(a) + u64::from(b) + u64::from(c) + d + u64::from(e.cast_unsigned()) + f
    }

    unsafe extern "C" fn count(context: *mut c_void) {
        // SAFETY: the context is the caller's counter.
        unsafe { *context.cast::<u32>() += 1 };
    }

    /// Safe to call.
    pub extern "C" fn twice<N: Into<u32>>(number: N) -> u32 {
        number.into() * 2
    }

    unsafe extern "C" fn one_result(cq: *mut NDK_CQ, results: *mut NDK_RESULT, count: u32) -> u32 {
        if cq.is_null() && count > 0 {
            let result = NDK_RESULT {
                Status: STATUS_PENDING,
                BytesTransferred: 7,
                QPContext: core::ptr::null_mut(),
                RequestContext: core::ptr::null_mut(),
            };
            // SAFETY: the caller lends room for `count` results.
            unsafe { results.write(result) };
            1
        } else {
            0
        }
    }
}

#[test]
fn a_generic_callback_is_called_through_a_table() {
    let table = Table { plain: Some(plain::<Pends>), add: Some(add), close: Some(count) };
    let mut counter = 0_u32;
    let context: *mut c_void = (&raw mut counter).cast();
    // SAFETY: the callback looks at the pointer, not behind it.
    assert_eq!(unsafe { table.plain.unwrap()(context, 5) }, STATUS_PENDING);
    // SAFETY: as above.
    assert_eq!(unsafe { table.plain.unwrap()(core::ptr::null_mut(), 5) }, 5);
    // SAFETY: the context is a counter, as the callback wants.
    unsafe { table.close.unwrap()(context) };
    assert_eq!(counter, 1);
}

#[test]
fn arguments_beyond_the_registers_arrive() {
    let table = Table { plain: None, add: Some(add), close: None };
    // SAFETY: the pointer is to a local value.
    assert_eq!(unsafe { table.add.unwrap()(1, 20, 300, 4000, 50_000, &600_000) }, 654_321);
}

#[test]
fn bounds_of_a_where_clause_hold() {
    let callback: PLAIN = black_box(Some(bounded::<Pends, Pends>));
    let context = core::ptr::without_provenance_mut(1);
    // SAFETY: the callback looks at the pointer, not behind it.
    assert_eq!(unsafe { callback.unwrap()(context, 5) }, 2 * STATUS_PENDING);
    assert_eq!(twice(21_u8), 42);
}

#[test]
fn a_callback_of_an_ndk_type_fills_the_callers_array() {
    let callback: NDK_FN_GET_CQ_RESULTS = black_box(Some(one_result));
    let mut results = [core::mem::MaybeUninit::<NDK_RESULT>::uninit(); 2];
    // SAFETY: the array has room for two.
    let count = unsafe { callback.unwrap()(core::ptr::null_mut(), results.as_mut_ptr().cast(), 2) };
    assert_eq!(count, 1);
    // SAFETY: the callback wrote the first.
    assert_eq!(unsafe { results[0].assume_init() }.BytesTransferred, 7);
}

#[test]
fn an_empty_slot_is_a_null_pointer() {
    assert_eq!(size_of::<NOTHING>(), size_of::<*const c_void>());
    let table = Table { plain: None, add: None, close: None };
    // SAFETY: the table is three pointers wide, and its slots are initialised.
    let slots: [usize; 3] = unsafe { core::mem::transmute(table) };
    assert_eq!(slots, [0; 3]);
    let callback: NOTHING = black_box(Some(nothing));
    // SAFETY: `nothing` asks nothing of its caller.
    unsafe { callback.unwrap()() };
}
