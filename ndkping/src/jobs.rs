//! The jobs of the driver: started by requests, stopped by requests, closed handles and unload, and joined before their threads'
//! code goes.

use crate::client;
use crate::entry::{Driver, driver};
use crate::ioctl::{AdapterReport, QueryAdapter};
use crate::irp::Pended;
use crate::job::{Job, Task};
use crate::kernel::{Block, Guarded, Thread, sleep_milliseconds};
use crate::ndk::Adapter;
use crate::server;
use core::ffi::c_void;
use core::ptr::NonNull;
use ndk_types::{NTSTATUS, STATUS_CANCELLED, STATUS_DEVICE_NOT_READY, STATUS_INSUFFICIENT_RESOURCES, STATUS_PENDING};
use wdk_sys::PIRP;
use wdk_sys::ntddk::PsTerminateSystemThread;

/// Jobs at once.
const PLACES: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// Somebody starts it, or joins it.
    Claimed,
    Running,
    /// It has nothing more to do; its thread is about to end.
    Ended,
}

struct Place {
    state: State,
    job: *const Job,
    thread: Option<Thread>,
}

// SAFETY: the job pointer is followed under the lock alone, and taken out under it before the job is freed.
unsafe impl Send for Place {}

/// See the module's text.
pub struct Jobs(Guarded<[Place; PLACES]>);

impl Jobs {
    /// None.
    pub const fn none() -> Self {
        let none = [const { Place { state: State::Free, job: core::ptr::null(), thread: None } }; PLACES];
        Self(Guarded::new(none))
    }

    /// Starts a job for a request. `Ok` is STATUS_PENDING: the request is the job's. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// `irp` is a device control that this driver holds.
    pub unsafe fn start(&self, task: Task, file: *mut c_void, irp: PIRP) -> Result<NTSTATUS, NTSTATUS> {
        let place = self.claim().ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        let Some(job) = Job::try_new(task, place, file) else {
            self.set(place, |place| place.state = State::Free);
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        };
        let job = job.into_raw();
        // SAFETY: the job lives until its thread frees it, after it has completed the request.
        let (pended, cancelled) = unsafe { Pended::new(irp, job.as_ptr().cast_const()) };
        // SAFETY: as above: no thread yet.
        unsafe { job.as_ref() }.pend(pended, cancelled);
        self.set(place, |place| {
            place.state = State::Running;
            place.job = job.as_ptr().cast_const();
        });
        // SAFETY: the thread's routine takes the job over.
        match unsafe { Thread::start(Some(run), job.as_ptr().cast()) } {
            Ok(thread) => self.set(place, |place| place.thread = thread),
            Err(status) => {
                self.set(place, |place| place.job = core::ptr::null());
                // SAFETY: no thread was started: the job is still ours.
                let job = unsafe { Block::from_raw(job) };
                job.refuse(status);
                drop(job);
                self.set(place, |place| place.state = State::Free);
            }
        }
        Ok(STATUS_PENDING)
    }

    /// A free place, or one whose job has ended.
    fn claim(&self) -> Option<usize> {
        let (place, thread) = self.0.with(|places| {
            let is_idle =
                |place: &Place| place.state == State::Free || (place.state == State::Ended && place.thread.is_some());
            let at = places.iter().position(is_idle)?;
            let place = places.get_mut(at)?;
            place.state = State::Claimed;
            Some((at, place.thread.take()))
        })?;
        if let Some(thread) = thread {
            thread.join();
        }
        Some(place)
    }

    fn set(&self, place: usize, change: impl FnOnce(&mut Place)) {
        self.0.with(|places| places.get_mut(place).map(change));
    }

    /// Calls `act` with every job, under the lock.
    fn each(&self, mut act: impl FnMut(&Job)) {
        self.0.with(|places| {
            for place in places.iter() {
                // SAFETY: taken out under the lock before the job is freed.
                if let Some(job) = unsafe { place.job.as_ref() } {
                    act(job);
                }
            }
        });
    }

    /// Jobs that have not ended.
    pub fn running(&self) -> u32 {
        let mut running = 0;
        self.each(|_| running += 1);
        running
    }

    /// Asks every job to end. At or below DISPATCH_LEVEL.
    pub fn stop_all(&self) {
        self.each(Job::stop);
    }

    /// Asks the jobs to end whose requests came through this file, but for listeners, which nobody waits for.
    pub fn stop_those_of(&self, file: *mut c_void) {
        self.each(|job| {
            if job.file == file && !matches!(job.task, Task::Listen(_)) {
                job.stop();
            }
        });
    }

