//! Timers: those of ExAllocateTimer, and timer objects (KTIMER), which are waited for or queue a DPC. Without
//! EX_TIMER_HIGH_RESOLUTION one goes off at a clock tick of 15.6 ms, with it at one of 1 ms (W-06).

use super::deferred;
use super::time::{TICK, instant};
use super::waits::{self, kind};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::wdk::{
    BOOLEAN, LARGE_INTEGER, LONG, LONGLONG, PEX_TIMER, PEXT_CALLBACK, PEXT_DELETE_PARAMETERS, PEXT_SET_PARAMETERS,
    PKDPC, PKTIMER, PVOID, TIMER_TYPE, ULONG,
};
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const HIGH_RESOLUTION: u32 = 4;
/// Clock ticks, in nanoseconds.
const FINE_TICK: u64 = 1_000_000;

/// What a timer does when it goes off.
#[derive(Clone, Copy, Debug)]
enum Action {
    Callback(PEXT_CALLBACK, usize),
    /// A timer object is signaled, and its DPC is queued.
    Object(usize),
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    action: Action,
    tick: u64,
    due: Option<u64>,
    /// In nanoseconds; 0 for once.
    period: u64,
}

#[derive(Debug, Default)]
struct List {
    timers: BTreeMap<usize, Timer>,
    next: usize,
    /// The timers whose callbacks run; on several processors one may be there twice.
    running: Vec<usize>,
}

/// The timers of one machine.
#[derive(Debug, Default)]
pub struct Timers(Mutex<List>);

impl Timers {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next goes off.
    pub(super) fn next(&self) -> Option<u64> {
        self.list().timers.values().filter_map(|timer| timer.due).min()
    }

    /// How many are due.
    pub(super) fn due(&self, now: u64) -> usize {
        self.list().timers.values().filter(|timer| timer.due.is_some_and(|due| due <= now)).count()
    }

    /// Calls back for every timer that is due, in order of time.
    pub(super) fn run(&self, machine: &Arc<Machine>) {
        while self.run_one(machine) {}
    }

    /// The same for the first; false when none is due.
    pub(super) fn run_one(&self, machine: &Arc<Machine>) -> bool {
        let now = machine.now();
        let mut list = self.list();
        let due = list.timers.iter().filter_map(|(&handle, timer)| Some((timer.due?, handle))).min();
        let Some((at, handle)) = due.filter(|&(at, _)| at <= now) else { return false };
        let Some(timer) = list.timers.get_mut(&handle) else { return false };
        timer.due = (timer.period > 0).then(|| at + timer.period);
        let Timer { action, due: again, .. } = *timer;
        if matches!(action, Action::Object(_)) && again.is_none() {
            list.timers.remove(&handle);
        }
        list.running.push(handle);
        if let Action::Object(dpc) = action {
            // Behind the lock: whoever cancels the timer may free both objects then.
            waits::set_state(ptr::with_exposed_provenance_mut(handle), 1);
            if dpc != 0 {
                let dpc = ptr::with_exposed_provenance_mut(dpc);
                deferred::queue_dpc(machine, dpc, ptr::null_mut(), ptr::null_mut());
            }
        }
        drop(list);
        if let Action::Callback(Some(callback), context) = action {
            let (handle, context) = (ptr::without_provenance_mut(handle), ptr::with_exposed_provenance_mut(context));
            machine.callback("a timer callback", Irql::Dispatch, || {
                // SAFETY: the callback's contract: its timer and its context.
                unsafe { crate::call_image!(callback, handle, context) }
            });
        }
        let mut list = self.list();
        if let Some(place) = list.running.iter().position(|&running| running == handle) {
            list.running.swap_remove(place);
        }
        drop(list);
        machine.sched.note();
        true
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        self.list().timers.keys().map(|timer| format!("timer {timer:#x}")).collect()
    }
}

fn initialize_object(timer: PKTIMER, kind: i32) {
    let machine = Machine::current();
    if machine.nt.timers.list().timers.remove(&timer.addr()).is_some() {
        machine.violation("timer", format!("timer {:#x} is initialized while it is set", timer.addr()));
    }
    waits::initialize(timer.cast(), kind, 0);
}

fn missing(machine: &Machine, timer: PEX_TIMER) {
    machine.violation("timer", format!("timer {:#x} is none", timer.addr()));
}

/// Sets a timer object; true when it was set already.
fn set_object(timer: PKTIMER, due: LARGE_INTEGER, period: LONG, dpc: PKDPC) -> bool {
    let machine = Machine::current();
    if !waits::checked(timer.cast(), "timer") {
        return false;
    }
    if period < 0 {
        machine.violation("timer", format!("KeSetTimerEx with the period {period}"));
    }
    waits::set_state(timer.cast(), 0);
    // SAFETY: every member of the union is the same 64 bits.
    let at = instant(unsafe { due.QuadPart }, machine.now());
    let timer = timer.expose_provenance();
    let entry = Timer {
        action: Action::Object(dpc.expose_provenance()),
        tick: TICK,
        due: Some(at.next_multiple_of(TICK).max(machine.now() + 1)),
        period: u64::from(period.unsigned_abs()) * 1_000_000,
    };
    machine.nt.timers.list().timers.insert(timer, entry).is_some()
}

