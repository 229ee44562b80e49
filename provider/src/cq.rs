//! NDK_CQ: completions, arming, notification.
//!
//! Polling and arming go straight to the ring, without a lock. Notification has a lane of its own, so callbacks of one CQ
//! never overlap (CQ-08) and an arm from inside one leads to a later one (CQ-09). No QP lane is inside while it runs.

use crate::adapter::{Adapter, ndk_query_extension};
use crate::cq_ring::{Arm, CqRing, Notification, Notifier, ResizeRefused};
use crate::lane::Lane;
use crate::limits::CQ_DEPTH_MAX;
use crate::object::{self, Borrowed, Kind, Object, Ref};
use crate::platform::{Event, Platform};
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use crate::timers::{Owner, Standing};
use core::ffi::c_void;
use core::marker::PhantomData;
use ndk_types::{
    GROUP_AFFINITY, NDK_ADAPTER, NDK_CQ, NDK_CQ_DISPATCH, NDK_CQ_NOTIFY_ANY, NDK_CQ_NOTIFY_ERRORS,
    NDK_FN_CLOSE_COMPLETION, NDK_FN_CQ_NOTIFICATION_CALLBACK, NDK_FN_CREATE_COMPLETION, NDK_FN_REQUEST_COMPLETION,
    NDK_OBJECT_HEADER, NDK_RESULT, NDK_RESULT_EX, NTSTATUS, NdkObjectTypeCq, STATUS_BUFFER_OVERFLOW,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INTERNAL_ERROR, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER_MIX,
    STATUS_SUCCESS,
};
use roce_engine::time::{Duration, Time};

/// The kind of NDK_CQ.
pub struct Cq<P>(PhantomData<P>);

// SAFETY: NDK_CQ starts with its header (ndkpi.h).
unsafe impl<P: Platform> Kind for Cq<P> {
    type Abi = NDK_CQ;
    type State = CqState<P>;
}

/// What the provider knows of a CQ.
pub struct CqState<P: Platform> {
    pub(crate) adapter: Ref<Adapter<P>>,
    pub(crate) ring: CqRing<Completed>,
    notification: Lane<Notifier>,
    closed: AtomicBool,
    /// {interval in µs, count}; see `Moderation`.
    moderation: AtomicU64,
    /// When the oldest completion that moderation holds back came; `u64::MAX` for none.
    held_since: AtomicU64,
    callback: NDK_FN_CQ_NOTIFICATION_CALLBACK,
    context: Context,
    slot: u32,
    generation: u32,
    pub(crate) standing: Standing,
}

/// A consumer's context: returned, never looked at.
#[derive(Clone, Copy)]
pub(crate) struct Context(pub(crate) *mut c_void);
// SAFETY: it is a number to us (NDKPI: contexts are returned unmodified, COM-17).
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

/// A completion as it waits in the ring: already what the consumer will get.
#[derive(Clone, Copy)]
pub(crate) struct Completed(pub(crate) NDK_RESULT_EX);
// SAFETY: its pointers are the consumer's contexts, which are numbers to us (COM-17).
unsafe impl Send for Completed {}

/// Interrupt moderation (CQ-33 to CQ-40), packed into one word so that it changes at once.
#[derive(Clone, Copy)]
struct Moderation {
    interval_us: u32,
    count: u32,
}

impl Moderation {
    /// None: every completion may notify (CQ-37).
    const NONE: Self = Self { interval_us: 0, count: 0 };

    const fn pack(self) -> u64 {
        (self.interval_us as u64) << 32 | self.count as u64
    }

    const fn unpack(word: u64) -> Self {
        Self { interval_us: (word >> 32) as u32, count: word as u32 }
    }

    /// CQ-34: interval 0, or count 0 or 1, disables it.
    const fn is_off(self) -> bool {
        self.interval_us == 0 || self.count <= 1
    }

    /// Whether `fresh` completions, the oldest `waited` ago, are enough.
    fn is_due(self, fresh: u64, waited: Duration) -> bool {
        let by_count = self.count != u32::MAX && fresh >= u64::from(self.count);
        let by_time = self.interval_us != u32::MAX && waited >= Duration::from_micros(u64::from(self.interval_us));
        self.is_off() || by_count || by_time
    }
}

/// Looks whether the CQ's callback is due and calls it. The caller is in no lane of a queue pair.
pub(crate) fn notify<P: Platform>(cq: &Ref<Cq<P>>) {
    // The callback may close the CQ: keep it until the lane is left.
    let cq = cq.clone();
    cq.notification.kick(|notifier| {
        while !cq.closed.load(Ordering::Acquire)
            && let Some(notification) = take_due(&cq, notifier)
        {
            let status = match notification {
                Notification::Completions => STATUS_SUCCESS,
                Notification::Overrun => STATUS_BUFFER_OVERFLOW,
                Notification::Failed => STATUS_INTERNAL_ERROR,
            };
            if let Some(callback) = cq.callback {
                // SAFETY: NDKPI cq_notification_callback: callable at <= DISPATCH_LEVEL until the close completes; the
                // reference above keeps it from completing.
                unsafe { callback(cq.context.0, status) };
            }
        }
    });
}

