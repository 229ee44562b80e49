//! The one object type behind every NDK handle.
//!
//! An [`Object`] starts with the C structure the consumer sees; the consumer's handle *is* the allocation's pointer. It is
//! counted: one reference for the handle, one for each successor (held in the successor's state), one for each call or
//! frame in flight. Closing gives the handle's reference back; the last one to go runs the close completion, and only
//! then lets go of the antecedents. So the rules of NDKPI's object lifetime page fall out of the order of four lines in
//! `Object::end`: a completion is the last callback of its object (LT-03), it comes after everything that was in flight
//! (LT-10, LT-11), an antecedent's completion comes after its successors' completions have *returned* (LT-08), and
//! nothing of the object is touched after its completion was called (LT-17).
//!
//! The provider never reads the C structure back: the consumer may rewrite `Dispatch` (COM-16) and owns `NdkReserved`.

use crate::sync::{AtomicUsize, Ordering, UnsafeCell};
use alloc::alloc::{Layout, alloc, dealloc};
use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use ndk_types::{NDK_FN_CLOSE_COMPLETION, NDK_OBJECT_HEADER, NDK_OBJECT_TYPE, NDK_VERSION, NTSTATUS};
use ndk_types::{STATUS_PENDING, STATUS_SUCCESS};

/// One of the ten kinds of NDK object.
///
/// # Safety
/// `Abi` is `repr(C)` and starts with an `NDK_OBJECT_HEADER`, so that a pointer to it, cast, is the header pointer the
/// generic functions get (COM-22).
pub unsafe trait Kind: Sized + 'static {
    /// The C structure the consumer sees.
    type Abi;
    /// What the provider knows of it; holds a [`Ref`] for every antecedent.
    type State: Send + Sync;

    /// The last reference is gone: gives back what must be back when the close completes (quotas, LT-21; memory that is
    /// worth it). References to antecedents stay in the state, which is dropped after the completion has returned.
    fn ending(_state: &mut Self::State) {}
}

/// The consumer's close, remembered until it can complete.
struct PendingClose {
    completion: NDK_FN_CLOSE_COMPLETION,
    context: *mut c_void,
}

/// An object of kind `K`, as allocated.
#[repr(C)]
pub struct Object<K: Kind> {
    /// Core's, whatever checks the rest: the consumer's handle points here.
    abi: core::cell::UnsafeCell<K::Abi>,
    references: AtomicUsize,
    close: UnsafeCell<Option<PendingClose>>,
    state: K::State,
}

/// A header as an object is handed out with it: COM-12, COM-13.
pub fn header(version: NDK_VERSION, object_type: NDK_OBJECT_TYPE) -> NDK_OBJECT_HEADER {
    NDK_OBJECT_HEADER {
        Version: version,
        ObjectType: object_type,
        NdkReserved: ndk_types::NDK_OBJECT_HEADER_RESERVED_BLOCK { rf: [core::ptr::null_mut(); 4] },
    }
}

impl<K: Kind> Object<K> {
    const LAYOUT: Layout = {
        // WdkAllocator ignores alignments above 16 (DESIGN D10).
        assert!(align_of::<Self>() <= 16);
        Layout::new::<Self>()
    };

    /// Makes an object with one reference. `None` without memory; `state` is dropped then, and with it its references.
    pub fn try_new(abi: K::Abi, state: K::State) -> Option<Ref<K>> {
        // SAFETY: the layout has at least the counter's size, which is not zero, as GlobalAlloc asks.
        let memory = unsafe { alloc(Self::LAYOUT) };
        let object = NonNull::new(memory.cast::<Self>())?;
        let value = Self {
            abi: core::cell::UnsafeCell::new(abi),
            references: AtomicUsize::new(1),
            close: UnsafeCell::new(None),
            state,
        };
        // SAFETY: the memory was just allocated with this type's layout and nobody else knows it.
        unsafe { object.write(value) };
        Some(Ref(object))
    }

