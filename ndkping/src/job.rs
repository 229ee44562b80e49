//! A job: one system thread that carries out one request, with what callbacks need to wake it.
//!
//! Everything a job does with NDK happens under an adapter of its own, which is closed before the job is freed. Closing an adapter
//! waits until every callback has returned, so a callback may wake its job at any time and touches nothing that is gone.

use crate::dispatch::Plain;
use crate::ioctl;
use crate::irp::{OnCancel, Pended};
use crate::kernel::{Block, Event, Guarded, Woken};
use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering};
use ndk_types::{
    NDK_CONNECTOR, NDK_OBJECT_HEADER, NTSTATUS, STATUS_CANCELLED, STATUS_INSUFFICIENT_RESOURCES, STATUS_IO_TIMEOUT,
    STATUS_PENDING, STATUS_SUCCESS,
};

/// What a job is for.
#[derive(Clone, Copy)]
pub enum Task {
    /// Tell about an adapter.
    Query(ioctl::QueryAdapter),
    /// Serve pings.
    Listen(ioctl::Listen),
    /// Measure latencies.
    Ping(ioctl::Ping),
    /// Measure bandwidth.
    Bandwidth(ioctl::Bandwidth),
}

/// Connection requests that a listener has not looked at yet, at most.
const ARRIVALS: usize = 8;

/// See the module's text.
pub struct Job {
    /// What it is for.
    pub task: Task,
    /// Its place among the driver's jobs.
    pub place: usize,
    /// The file whose handle the request came through.
    pub file: *mut c_void,
    /// The request that waits for it, and whether it was cancelled before it pended.
    pended: Guarded<Option<(Pended, bool)>>,
    wake: Event,
    wakes: AtomicU32,
    cancelled: Event,
    stopping: AtomicBool,
    arrivals: [AtomicPtr<NDK_CONNECTOR>; ARRIVALS],
}

// SAFETY: the file pointer is only compared; everything else may be used from any thread.
unsafe impl Sync for Job {}
// SAFETY: as above.
unsafe impl Send for Job {}

impl Job {
    /// A job without a thread. `None` without memory.
    pub fn try_new(task: Task, place: usize, file: *mut c_void) -> Option<Block<Self>> {
        Block::try_new(Self {
            task,
            place,
            file,
            pended: Guarded::new(None),
            wake: Event::try_new()?,
            wakes: AtomicU32::new(0),
            cancelled: Event::try_new()?,
            stopping: AtomicBool::new(false),
            arrivals: [const { AtomicPtr::new(null_mut()) }; ARRIVALS],
        })
    }

    /// The job answers this request from now on.
    pub fn pend(&self, pended: Pended, cancelled: bool) {
        self.pended.with(|place| *place = Some((pended, cancelled)));
        if cancelled {
            self.stop();
        }
    }