/// The notification that is due; one that moderation holds back gets a timer.
fn take_due<P: Platform>(cq: &Ref<Cq<P>>, notifier: &mut Notifier) -> Option<Notification> {
    let moderation = Moderation::unpack(cq.moderation.load(Ordering::Acquire));
    if moderation.is_off() {
        return notifier.take_notification(&cq.ring);
    }
    let port = &cq.adapter.port;
    let now = port.platform.now();
    let since = cq.held_since.fetch_min(now.as_nanos(), Ordering::AcqRel).min(now.as_nanos());
    let waited = now.since(Time::from_nanos(since));
    let due = notifier.take_notification_if(&cq.ring, |fresh| moderation.is_due(fresh, waited));
    if due.is_some() || cq.ring.unread() == 0 || !cq.ring.is_armed() {
        // Nothing is held back: told, read, or nobody asked. An arm looks again.
        cq.held_since.store(u64::MAX, Ordering::Release);
    } else if moderation.interval_us != u32::MAX {
        let at = Time::from_nanos(since).after(Duration::from_micros(u64::from(moderation.interval_us)));
        port.enter_timer(Owner::CompletionQueue(cq.slot), at, &cq.standing);
    }
    due
}

/// The CQ died: it is counted and logged, told, and its queue pairs follow (T-08).
pub(crate) fn overrun<P: Platform>(cq: &CqState<P>) {
    let port = &cq.adapter.port;
    port.counters.cq_error.add(1);
    port.platform.log(Event::CompletionQueueOverrun);
    port.kick_all_later();
}

impl<P: Platform> Cq<P> {
    const DISPATCH: &'static NDK_CQ_DISPATCH = &NDK_CQ_DISPATCH {
        NdkCloseCq: Some(ndk_close_cq::<P>),
        NdkQueryExtension: Some(ndk_query_extension),
        NdkResizeCq: Some(ndk_resize_cq::<P>),
        NdkArmCq: Some(ndk_arm_cq::<P>),
        NdkGetCqResults: Some(ndk_get_cq_results::<P>),
        NdkControlCqInterruptModeration: Some(ndk_control_cq_interrupt_moderation::<P>),
        NdkGetCqResultsEx: Some(ndk_get_cq_results_ex::<P>),
    };

    fn try_create(
        adapter: Ref<Adapter<P>>,
        depth: u32,
        callback: NDK_FN_CQ_NOTIFICATION_CALLBACK,
        context: *mut c_void,
    ) -> Option<Ref<Self>> {
        let port = adapter.port.clone();
        let reserved = port.completion_queues.reserve()?;
        let (slot, generation, version) = (reserved.number(), reserved.generation(), adapter.version);
        let made = CqRing::try_new(depth.max(1)).and_then(|ring| {
            let abi = NDK_CQ { Header: object::header(version, NdkObjectTypeCq), Dispatch: Self::DISPATCH };
            let state = CqState {
                adapter,
                ring,
                notification: Lane::new(Notifier::new()),
                closed: AtomicBool::new(false),
                moderation: AtomicU64::new(Moderation::NONE.pack()),
                held_since: AtomicU64::new(u64::MAX),
                callback,
                context: Context(context),
                slot,
                generation,
                standing: Standing::new(),
            };
            Object::<Self>::try_new(abi, state)
        });
        let Some(cq) = made else {
            port.completion_queues.cancel(reserved);
            return None;
        };
        port.completion_queues.publish(reserved, cq.clone());
        Some(cq)
    }
}