    /// Gives one reference back; true when it was the last.
    fn release(object: NonNull<Self>) -> bool {
        // SAFETY: the caller's reference, given back by this very line, keeps the object alive up to it.
        let references = unsafe { &object.as_ref().references };
        // Acquire too, for the last one: a fence would do, but the thread sanitizer knows none (T-14).
        references.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Ends an object whose last reference is gone. `notify` tells whether a pending close is told so.
    fn end(object: NonNull<Self>, notify: bool) {
        // SAFETY: the count is zero: nobody else reaches the object, and it is read out exactly once.
        let Self { close, mut state, .. } = unsafe { object.read() };
        // SAFETY: the memory came from `alloc` with this layout; what was in it has been moved out.
        unsafe { dealloc(object.as_ptr().cast(), Self::LAYOUT) };
        K::ending(&mut state);
        if notify && let Some(PendingClose { completion: Some(completion), context }) = close.into_inner() {
            // SAFETY: NDKPI close_object: the completion is callable until it was called once, at <= DISPATCH_LEVEL.
            unsafe { completion(context) };
        }
        drop(state);
    }
}

/// A counted reference.
pub struct Ref<K: Kind>(NonNull<Object<K>>);

// SAFETY: a Ref may move between threads and end the object on any of them: NDKPI lets completions run on any thread.
unsafe impl<K: Kind> Send for Ref<K> {}
// SAFETY: a &Ref gives a shared reference to a Sync state and clones.
unsafe impl<K: Kind> Sync for Ref<K> {}

impl<K: Kind> Ref<K> {
    /// Turns the reference into the consumer's handle.
    pub fn into_handle(self) -> *mut K::Abi {
        ManuallyDrop::new(self).0.as_ptr().cast()
    }

    /// The address the consumer knows the object by, for comparing only.
    pub fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }
}

impl<K: Kind> Clone for Ref<K> {
    fn clone(&self) -> Self {
        // SAFETY: our own reference keeps the object alive.
        let references = unsafe { &self.0.as_ref().references };
        references.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl<K: Kind> Deref for Ref<K> {
    type Target = K::State;

    fn deref(&self) -> &K::State {
        // SAFETY: our own reference keeps the object alive; its state is only ever shared.
        unsafe { &self.0.as_ref().state }
    }
}

impl<K: Kind> Drop for Ref<K> {
    fn drop(&mut self) {
        if Object::release(self.0) {
            Object::end(self.0, true);
        }
    }
}

/// The consumer's reference, lent to one call.
pub struct Borrowed<'a, K: Kind>(NonNull<Object<K>>, PhantomData<&'a Object<K>>);

impl<K: Kind> Borrowed<'_, K> {
    /// Borrows the object behind a handle.
    ///
    /// # Safety
    /// NDKPI: `handle` came from [`Ref::into_handle`] of this kind and the consumer has not closed it; it does not close
    /// it during this call, except from a callback that this call makes, before which the callee takes a [`Ref`].
    pub unsafe fn from_handle(handle: *mut K::Abi) -> Self {
        // SAFETY: a handle is never NULL (the contract above).
        Self(unsafe { NonNull::new_unchecked(handle.cast()) }, PhantomData)
    }

    /// A counted reference, for calls that may reach a consumer's callback: the callback may close the object.
    pub fn counted(&self) -> Ref<K> {
        ManuallyDrop::new(Ref(self.0)).deref().clone()
    }
}

impl<K: Kind> Deref for Borrowed<'_, K> {
    type Target = K::State;

    fn deref(&self) -> &K::State {
        // SAFETY: the consumer's reference keeps the object alive during the call; its state is only ever shared.
        unsafe { &self.0.as_ref().state }
    }
}

