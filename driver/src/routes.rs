//! Local addresses and the way to others, by IP Helper, in work items: it wants PASSIVE_LEVEL, and neighbours take seconds.
//!
//! Addresses are read again whenever IP says that one changed. A few workers resolve, so that a neighbour that does not
//! answer holds up neither the others nor all of the system's threads.

mod ip_helper;
mod sockaddr;

use crate::binding::Binding;
use crate::binding::rundown::Rundown;
use crate::kernel::{Block, Guarded, WorkItem};
use core::ffi::c_void;
use core::net::{IpAddr, Ipv4Addr};
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use ndk_provider::platform::{LocalInterface, NextHop, Unresolved};
use ndk_provider::shared::Shared;
use ndk_types::{
    CancelMibChangeNotify2, MIB_NOTIFICATION_TYPE, MIB_UNICASTIPADDRESS_ROW, NDIS_HANDLE, NTSTATUS,
    NotifyUnicastIpAddressChange, STATUS_SUCCESS, abi,
};

/// Addresses of one interface at most; more are not known to RDMA.
const ADDRESSES: usize = 64;
/// Neighbours that are asked at a time.
const WORKERS: usize = 4;
/// Questions that could not even be noted, for want of memory, and still get their answer.
const REFUSED: usize = 256;

/// Who asked.
pub trait Answers: Send + Sync {
    /// The answer to [`Routes::resolve`], once. PASSIVE_LEVEL.
    fn resolved(&self, token: u64, answer: Result<NextHop, Unresolved>);
}

/// The addresses an interface has.
#[derive(Clone, Copy)]
pub struct Addresses {
    list: [IpAddr; ADDRESSES],
    count: usize,
}

impl Addresses {
    /// No address.
    pub const fn none() -> Self {
        Self { list: [IpAddr::V4(Ipv4Addr::UNSPECIFIED); ADDRESSES], count: 0 }
    }

    /// One more, while there is room.
    pub fn add(&mut self, address: IpAddr) {
        if let Some(place) = self.list.get_mut(self.count) {
            *place = address;
            self.count = self.count.saturating_add(1);
        }
    }

    /// Whether the interface has it.
    pub fn has(&self, address: IpAddr) -> bool {
        self.list.iter().take(self.count).any(|known| *known == address)
    }
}

/// A question.
struct Question {
    local: IpAddr,
    remote: IpAddr,
    token: u64,
    next: *mut Question,
}

/// What is to be done.
struct Work {
    /// Read the addresses.
    refresh: bool,
    first: *mut Question,
    last: *mut Question,
    refused: [u64; REFUSED],
    refusals: usize,
}
// SAFETY: the list owns the questions on it.
unsafe impl Send for Work {}

enum Task {
    Refresh,
    Refuse(u64),
    Resolve(Block<Question>),
}

struct Worker {
    item: WorkItem,
    busy: AtomicBool,
    routes: AtomicPtr<Routes>,
}

/// The routes of one virtual miniport.
pub struct Routes {
    binding: Shared<Binding>,
    luid: u64,
    mtu: u32,
    addresses: Guarded<Addresses>,
    work: Guarded<Work>,
    workers: [Worker; WORKERS],
    /// Workers that are queued or run.
    running: Rundown,
    answers: Guarded<Option<&'static dyn Answers>>,
    notification: AtomicPtr<c_void>,
}

impl Routes {
    /// Knows nothing yet. `miniport` is the handle of MiniportInitializeEx, `luid` its interface, `mtu` the largest IP packet
    /// it advertises. `None` without memory.
    ///
    /// # Safety
    /// This is dropped before MiniportHaltEx of `miniport` returns.
    pub unsafe fn try_new(miniport: NDIS_HANDLE, luid: u64, mtu: u32, binding: Shared<Binding>) -> Option<Block<Self>> {
        let worker = || {
            // SAFETY: the caller's promise.
            let item = unsafe { WorkItem::try_new(miniport) }?;
            Some(Worker { item, busy: AtomicBool::new(false), routes: AtomicPtr::new(null_mut()) })
        };
        let work = Work { refresh: false, first: null_mut(), last: null_mut(), refused: [0; REFUSED], refusals: 0 };
        let routes = Block::try_new(Self {
            binding,
            luid,
            mtu,
            addresses: Guarded::new(Addresses::none()),
            work: Guarded::new(work),
            workers: [worker()?, worker()?, worker()?, worker()?],
            running: Rundown::try_new()?,
            answers: Guarded::new(None),
            notification: AtomicPtr::new(null_mut()),
        })?;
        for worker in &routes.workers {
            worker.routes.store(routes.as_ptr(), Ordering::Release);
        }
        Some(routes)
    }

    /// Begins to know, and to answer. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// `answers` stays alive until [`Self::stop`] has returned, which is called once after this succeeded.
    pub unsafe fn start(&self, answers: NonNull<dyn Answers>) -> Result<(), NTSTATUS> {
        // SAFETY: the caller's promise.
        let answers: &'static dyn Answers = unsafe { answers.as_ref() };
        self.answers.with(|now| *now = Some(answers));
        self.running.open();
        let own: *mut c_void = core::ptr::from_ref(self).cast_mut().cast();
        let handle = self.notification.as_ptr();
        // SAFETY: NotifyUnicastIpAddressChange: `stop` cancels before this goes; a place for the handle, PASSIVE_LEVEL.
        let status = unsafe { NotifyUnicastIpAddressChange(ip_helper::ANY_FAMILY, Some(changed), own, 0, handle) };
        if status != STATUS_SUCCESS {
            self.running.close_and_wait();
            return Err(status);
        }
        self.refresh();
        Ok(())
    }