ndk_types::abi! {
    /// NdkCreateCq: CQ-01. At or below DISPATCH_LEVEL; completes inline.
    ///
    /// # Safety
    /// NDKPI create_cq.
    pub(crate) unsafe extern "C" fn ndk_create_cq<P: Platform>(
        adapter: *mut NDK_ADAPTER,
        depth: u32,
        callback: NDK_FN_CQ_NOTIFICATION_CALLBACK,
        context: *mut c_void,
        _affinity: *mut GROUP_AFFINITY,
        _completion: NDK_FN_CREATE_COMPLETION,
        _request_context: *mut c_void,
        cq: *mut *mut NDK_CQ,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open adapter.
        let adapter = unsafe { Borrowed::<Adapter<P>>::from_handle(adapter) };
        if depth > CQ_DEPTH_MAX {
            return STATUS_INVALID_PARAMETER;
        }
        let Some(made) = Cq::<P>::try_create(adapter.counted(), depth, callback, context) else {
            return STATUS_INSUFFICIENT_RESOURCES;
        };
        // SAFETY: NDKPI: the out parameter is writable.
        unsafe { cq.write(made.into_handle()) };
        STATUS_SUCCESS
    }

    /// NdkCloseCq: CQ-42, CQ-43. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_close_cq<P: Platform>(
        cq: *mut NDK_OBJECT_HEADER,
        completion: NDK_FN_CLOSE_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        let handle = cq.cast::<NDK_CQ>();
        let given_back = {
            // SAFETY: NDKPI close_object: a CQ not closed before.
            let cq = unsafe { Borrowed::<Cq<P>>::from_handle(handle) };
            // Whoever is in the lane sees this before it looks for the next notification.
            cq.closed.store(true, Ordering::Release);
            cq.adapter.port.completion_queues.retire(cq.slot, cq.generation)
        };
        drop(given_back);
        // SAFETY: as above, and closed here once.
        unsafe { object::close::<Cq<P>>(handle, completion, context) }
    }

    /// NdkResizeCq: CQ-29, CQ-30. At or below DISPATCH_LEVEL; completes inline.
    unsafe extern "C" fn ndk_resize_cq<P: Platform>(
        cq: *mut NDK_CQ,
        depth: u32,
        _completion: NDK_FN_REQUEST_COMPLETION,
        _context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open CQ.
        let cq = unsafe { Borrowed::<Cq<P>>::from_handle(cq) };
        if depth > CQ_DEPTH_MAX {
            return STATUS_INVALID_PARAMETER;
        }
        match cq.ring.resize(depth.max(1)) {
            Ok(()) => STATUS_SUCCESS,
            Err(ResizeRefused::TooSmall) => STATUS_INVALID_PARAMETER,
            Err(ResizeRefused::NoMemory) => STATUS_INSUFFICIENT_RESOURCES,
        }
    }

    /// NdkArmCq: CQ-03 to CQ-13. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_arm_cq<P: Platform>(cq: *mut NDK_CQ, arm_type: u32) {
        // SAFETY: NDKPI: an open CQ.
        let cq = unsafe { Borrowed::<Cq<P>>::from_handle(cq) };
        let arm = match arm_type {
            NDK_CQ_NOTIFY_ERRORS => Arm::Errors,
            NDK_CQ_NOTIFY_ANY => Arm::Any,
            // Solicited, and what a later version may add: woken too often rather than never.
            _ => Arm::Solicited,
        };
        // SAFETY: NDKPI: polls and arms of one CQ are serialised by the consumer (CQ-28).
        let mut consumer = unsafe { cq.ring.consumer() };
        if consumer.arm(arm) {
            notify(&cq.counted());
        }
    }

    /// NdkGetCqResults: CQ-18 to CQ-20. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_get_cq_results<P: Platform>(
        cq: *mut NDK_CQ,
        results: *mut NDK_RESULT,
        count: u32,
    ) -> u32 {
        // SAFETY: NDKPI: an open CQ.
        let cq = unsafe { Borrowed::<Cq<P>>::from_handle(cq) };
        // SAFETY: NDKPI: polls and arms of one CQ are serialised by the consumer (CQ-28).
        let mut consumer = unsafe { cq.ring.consumer() };
        let mut at = results;
        consumer.poll(count, |entry| {
            let result = NDK_RESULT {
                Status: entry.0.Status,
                BytesTransferred: entry.0.BytesTransferred,
                QPContext: entry.0.QPContext,
                RequestContext: entry.0.RequestContext,
            };
            // SAFETY: NDKPI: room for `count` results, and `poll` gives no more.
            unsafe { at.write(result) };
            at = at.wrapping_add(1);
        })
    }

    /// NdkGetCqResultsEx: CQ-19, CQ-21 to CQ-23. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_get_cq_results_ex<P: Platform>(
        cq: *mut NDK_CQ,
        results: *mut NDK_RESULT_EX,
        count: u32,
    ) -> u32 {
        // SAFETY: NDKPI: an open CQ.
        let cq = unsafe { Borrowed::<Cq<P>>::from_handle(cq) };
        // SAFETY: NDKPI: polls and arms of one CQ are serialised by the consumer (CQ-28).
        let mut consumer = unsafe { cq.ring.consumer() };
        let mut at = results;
        consumer.poll(count, |entry| {
            // SAFETY: NDKPI: room for `count` results, and `poll` gives no more.
            unsafe { at.write(entry.0) };
            at = at.wrapping_add(1);
        })
    }

    /// NdkControlCqInterruptModeration: CQ-32 to CQ-40. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_control_cq_interrupt_moderation<P: Platform>(
        cq: *mut NDK_CQ,
        interval: u32,
        count: u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open CQ.
        let cq = unsafe { Borrowed::<Cq<P>>::from_handle(cq) };
        // CQ-35: a count above the depth bounds nothing.
        let count = if count > cq.ring.depth() { u32::MAX } else { count };
        if interval == u32::MAX && count == u32::MAX {
            return STATUS_INVALID_PARAMETER_MIX;
        }
        cq.moderation.store(Moderation { interval_us: interval, count }.pack(), Ordering::Release);
        // CQ-39: what the old settings held back is judged anew.
        notify(&cq.counted());
        STATUS_SUCCESS
    }
}
