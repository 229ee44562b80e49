//! One end of a connection: its NDK objects and memory, and the lane in which its requests are posted and its CQ is emptied.
//!
//! The job's thread makes the objects, connects, waits and takes everything down. In between only whoever is inside the lane
//! touches queue pair and CQ: the CQ's callback at or below DISPATCH_LEVEL, or the thread. Taking down starts with the lane's
//! end, so nobody posts on what is being closed.

use crate::job::{Job, Pending};
use crate::kernel::{Block, Buffer};
use crate::lane::Lane;
use crate::ndk::{Adapter, Completions, Connector, Depths, Domain, Piece, QueuePair, Region};
use crate::pattern;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use ndk_types::{
    NDK_FN_CQ_NOTIFICATION_CALLBACK, NDK_FN_DISCONNECT_EVENT_CALLBACK, NDK_RESULT, NTSTATUS,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use wdk_sys::NT_SUCCESS;

/// Completions that one turn takes before it leaves the processor to others and goes on in the job's thread.
const BUDGET: usize = 256;
/// Completions taken at once.
const BATCH: usize = 16;

/// What happens inside the lane.
pub trait Core: Sized + 'static {
    /// A request completed well. `number` is its context.
    fn completed(&mut self, queue: &Queue, number: usize, bytes: u32) -> Result<(), NTSTATUS>;
    /// Posts what may be posted; true when the run is over.
    fn refill(&mut self, queue: &Queue) -> Result<bool, NTSTATUS>;
}

/// Memory that is registered as a whole.
pub struct Registered {
    region: Region,
    buffer: Buffer,
}

impl Registered {
    /// Registers `buffer`.
    fn try_new(domain: &Domain, buffer: Buffer, flags: u32, job: &Job, pending: &Pending) -> Result<Self, NTSTATUS> {
        let region = domain.create_region(pending, |status| job.settle(pending, status))?;
        let status = job.settle(pending, region.register(&buffer, flags, pending));
        if NT_SUCCESS(status) {
            return Ok(Self { region, buffer });
        }
        job.settle(pending, region.close(pending));
        Err(status)
    }

    fn close(self, job: &Job, pending: &Pending) {
        job.settle(pending, self.region.deregister(pending));
        job.settle(pending, self.region.close(pending));
    }

    /// `length` bytes from `offset` on.
    pub fn piece(&self, offset: u32, length: u32) -> Result<Piece, NTSTATUS> {
        let end = offset.checked_add(length).ok_or(STATUS_INVALID_PARAMETER)?;
        if end > self.buffer.length() {
            return Err(STATUS_INVALID_PARAMETER);
        }
        // SAFETY: inside the buffer, as just seen.
        let base = unsafe { self.buffer.base().add(offset as usize) };
        Ok(Piece { base, length, token: self.region.local_token() })
    }

    /// The address and token by which the other side names the first byte.
    pub fn remote(&self) -> (u64, u32) {
        (self.buffer.base().as_ptr().addr() as u64, self.region.remote_token())
    }

    /// Fills a piece with the pattern.
    pub fn fill(&self, piece: Piece, salt: u64) {
        for (place, byte) in pattern::bytes(piece.length as usize, salt).enumerate() {
            // SAFETY: inside the piece; no request on it is under way.
            unsafe { piece.at(place).write_volatile(byte) };
        }
    }

    /// Whether a piece holds the pattern.
    pub fn matches(&self, piece: Piece, salt: u64) -> bool {
        pattern::bytes(piece.length as usize, salt).enumerate().all(|(place, byte)| {
            // SAFETY: inside the piece; no request on it is under way.
            let there = unsafe { piece.at(place).read_volatile() };
            there == byte
        })
    }

    /// Copies bytes to the beginning of a piece.
    pub fn write(&self, piece: Piece, bytes: &[u8]) {
        for (place, &byte) in bytes.iter().enumerate().take(piece.length as usize) {
            // SAFETY: inside the piece; no request on it is under way.
            unsafe { piece.at(place).write_volatile(byte) };
        }
    }

    /// The beginning of a piece.
    pub fn read<const N: usize>(&self, piece: Piece) -> [u8; N] {
        let mut bytes = [0; N];
        for (place, byte) in bytes.iter_mut().enumerate().take(piece.length as usize) {
            // SAFETY: inside the piece; no request on it is under way.
            *byte = unsafe { piece.at(place).read_volatile() };
        }
        bytes
    }
}

/// What the lane works with.
pub struct Queue {
    /// Where requests are posted.
    pub qp: QueuePair,
    cq: Completions,
    /// Room for messages; the other side cannot reach it.
    pub messages: Registered,
    /// Room for what is read and written.
    pub data: Registered,
}

/// How an endpoint is made.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Depths of the queue pair.
    pub depths: Depths,
    /// Bytes for messages.
    pub messages: u32,
    /// Bytes for data.
    pub data: u32,
    /// NDK_MR_FLAG_* of the data.
    pub data_flags: u32,
    /// Whether turns happen on the job's thread alone: they look at every byte.
    pub passive: bool,
}