    /// Waits until every job that was running has ended, and its thread with it. PASSIVE_LEVEL.
    pub fn join_all(&self) {
        for at in 0..PLACES {
            self.join(at);
        }
    }

    fn join(&self, at: usize) {
        loop {
            let (state, thread) = self.0.with(|places| {
                places.get_mut(at).map_or((State::Free, None), |place| (place.state, place.thread.take()))
            });
            match (state, thread) {
                (State::Free | State::Claimed, _) => return,
                (_, Some(thread)) => {
                    thread.join();
                    return self.set(at, |place| place.state = State::Free);
                }
                // Its thread is being started, or the system gave no reference on it.
                (State::Running, None) => sleep_milliseconds(1),
                (State::Ended, None) => {
                    sleep_milliseconds(1);
                    return self.set(at, |place| place.state = State::Free);
                }
            }
        }
    }
}

/// The thread of a job. PASSIVE_LEVEL.
unsafe extern "C" fn run(context: *mut c_void) {
    if let Some(job) = NonNull::new(context.cast::<Job>()) {
        // SAFETY: `Jobs::start` gave the job to this thread.
        let job = unsafe { Block::from_raw(job) };
        let outcome = driver().ok_or(STATUS_DEVICE_NOT_READY).and_then(|driver| carry_out(&job, driver));
        if let Err(status) = outcome {
            job.refuse(status);
        }
        let place = job.place;
        if let Some(driver) = driver() {
            driver.jobs.set(place, |place| place.job = core::ptr::null());
            drop(job);
            driver.jobs.set(place, |place| place.state = State::Ended);
        }
    }
    // SAFETY: PsTerminateSystemThread: on a system thread of ours.
    let _ = unsafe { PsTerminateSystemThread(0) };
}

/// Does what the job is for under an adapter of its own; every callback has returned when this does.
fn carry_out(job: &Job, driver: &Driver) -> Result<(), NTSTATUS> {
    match job.task {
        Task::Query(wanted) => {
            let report = under_adapter(job, driver, wanted.interface, |adapter| query(adapter, wanted))?;
            job.answer(report);
        }
        Task::Listen(wanted) => {
            under_adapter(job, driver, wanted.interface, |adapter| server::serve(job, adapter, &wanted))?;
        }
        Task::Ping(wanted) => {
            let report = under_adapter(job, driver, wanted.interface, |adapter| client::ping(job, adapter, &wanted))?;
            job.answer(report);
        }
        Task::Bandwidth(wanted) => {
            let report =
                under_adapter(job, driver, wanted.interface, |adapter| client::bandwidth(job, adapter, &wanted))?;
            job.answer(report);
        }
    }
    Ok(())
}

fn under_adapter<R>(
    job: &Job,
    driver: &Driver,
    interface: u32,
    work: impl FnOnce(&Adapter) -> Result<R, NTSTATUS>,
) -> Result<R, NTSTATUS> {
    if job.is_stopping() {
        return Err(STATUS_CANCELLED);
    }
    let captured = driver.registration.capture()?;
    let adapter = captured.open(interface)?;
    let outcome = work(&adapter);
    captured.close(adapter);
    outcome
}

fn query(adapter: &Adapter, _wanted: QueryAdapter) -> Result<AdapterReport, NTSTATUS> {
    let info = adapter.info()?;
    Ok(AdapterReport {
        major: info.Version.Major,
        minor: info.Version.Minor,
        vendor_id: info.VendorId,
        device_id: info.DeviceId,
        technology: info.RdmaTechnology.cast_unsigned(),
        max_registration_size: info.MaxRegistrationSize as u64,
        max_window_size: info.MaxWindowSize as u64,
        frmr_page_count: info.FRMRPageCount,
        max_initiator_request_sge: info.MaxInitiatorRequestSge,
        max_receive_request_sge: info.MaxReceiveRequestSge,
        max_read_request_sge: info.MaxReadRequestSge,
        max_transfer_length: info.MaxTransferLength,
        max_inline_data_size: info.MaxInlineDataSize,
        max_inbound_read_limit: info.MaxInboundReadLimit,
        max_outbound_read_limit: info.MaxOutboundReadLimit,
        max_receive_queue_depth: info.MaxReceiveQueueDepth,
        max_initiator_queue_depth: info.MaxInitiatorQueueDepth,
        max_srq_depth: info.MaxSrqDepth,
        max_cq_depth: info.MaxCqDepth,
        large_request_threshold: info.LargeRequestThreshold,
        max_caller_data: info.MaxCallerData,
        max_callee_data: info.MaxCalleeData,
        adapter_flags: info.AdapterFlags,
    })
}