/// Closes a handle: STATUS_SUCCESS when nothing else refers to the object (its completion is never called then), else
/// STATUS_PENDING and the completion later, once. A NULL completion is taken as "do not tell" (OQ-58). What the kind has to
/// cancel is cancelled by its doorway before.
///
/// # Safety
/// As [`Borrowed::from_handle`]; and the handle is not used again (NDKPI close_object).
pub unsafe fn close<K: Kind>(
    handle: *mut K::Abi,
    completion: NDK_FN_CLOSE_COMPLETION,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: a handle is never NULL (the contract above).
    let object: NonNull<Object<K>> = unsafe { NonNull::new_unchecked(handle.cast()) };
    // SAFETY: the handle's reference keeps the object alive.
    let close = &unsafe { object.as_ref() }.close;
    close.with_mut(|close| {
        // SAFETY: NDKPI: a handle is closed once, so this is the only write, and it happens before the handle's reference
        // is given back, so before anybody reads it.
        unsafe { close.write(Some(PendingClose { completion, context })) };
    });
    if Object::release(object) {
        Object::end(object, false);
        return STATUS_SUCCESS;
    }
    STATUS_PENDING
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use ndk_types::NDK_PD;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicU32;
    use std::vec::Vec;

    type Log = &'static Mutex<Vec<u32>>;

    struct Parent;
    struct Child;

    struct ParentState(Log);
    struct ChildState {
        _parent: Ref<Parent>,
        log: Log,
    }

    // SAFETY: NDK_PD starts with its header.
    unsafe impl Kind for Parent {
        type Abi = NDK_PD;
        type State = ParentState;
    }
    // SAFETY: as above.
    unsafe impl Kind for Child {
        type Abi = NDK_PD;
        type State = ChildState;
    }

    impl Drop for ParentState {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(10);
        }
    }
    impl Drop for ChildState {
        fn drop(&mut self) {
            self.log.lock().unwrap().push(20);
        }
    }

    fn abi() -> NDK_PD {
        let version = NDK_VERSION { Major: 2, Minor: 1 };
        NDK_PD { Header: header(version, ndk_types::NdkObjectTypePd), Dispatch: core::ptr::null() }
    }

    struct Note(Log, u32);

    ndk_types::abi! {
        unsafe extern "C" fn completed(context: *mut c_void) {
            // SAFETY: the tests below pass a pointer to a leaked Note.
            let note = unsafe { &*context.cast::<Note>() };
            note.0.lock().unwrap().push(note.1);
        }
    }

    fn log() -> Log {
        std::boxed::Box::leak(std::boxed::Box::new(Mutex::new(Vec::new())))
    }

    fn note(log: Log, number: u32) -> *mut c_void {
        core::ptr::from_mut(std::boxed::Box::leak(std::boxed::Box::new(Note(log, number)))).cast()
    }

    /// LT-01, LT-02
    #[test]
    fn closing_an_object_nobody_else_holds_succeeds_without_a_completion() {
        let log = log();
        let handle = Object::<Parent>::try_new(abi(), ParentState(log)).unwrap().into_handle();
        // SAFETY: the handle was just made and is closed once.
        assert_eq!(unsafe { close::<Parent>(handle, Some(completed), note(log, 1)) }, STATUS_SUCCESS);
        assert_eq!(*log.lock().unwrap(), [10]);
    }

    /// LT-05, LT-08
    #[test]
    fn an_antecedent_completes_after_its_successors_completion_returned() {
        let log = log();
        let parent = Object::<Parent>::try_new(abi(), ParentState(log)).unwrap();
        let child = Object::<Child>::try_new(abi(), ChildState { _parent: parent.clone(), log }).unwrap();
        let parent = parent.into_handle();
        let in_flight = child.clone();
        let child = child.into_handle();
        // SAFETY: each handle was just made and is closed once.
        assert_eq!(unsafe { close::<Parent>(parent, Some(completed), note(log, 1)) }, STATUS_PENDING);
        // SAFETY: as above.
        assert_eq!(unsafe { close::<Child>(child, Some(completed), note(log, 2)) }, STATUS_PENDING);
        assert!(log.lock().unwrap().is_empty());
        drop(in_flight);
        assert_eq!(*log.lock().unwrap(), [2, 20, 1, 10]);
    }

    /// OQ-58
    #[test]
    fn a_null_completion_is_tolerated() {
        let log = log();
        let parent = Object::<Parent>::try_new(abi(), ParentState(log)).unwrap();
        let in_flight = parent.clone();
        // SAFETY: the handle was just made and is closed once.
        assert_eq!(unsafe { close::<Parent>(parent.into_handle(), None, core::ptr::null_mut()) }, STATUS_PENDING);
        drop(in_flight);
        assert_eq!(*log.lock().unwrap(), [10]);
    }

    /// LT-02
    #[test]
    fn a_close_that_races_with_the_last_reference_completes_once() {
        static COMPLETED: AtomicU32 = AtomicU32::new(0);
        ndk_types::abi! {
            unsafe extern "C" fn count(_context: *mut c_void) {
                COMPLETED.fetch_add(1, Ordering::SeqCst);
            }
        }
        let rounds = if cfg!(miri) { 8 } else { 500 };
        let mut inline = 0;
        for _ in 0..rounds {
            let parent = Object::<Parent>::try_new(abi(), ParentState(log())).unwrap();
            let in_flight = parent.clone();
            let thread = std::thread::spawn(move || drop(in_flight));
            // SAFETY: the handle was just made and is closed once.
            let status = unsafe { close::<Parent>(parent.into_handle(), Some(count), core::ptr::null_mut()) };
            inline += u32::from(status == STATUS_SUCCESS);
            thread.join().unwrap();
        }
        assert_eq!(COMPLETED.load(Ordering::SeqCst) + inline, rounds);
    }
}