/// See the module's text.
pub struct Endpoint<C> {
    job: *const Job,
    lane: Lane,
    core: UnsafeCell<C>,
    queue: UnsafeCell<Option<Queue>>,
    domain: UnsafeCell<Option<Domain>>,
    passive: bool,
    /// For requests, and for closes while a request may be under way.
    pub request: Pending,
    pub(crate) closing: Pending,
    yielded: AtomicBool,
    over: AtomicBool,
    disconnected: AtomicBool,
    failure: AtomicI32,
    progress: AtomicU64,
}

// SAFETY: core and queue are touched inside the lane, or by the job's thread while nobody can be inside; the rest is atomic.
unsafe impl<C: Send> Sync for Endpoint<C> {}

impl<C: Core> Endpoint<C> {
    /// Makes the objects. On the job's thread; nobody enters the lane before [`Endpoint::kick`].
    pub fn try_new(job: &Job, adapter: &Adapter, shape: Shape, core: C) -> Result<Block<Self>, NTSTATUS> {
        let endpoint = Block::try_new(Self {
            job,
            lane: Lane::default(),
            core: UnsafeCell::new(core),
            queue: UnsafeCell::new(None),
            domain: UnsafeCell::new(None),
            passive: shape.passive,
            request: Pending::new(job),
            closing: Pending::new(job),
            yielded: AtomicBool::new(false),
            over: AtomicBool::new(false),
            disconnected: AtomicBool::new(false),
            failure: AtomicI32::new(STATUS_SUCCESS),
            progress: AtomicU64::new(0),
        })
        .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        let pending = &endpoint.request;
        let domain = adapter.create_domain(pending, |status| job.settle(pending, status))?;
        match endpoint.make_queue(adapter, &domain, shape) {
            Ok(queue) => {
                // SAFETY: nobody is in the lane yet.
                unsafe { endpoint.queue.get().write(Some(queue)) };
                // SAFETY: as above.
                unsafe { endpoint.domain.get().write(Some(domain)) };
                Ok(endpoint)
            }
            Err(status) => {
                job.settle(pending, domain.close(pending));
                Err(status)
            }
        }
    }

    /// CQ, queue pair and memory; on failure what was made is closed, the last first.
    fn make_queue(&self, adapter: &Adapter, domain: &Domain, shape: Shape) -> Result<Queue, NTSTATUS> {
        let (job, pending) = (self.job(), &self.request);
        let settle = |status| job.settle(pending, status);
        let buffers = Buffer::try_new(shape.messages).zip(Buffer::try_new(shape.data));
        let (messages, data) = buffers.ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        let messages = Registered::try_new(domain, messages, ndk_types::NDK_MR_FLAG_ALLOW_LOCAL_WRITE, job, pending)?;
        let data = match Registered::try_new(domain, data, shape.data_flags, job, pending) {
            Ok(data) => data,
            Err(status) => {
                messages.close(job, pending);
                return Err(status);
            }
        };
        let notify: NDK_FN_CQ_NOTIFICATION_CALLBACK = Some(notified::<C>);
        let depth = shape.depths.receive.saturating_add(shape.depths.initiator);
        let made = adapter.create_completions(depth, (notify, self.context()), pending, settle);
        let made = made.and_then(|cq| match domain.create_queue_pair(&cq, shape.depths, pending, settle) {
            Ok(qp) => Ok((cq, qp)),
            Err(status) => {
                job.settle(pending, cq.close(pending));
                Err(status)
            }
        });
        match made {
            Ok((cq, qp)) => Ok(Queue { qp, cq, messages, data }),
            Err(status) => {
                data.close(job, pending);
                messages.close(job, pending);
                Err(status)
            }
        }
    }

    /// The job it belongs to.
    pub fn job(&self) -> &Job {
        // SAFETY: the job outlives its endpoints.
        unsafe { &*self.job }
    }

    /// Itself, as callbacks get it.
    pub fn context(&self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// For accept and complete-connect.
    pub fn on_disconnect(&self) -> crate::ndk::OnDisconnect {
        let event: NDK_FN_DISCONNECT_EVENT_CALLBACK = Some(disconnected::<C>);
        (event, self.context())
    }

    /// Works with the queue outside the lane: before the first kick, on the job's thread.
    pub fn prepare<R>(&self, work: impl FnOnce(&mut C, &Queue) -> Result<R, NTSTATUS>) -> Result<R, NTSTATUS> {
        // SAFETY: nobody is in the lane: it has not been entered, or what was entered is over and not armed.
        let core = unsafe { &mut *self.core.get() };
        // SAFETY: as above.
        let queue = unsafe { &*self.queue.get() };
        work(core, queue.as_ref().ok_or(STATUS_INVALID_PARAMETER)?)
    }

    /// Starts a new run after the last is over: changes the core and kicks. On the job's thread.
    pub fn restart(&self, change: impl FnOnce(&mut C)) {
        self.over.store(false, Ordering::Release);
        let mut change = Some(change);
        let emptied = self.lane.enter(|| {
            if let Some(change) = change.take() {
                // SAFETY: inside the lane.
                change(unsafe { &mut *self.core.get() });
            }
            self.turn();
        });
        if emptied {
            self.job().wake();
        }
    }

    /// Takes a turn, or has whoever is inside take one more. At or below DISPATCH_LEVEL.
    pub fn kick(&self) {
        if self.lane.enter(|| self.turn()) {
            self.job().wake();
        }
    }

    /// Goes on with what a callback left to the thread. On the job's thread.
    pub fn go_on(&self) {
        if self.yielded.swap(false, Ordering::AcqRel) {
            self.kick();
        }
    }

    /// Whether the run is over.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Whether the other side went.
    pub fn is_disconnected(&self) -> bool {
        self.disconnected.load(Ordering::Acquire)
    }

    /// What went wrong first.
    pub fn failure(&self) -> Result<(), NTSTATUS> {
        let status = self.failure.load(Ordering::Acquire);
        if status == STATUS_SUCCESS { Ok(()) } else { Err(status) }
    }

    /// A number that changes as long as requests complete.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Acquire)
    }