    /// No worker runs afterwards, and nobody is answered. PASSIVE_LEVEL.
    pub fn stop(&self) {
        let handle = self.notification.swap(null_mut(), Ordering::AcqRel);
        if !handle.is_null() {
            // SAFETY: CancelMibChangeNotify2: registered, cancelled once, not from the callback; it waits for that.
            unsafe { CancelMibChangeNotify2(handle) };
        }
        self.running.close_and_wait();
        self.answers.with(|now| *now = None);
    }

    /// The interface, if it has that address now. At or below DISPATCH_LEVEL.
    pub fn interface(&self, address: IpAddr) -> Option<LocalInterface> {
        let lower = self.binding.lower();
        let known = self.addresses.with(|addresses| addresses.has(address));
        known.then_some(LocalInterface { mac: lower.mac, ip_mtu: lower.mtu.min(self.mtu) })
    }

    /// Asks for the next hop; [`Answers::resolved`] has the answer, not from inside this call. At or below DISPATCH_LEVEL.
    pub fn resolve(&self, local: IpAddr, remote: IpAddr, token: u64) {
        let question = Block::try_new(Question { local, remote, token, next: null_mut() });
        self.work.with(|work| match question {
            Some(question) => work.ask(question.into_raw()),
            None => work.refuse(token),
        });
        self.kick();
    }

    fn refresh(&self) {
        self.work.with(|work| work.refresh = true);
        self.kick();
    }

    fn next_task(&self) -> Option<Task> {
        self.work.with(Work::take)
    }

    /// Has an idle worker look for work, if one is.
    fn kick(&self) {
        for worker in &self.workers {
            if !worker.busy.swap(true, Ordering::SeqCst) {
                if self.running.enter() {
                    let own: *mut c_void = core::ptr::from_ref(worker).cast_mut().cast();
                    // SAFETY: idle until now, so not queued; `stop` waits for it.
                    unsafe { worker.item.queue(Some(work), own) };
                } else {
                    worker.busy.store(false, Ordering::SeqCst);
                }
                return;
            }
        }
    }

    fn run(&self, task: Task) {
        match task {
            Task::Refresh => {
                // Without memory the old ones hold until the next change.
                if let Some(addresses) = ip_helper::addresses(self.luid) {
                    self.addresses.with(|now| *now = addresses);
                }
            }
            Task::Refuse(token) => self.answer(token, Err(Unresolved::NoResources)),
            Task::Resolve(question) => {
                let found = ip_helper::next_hop(self.luid, question.local, question.remote);
                let ip_mtu = self.binding.lower().mtu.min(self.mtu);
                self.answer(question.token, found.map(|mac| NextHop { mac, vlan_tci: None, ip_mtu }));
            }
        }
    }

    fn answer(&self, token: u64, answer: Result<NextHop, Unresolved>) {
        if let Some(answers) = self.answers.with(|now| *now) {
            answers.resolved(token, answer);
        }
    }
}

impl Drop for Routes {
    fn drop(&mut self) {
        // What came after the last worker has no one to be answered to.
        while self.next_task().is_some() {}
    }
}

impl Work {
    fn ask(&mut self, question: NonNull<Question>) {
        if self.last.is_null() {
            self.first = question.as_ptr();
        } else {
            // SAFETY: on the list, so the list's.
            unsafe { (*self.last).next = question.as_ptr() };
        }
        self.last = question.as_ptr();
    }

    fn refuse(&mut self, token: u64) {
        if let Some(place) = self.refused.get_mut(self.refusals) {
            *place = token;
            self.refusals = self.refusals.saturating_add(1);
        }
    }

    fn take(&mut self) -> Option<Task> {
        if core::mem::take(&mut self.refresh) {
            return Some(Task::Refresh);
        }
        if let Some(last) = self.refusals.checked_sub(1) {
            self.refusals = last;
            return self.refused.get(last).map(|token| Task::Refuse(*token));
        }
        let first = NonNull::new(self.first)?;
        // SAFETY: the list's question, given away by `into_raw`, taken once.
        let question = unsafe { Block::from_raw(first) };
        self.first = question.next;
        if self.first.is_null() {
            self.last = null_mut();
        }
        Some(Task::Resolve(question))
    }
}

abi! {
    /// An address came or went. PASSIVE_LEVEL.
    unsafe extern "C" fn changed(context: *mut c_void, _row: *mut MIB_UNICASTIPADDRESS_ROW, _kind: MIB_NOTIFICATION_TYPE) {
        // SAFETY: what `start` registered; `stop` waits for this.
        if let Some(routes) = unsafe { context.cast::<Routes>().as_ref() } {
            routes.refresh();
        }
    }

    /// A worker. PASSIVE_LEVEL.
    unsafe extern "C" fn work(context: *mut c_void, _item: NDIS_HANDLE) {
        // SAFETY: what `kick` queued; `stop` waits for the end.
        let Some(worker) = (unsafe { context.cast::<Worker>().as_ref() }) else { return };
        // SAFETY: the worker is a part of it.
        let Some(routes) = (unsafe { worker.routes.load(Ordering::Acquire).as_ref() }) else { return };
        loop {
            while let Some(task) = routes.next_task() {
                routes.run(task);
            }
            worker.busy.store(false, Ordering::SeqCst);
            // Work that came after the last look saw this worker busy.
            let more = routes.work.with(|work| work.refresh || work.refusals != 0 || !work.first.is_null());
            if !more || worker.busy.swap(true, Ordering::SeqCst) {
                break;
            }
        }
        routes.running.leave(1);
    }
}