ndk_types::abi! {
    unsafe extern "C" fn ke_initialize_timer(timer: PKTIMER) {
        initialize_object(timer, kind::NOTIFICATION_TIMER);
    }

    unsafe extern "C" fn ke_initialize_timer_ex(timer: PKTIMER, kind: TIMER_TYPE) {
        initialize_object(timer, kind::NOTIFICATION_TIMER + kind);
    }

    unsafe extern "C" fn ke_set_timer(timer: PKTIMER, due: LARGE_INTEGER, dpc: PKDPC) -> BOOLEAN {
        BOOLEAN::from(set_object(timer, due, 0, dpc))
    }

    unsafe extern "C" fn ke_set_timer_ex(timer: PKTIMER, due: LARGE_INTEGER, period: LONG, dpc: PKDPC) -> BOOLEAN {
        BOOLEAN::from(set_object(timer, due, period, dpc))
    }

    unsafe extern "C" fn ke_cancel_timer(timer: PKTIMER) -> BOOLEAN {
        let machine = Machine::current();
        if !waits::checked(timer.cast(), "timer") {
            return 0;
        }
        BOOLEAN::from(machine.nt.timers.list().timers.remove(&timer.addr()).is_some())
    }

    unsafe extern "C" fn ke_read_state_timer(timer: PKTIMER) -> BOOLEAN {
        BOOLEAN::from(waits::checked(timer.cast(), "timer") && waits::state(timer.cast()) != 0)
    }

    unsafe extern "C" fn ex_allocate_timer(callback: PEXT_CALLBACK, context: PVOID, attributes: ULONG) -> PEX_TIMER {
        let machine = Machine::current();
        let mut list = machine.nt.timers.list();
        list.next += 16;
        let handle = 0x20_0000 + list.next;
        let tick = if attributes & HIGH_RESOLUTION != 0 { FINE_TICK } else { TICK };
        let action = Action::Callback(callback, context.expose_provenance());
        let timer = Timer { action, tick, due: None, period: 0 };
        list.timers.insert(handle, timer);
        ptr::without_provenance_mut(handle)
    }

    unsafe extern "C" fn ex_set_timer(
        timer: PEX_TIMER,
        due: LONGLONG,
        period: LONGLONG,
        _parameters: PEXT_SET_PARAMETERS,
    ) -> BOOLEAN {
        let machine = Machine::current();
        let now = machine.now();
        let mut list = machine.nt.timers.list();
        let Some(entry) = list.timers.get_mut(&timer.addr()) else {
            drop(list);
            missing(&machine, timer);
            return 0;
        };
        if due > 0 && entry.tick == FINE_TICK {
            machine.violation("W-06", "a high-resolution timer with an absolute time");
        }
        let at = instant(due, now);
        let was_set = entry.due.is_some();
        entry.due = Some(at.next_multiple_of(entry.tick).max(now + 1));
        entry.period = period.unsigned_abs() * 100;
        BOOLEAN::from(was_set)
    }

    unsafe extern "C" fn ex_cancel_timer(timer: PEX_TIMER, _parameters: PVOID) -> BOOLEAN {
        let machine = Machine::current();
        let mut list = machine.nt.timers.list();
        let Some(entry) = list.timers.get_mut(&timer.addr()) else {
            drop(list);
            missing(&machine, timer);
            return 0;
        };
        BOOLEAN::from(entry.due.take().is_some())
    }

    unsafe extern "C" fn ex_delete_timer(
        timer: PEX_TIMER,
        cancel: BOOLEAN,
        wait: BOOLEAN,
        _parameters: PEXT_DELETE_PARAMETERS,
    ) -> BOOLEAN {
        let machine = Machine::current();
        if wait != 0 && (cancel == 0 || irql::current() > Irql::Apc) {
            machine.violation("timer", "ExDeleteTimer that waits needs Cancel, and APC_LEVEL or below");
        }
        let handle = timer.addr();
        let (gone, running) = {
            let mut list = machine.nt.timers.list();
            (list.timers.remove(&handle), list.running.contains(&handle))
        };
        let Some(gone) = gone else {
            missing(&machine, timer);
            return 0;
        };
        if wait != 0 && running {
            let owner = machine.clone();
            machine.wait("a timer callback", None, move || !owner.nt.timers.list().running.contains(&handle));
        }
        BOOLEAN::from(gone.due.is_some())
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        KeInitializeTimer <= Dispatch = ke_initialize_timer,
        KeInitializeTimerEx <= Dispatch = ke_initialize_timer_ex,
        KeSetTimer <= Dispatch = ke_set_timer,
        KeSetTimerEx <= Dispatch = ke_set_timer_ex,
        KeCancelTimer <= Dispatch = ke_cancel_timer,
        KeReadStateTimer <= Dispatch = ke_read_state_timer,
        ExAllocateTimer <= Dispatch = ex_allocate_timer,
        ExSetTimer <= Dispatch = ex_set_timer,
        ExCancelTimer <= Dispatch = ex_cancel_timer,
        ExDeleteTimer <= Dispatch = ex_delete_timer,
    }
}