    /// Asks it to end. At or below DISPATCH_LEVEL.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether it is to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Something happened. At or below DISPATCH_LEVEL.
    pub fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::AcqRel);
        self.wake.set();
    }

    /// A number that changes whenever something happens: who looks at many things, and waits in between, sleeps only when it has not
    /// changed since the first look.
    pub fn wakes(&self) -> u32 {
        self.wakes.load(Ordering::Acquire)
    }

    /// Waits until something happens; `milliseconds` 0 waits for ever. On the job's thread.
    pub fn sleep(&self, milliseconds: u32) -> Woken {
        self.wake.wait(milliseconds)
    }

    /// Waits for a request of NDK whose call gave `status`. On the job's thread.
    pub fn settle(&self, pending: &Pending, status: NTSTATUS) -> NTSTATUS {
        if status != STATUS_PENDING {
            return status;
        }
        loop {
            if let Some(status) = pending.status() {
                return status;
            }
            let _ = self.sleep(0);
        }
    }

    /// The same, but not longer than until the job is stopped or `milliseconds` are over: then the request is still under way.
    pub fn settle_or_stop(&self, pending: &Pending, status: NTSTATUS, milliseconds: u32) -> Result<NTSTATUS, NTSTATUS> {
        if status != STATUS_PENDING {
            return Ok(status);
        }
        loop {
            if let Some(status) = pending.status() {
                return Ok(status);
            }
            if self.is_stopping() {
                return Err(STATUS_CANCELLED);
            }
            if self.sleep(milliseconds) == Woken::Timeout && pending.status().is_none() {
                return Err(STATUS_IO_TIMEOUT);
            }
        }
    }

    /// Completes the request with an answer. Does nothing the second time.
    pub fn answer<T: Plain>(&self, answer: T) {
        // SAFETY: jobs are made for device controls.
        self.finish(STATUS_SUCCESS, |pended| unsafe { pended.control() }.output(answer));
    }

    /// Completes the request without an answer. Does nothing the second time.
    pub fn refuse(&self, status: NTSTATUS) {
        self.finish(status, |_| 0);
    }

    fn finish(&self, status: NTSTATUS, write: impl FnOnce(&Pended) -> usize) {
        let Some((pended, was_ours)) = self.pended.with(Option::take) else { return };
        let length = write(&pended);
        pended.complete(self, was_ours, status, length);
    }

    /// A connector has arrived: the listener's from now on. False: there is no room, and it stays the caller's.
    pub fn arrive(&self, connector: NonNull<NDK_CONNECTOR>) -> bool {
        let free = |place: &&AtomicPtr<NDK_CONNECTOR>| {
            let (none, ours) = (null_mut(), connector.as_ptr());
            place.compare_exchange(none, ours, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let taken = !self.is_stopping() && self.arrivals.iter().find(free).is_some();
        if taken {
            self.wake();
        }
        taken
    }

    /// A connector that nobody has looked at.
    pub fn take_arrival(&self) -> Option<NonNull<NDK_CONNECTOR>> {
        self.arrivals.iter().find_map(|place| NonNull::new(place.swap(null_mut(), Ordering::AcqRel)))
    }
}

impl OnCancel for Job {
    fn cancelled(&self) {
        self.stop();
        self.cancelled.set();
    }

    fn wait_for_cancelled(&self) {
        self.cancelled.wait(0);
    }
}

/// The outcome of one request of NDK at a time, written by its completion.
pub struct Pending {
    status: AtomicI32,
    object: AtomicPtr<NDK_OBJECT_HEADER>,
    job: *const Job,
}

// SAFETY: the job lives longer than every callback (see the module's text) and may be used from any thread.
unsafe impl Sync for Pending {}
// SAFETY: as above.
unsafe impl Send for Pending {}

impl Pending {
    /// For requests of this job, which outlives them.
    pub fn new(job: &Job) -> Self {
        Self { status: AtomicI32::new(STATUS_PENDING), object: AtomicPtr::new(null_mut()), job }
    }

    /// The context of the next request; nothing is under way.
    pub fn begin(&self) -> *mut c_void {
        self.status.store(STATUS_PENDING, Ordering::Release);
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// The status, once it is there.
    pub fn status(&self) -> Option<NTSTATUS> {
        Some(self.status.load(Ordering::Acquire)).filter(|&status| status != STATUS_PENDING)
    }

    /// The object that a create completion brought.
    pub fn object(&self) -> Result<NonNull<NDK_OBJECT_HEADER>, NTSTATUS> {
        NonNull::new(self.object.load(Ordering::Acquire)).ok_or(STATUS_INSUFFICIENT_RESOURCES)
    }

    /// After the status is stored, this may be reused or gone: the job is not.
    fn complete(&self, status: NTSTATUS) {
        let job = self.job;
        self.status.store(status, Ordering::Release);
        // SAFETY: the job outlives every callback.
        unsafe { &*job }.wake();
    }
}

ndk_types::abi! {
    /// NDK_FN_CREATE_COMPLETION.
    ///
    /// # Safety
    /// `context` is from [`Pending::begin`].
    pub unsafe extern "C" fn created(context: *mut c_void, status: NTSTATUS, object: *mut NDK_OBJECT_HEADER) {
        // SAFETY: what is under way keeps its Pending.
        let pending = unsafe { &*context.cast::<Pending>() };
        pending.object.store(object, Ordering::Release);
        pending.complete(status);
    }

    /// NDK_FN_REQUEST_COMPLETION.
    ///
    /// # Safety
    /// `context` is from [`Pending::begin`].
    pub unsafe extern "C" fn requested(context: *mut c_void, status: NTSTATUS) {
        // SAFETY: what is under way keeps its Pending.
        unsafe { &*context.cast::<Pending>() }.complete(status);
    }

    /// NDK_FN_CLOSE_COMPLETION.
    ///
    /// # Safety
    /// `context` is from [`Pending::begin`].
    pub unsafe extern "C" fn closed(context: *mut c_void) {
        // SAFETY: what is under way keeps its Pending.
        unsafe { &*context.cast::<Pending>() }.complete(STATUS_SUCCESS);
    }

    /// NDK_FN_CLOSE_COMPLETION of what nobody waits for: the adapter's close does.
    ///
    /// # Safety
    /// None.
    pub unsafe extern "C" fn closed_unwatched(_context: *mut c_void) {}
}