    /// Empties the CQ, posts what may be posted, and arms: unless the run is over, has failed, or has taken long enough.
    fn turn(&self) {
        // SAFETY: inside the lane.
        let core = unsafe { &mut *self.core.get() };
        // SAFETY: inside the lane; written before the first turn.
        let Some(queue) = (unsafe { &*self.queue.get() }) else { return };
        if self.is_over() {
            return;
        }
        let (mut room, mut taken) = ([EMPTY; BATCH], 0);
        loop {
            let results = queue.cq.poll(&mut room);
            let outcome = results.iter().try_for_each(|result| {
                let number = result.RequestContext.addr();
                if NT_SUCCESS(result.Status) {
                    core.completed(queue, number, result.BytesTransferred)
                } else {
                    Err(result.Status)
                }
            });
            match outcome.and_then(|()| core.refill(queue)) {
                Err(status) => return self.fail(status),
                Ok(true) => return self.end_run(),
                Ok(false) => {}
            }
            if results.is_empty() {
                break;
            }
            self.progress.fetch_add(1, Ordering::AcqRel);
            taken += results.len();
            if taken >= BUDGET {
                return self.leave_to_thread();
            }
        }
        // A completion that came after the last look calls back at once (CQ-05).
        queue.cq.arm();
    }

    fn end_run(&self) {
        self.over.store(true, Ordering::Release);
        self.job().wake();
    }

    fn fail(&self, status: NTSTATUS) {
        let (before, order) = (STATUS_SUCCESS, Ordering::AcqRel);
        let _ = self.failure.compare_exchange(before, status, order, Ordering::Relaxed);
        self.end_run();
    }

    fn leave_to_thread(&self) {
        self.yielded.store(true, Ordering::Release);
        self.job().wake();
    }

    /// Nobody is in the lane from here on. On the job's thread.
    pub fn end_lane(&self) {
        self.lane.end();
        while !self.lane.is_empty() {
            let _ = self.job().sleep(0);
        }
    }

    /// Closes everything, successors before antecedents. The connector is disconnected, or never was connected.
    pub fn close(&self, connector: Option<Connector>) {
        self.end_lane();
        let (job, pending) = (self.job(), &self.closing);
        if let Some(connector) = connector {
            job.settle(pending, connector.close(pending));
        }
        // SAFETY: nobody is in the lane any more.
        let queue = unsafe { &mut *self.queue.get() }.take();
        if let Some(Queue { qp, cq, messages, data }) = queue {
            qp.flush();
            job.settle(pending, qp.close(pending));
            job.settle(pending, cq.close(pending));
            data.close(job, pending);
            messages.close(job, pending);
        }
        // SAFETY: as above.
        if let Some(domain) = unsafe { &mut *self.domain.get() }.take() {
            job.settle(pending, domain.close(pending));
        }
    }
}

const EMPTY: NDK_RESULT =
    NDK_RESULT { Status: 0, BytesTransferred: 0, QPContext: null_mut(), RequestContext: null_mut() };

ndk_types::abi! {
    /// NDK_FN_CQ_NOTIFICATION_CALLBACK.
    unsafe extern "C" fn notified<C: Core>(context: *mut c_void, status: NTSTATUS) {
        // SAFETY: the CQ's context is its endpoint, which is freed after the CQ is closed.
        let endpoint = unsafe { &*context.cast::<Endpoint<C>>() };
        if !NT_SUCCESS(status) {
            endpoint.fail(status);
        } else if endpoint.passive {
            endpoint.leave_to_thread();
        } else {
            endpoint.kick();
        }
    }

    /// NDK_FN_DISCONNECT_EVENT_CALLBACK.
    unsafe extern "C" fn disconnected<C: Core>(context: *mut c_void) {
        // SAFETY: the connector's context is its endpoint, which is freed after the connector is closed.
        let endpoint = unsafe { &*context.cast::<Endpoint<C>>() };
        endpoint.disconnected.store(true, Ordering::Release);
        endpoint.job().wake();
    }
}
