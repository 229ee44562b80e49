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

    /// Ends an object whose last reference is gone. `notify` tells whether a pending close is told so. The state is on the
    /// stack here, and a queue pair's is large: apart from whoever drops a reference, which is seldom the last (W-44).
    #[cold]
    #[inline(never)]
    fn end(object: NonNull<Self>, notify: bool) {
        // SAFETY: the count is zero, so nobody else reaches the object, and it is alive until it is read out below.
        let close = unsafe { &object.as_ref().close };
        let pending = close.with_mut(|close| {
            // SAFETY: as above.
            unsafe { &mut *close }.take()
        });
        // SAFETY: as above; it is read out exactly once.
        let Self { mut state, .. } = unsafe { object.read() };
        // SAFETY: the memory came from `alloc` with this layout; what was in it has been moved out.
        unsafe { dealloc(object.as_ptr().cast(), Self::LAYOUT) };
        K::ending(&mut state);
        if notify && let Some(PendingClose { completion: Some(completion), context }) = pending {
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
    use std::sync::{Arc, Mutex};
    use std::vec::Vec;

    type Log = Arc<Mutex<Vec<u32>>>;

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

        fn ending(state: &mut ParentState) {
            state.0.lock().unwrap().push(9);
        }
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
            // SAFETY: the tests below pass a Note that they keep.
            let note = unsafe { &*context.cast::<Note>() };
            note.0.lock().unwrap().push(note.1);
        }
    }

    fn log() -> Log {
        Arc::new(Mutex::new(Vec::new()))
    }

    /// What a completion is given: the note lives until the end of its test.
    fn context(note: &Note) -> *mut c_void {
        core::ptr::from_ref(note).cast_mut().cast()
    }

    /// LT-01, LT-02, LT-21
    #[test]
    fn closing_an_object_nobody_else_holds_succeeds_without_a_completion() {
        let log = log();
        let note = Note(log.clone(), 1);
        let handle = Object::<Parent>::try_new(abi(), ParentState(log.clone())).unwrap().into_handle();
        // SAFETY: the handle was just made and is closed once.
        assert_eq!(unsafe { close::<Parent>(handle, Some(completed), context(&note)) }, STATUS_SUCCESS);
        assert_eq!(*log.lock().unwrap(), [9, 10]);
    }

    /// LT-05, LT-08, LT-21
    #[test]
    fn an_antecedent_completes_after_its_successors_completion_returned() {
        let log = log();
        let (first, second) = (Note(log.clone(), 1), Note(log.clone(), 2));
        let parent = Object::<Parent>::try_new(abi(), ParentState(log.clone())).unwrap();
        let state = ChildState { _parent: parent.clone(), log: log.clone() };
        let child = Object::<Child>::try_new(abi(), state).unwrap();
        let parent = parent.into_handle();
        let in_flight = child.clone();
        let child = child.into_handle();
        // SAFETY: each handle was just made and is closed once.
        assert_eq!(unsafe { close::<Parent>(parent, Some(completed), context(&first)) }, STATUS_PENDING);
        // SAFETY: as above.
        assert_eq!(unsafe { close::<Child>(child, Some(completed), context(&second)) }, STATUS_PENDING);
        assert!(log.lock().unwrap().is_empty());
        drop(in_flight);
        assert_eq!(*log.lock().unwrap(), [2, 20, 9, 1, 10]);
    }

    /// LT-14: the callee takes a counted reference before a callback that may close.
    #[test]
    fn an_object_closed_from_a_callback_lives_until_the_call_is_over() {
        let log = log();
        let note = Note(log.clone(), 1);
        let handle = Object::<Parent>::try_new(abi(), ParentState(log.clone())).unwrap().into_handle();
        // SAFETY: the handle is open; it is closed below, after a counted reference was taken.
        let counted = unsafe { Borrowed::<Parent>::from_handle(handle) }.counted();
        // SAFETY: the handle is closed once.
        assert_eq!(unsafe { close::<Parent>(handle, Some(completed), context(&note)) }, STATUS_PENDING);
        let state: &ParentState = &counted;
        assert!(state.0.lock().unwrap().is_empty());
        drop(counted);
        assert_eq!(*log.lock().unwrap(), [9, 1, 10]);
    }

    /// OQ-58
    #[test]
    fn a_null_completion_is_tolerated() {
        let log = log();
        let parent = Object::<Parent>::try_new(abi(), ParentState(log.clone())).unwrap();
        let in_flight = parent.clone();
        // SAFETY: the handle was just made and is closed once.
        assert_eq!(unsafe { close::<Parent>(parent.into_handle(), None, core::ptr::null_mut()) }, STATUS_PENDING);
        drop(in_flight);
        assert_eq!(*log.lock().unwrap(), [9, 10]);
    }

    /// The consumer may rewrite what it can see, even while the provider works on the object (COM-16).
    #[test]
    fn the_consumer_may_write_to_its_structure_at_any_time() {
        let log = log();
        let object = Object::<Parent>::try_new(abi(), ParentState(log)).unwrap();
        let counted = object.clone();
        let handle = object.into_handle();
        let state = &*counted;
        // SAFETY: the handle is open, and the structure is the consumer's to write.
        let dispatch = unsafe { &raw mut (*handle).Dispatch };
        // SAFETY: as above.
        unsafe { dispatch.write(core::ptr::null()) };
        assert!(state.0.lock().unwrap().is_empty());
        // SAFETY: the handle is closed once.
        assert_eq!(unsafe { close::<Parent>(handle, None, core::ptr::null_mut()) }, STATUS_PENDING);
    }

    /// LT-02
    #[test]
    fn a_close_that_races_with_the_last_reference_completes_once() {
        let rounds = if cfg!(miri) { 8 } else { 500 };
        for _ in 0..rounds {
            let log = log();
            let note = Note(log.clone(), 1);
            let parent = Object::<Parent>::try_new(abi(), ParentState(log.clone())).unwrap();
            let in_flight = parent.clone();
            let thread = std::thread::spawn(move || drop(in_flight));
            // SAFETY: the handle was just made and is closed once.
            let status = unsafe { close::<Parent>(parent.into_handle(), Some(completed), context(&note)) };
            thread.join().unwrap();
            let expected: &[u32] = if status == STATUS_SUCCESS { &[9, 10] } else { &[9, 1, 10] };
            assert_eq!(*log.lock().unwrap(), expected);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use ndk_types::NDK_PD;
    use std::sync::atomic::{AtomicU32 as Plain, Ordering::SeqCst};

    struct Parent;
    struct Child;

    // SAFETY: NDK_PD starts with its header.
    unsafe impl Kind for Parent {
        type Abi = NDK_PD;
        type State = ();
    }
    // SAFETY: as above.
    unsafe impl Kind for Child {
        type Abi = NDK_PD;
        type State = Ref<Parent>;
    }

    /// How often each completion was called.
    struct Calls {
        parent: Plain,
        child: Plain,
    }

    ndk_types::abi! {
        unsafe extern "C" fn parent_completed(context: *mut c_void) {
            // SAFETY: the model below passes its Calls.
            let calls = unsafe { &*context.cast::<Calls>() };
            calls.parent.fetch_add(1, SeqCst);
        }

        unsafe extern "C" fn child_completed(context: *mut c_void) {
            // SAFETY: the model below passes its Calls.
            let calls = unsafe { &*context.cast::<Calls>() };
            assert_eq!(calls.parent.load(SeqCst), 0, "LT-08");
            calls.child.fetch_add(1, SeqCst);
        }
    }

    fn abi() -> NDK_PD {
        let version = NDK_VERSION { Major: 2, Minor: 1 };
        NDK_PD { Header: header(version, ndk_types::NdkObjectTypePd), Dispatch: core::ptr::null() }
    }

    /// LT-02, LT-05, LT-08, LT-17: both handles are closed, parent first, while a frame in flight lets go of the child.
    #[test]
    fn every_close_completes_once_and_the_successors_first() {
        loom::model(|| {
            let calls = std::boxed::Box::new(Calls { parent: Plain::new(0), child: Plain::new(0) });
            let context = core::ptr::from_ref(&*calls).cast_mut().cast();
            let parent = Object::<Parent>::try_new(abi(), ()).unwrap();
            let child = Object::<Child>::try_new(abi(), parent.clone()).unwrap();
            let in_flight = child.clone();
            let thread = loom::thread::spawn(move || drop(in_flight));
            loom::thread::yield_now();
            // SAFETY: each handle was just made and is closed once.
            let parent = unsafe { close::<Parent>(parent.into_handle(), Some(parent_completed), context) };
            // SAFETY: as above.
            let child = unsafe { close::<Child>(child.into_handle(), Some(child_completed), context) };
            thread.join().unwrap();
            assert_eq!(parent, STATUS_PENDING);
            assert_eq!(calls.parent.load(SeqCst), 1);
            assert_eq!(calls.child.load(SeqCst), u32::from(child == STATUS_PENDING));
        });
    }
}
