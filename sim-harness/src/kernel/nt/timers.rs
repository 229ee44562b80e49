//! ExAllocateTimer's timers. Without EX_TIMER_HIGH_RESOLUTION one goes off at a clock tick of 15.6 ms, with it at one of 1 ms (W-06).

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::wdk::{
    BOOLEAN, LONGLONG, PEX_TIMER, PEXT_CALLBACK, PEXT_DELETE_PARAMETERS, PEXT_SET_PARAMETERS, PVOID, ULONG,
};
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const HIGH_RESOLUTION: u32 = 4;
/// Clock ticks, in nanoseconds.
const TICK: u64 = 15_625_000;
const FINE_TICK: u64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Timer {
    callback: PEXT_CALLBACK,
    context: usize,
    tick: u64,
    due: Option<u64>,
    /// In nanoseconds; 0 for once.
    period: u64,
}

#[derive(Debug, Default)]
struct List {
    timers: BTreeMap<usize, Timer>,
    next: usize,
    /// The timer whose callback runs.
    running: Option<usize>,
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

    /// Calls back for every timer that is due, in order of time.
    pub(super) fn run(&self, machine: &Arc<Machine>) {
        let now = machine.now();
        loop {
            let mut list = self.list();
            let due = list.timers.iter().filter_map(|(&handle, timer)| Some((timer.due?, handle))).min();
            let Some((at, handle)) = due.filter(|&(at, _)| at <= now) else { return };
            let Some(timer) = list.timers.get_mut(&handle) else { return };
            timer.due = (timer.period > 0).then(|| at + timer.period);
            let Timer { callback, context, .. } = *timer;
            list.running = Some(handle);
            drop(list);
            if let Some(callback) = callback {
                let (handle, context) =
                    (ptr::without_provenance_mut(handle), ptr::with_exposed_provenance_mut(context));
                machine.callback("a timer callback", Irql::Dispatch, || {
                    // SAFETY: the callback's contract: its timer and its context.
                    unsafe { crate::call_image!(callback, handle, context) }
                });
            }
            self.list().running = None;
        }
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        self.list().timers.keys().map(|timer| format!("timer {timer:#x}")).collect()
    }
}

fn missing(machine: &Machine, timer: PEX_TIMER) {
    machine.violation("timer", format!("timer {:#x} is none", timer.addr()));
}

ndk_types::abi! {
    unsafe extern "C" fn ex_allocate_timer(callback: PEXT_CALLBACK, context: PVOID, attributes: ULONG) -> PEX_TIMER {
        let machine = Machine::current();
        let mut list = machine.nt.timers.list();
        list.next += 16;
        let handle = 0x20_0000 + list.next;
        let tick = if attributes & HIGH_RESOLUTION != 0 { FINE_TICK } else { TICK };
        let timer = Timer { callback, context: context.expose_provenance(), tick, due: None, period: 0 };
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
        let at = if due <= 0 { now + due.unsigned_abs() * 100 } else { due.unsigned_abs() * 100 };
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
            (list.timers.remove(&handle), list.running == Some(handle))
        };
        let Some(gone) = gone else {
            missing(&machine, timer);
            return 0;
        };
        if wait != 0 && running {
            let owner = machine.clone();
            machine.wait("a timer callback", None, move || owner.nt.timers.list().running != Some(handle));
        }
        BOOLEAN::from(gone.due.is_some())
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        ExAllocateTimer <= Dispatch = ex_allocate_timer,
        ExSetTimer <= Dispatch = ex_set_timer,
        ExCancelTimer <= Dispatch = ex_cancel_timer,
        ExDeleteTimer <= Dispatch = ex_delete_timer,
    }
}
