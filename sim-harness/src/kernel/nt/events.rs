//! Events, and threads that let time pass.

use super::waits::{checked, initialize, set_state, state};
use super::{threads, time};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::wdk::{BOOLEAN, EVENT_TYPE, KPRIORITY, KPROCESSOR_MODE, LONG, NTSTATUS, PLARGE_INTEGER, PRKEVENT};
use ndk_types::STATUS_SUCCESS;

ndk_types::abi! {
    unsafe extern "C" fn ke_initialize_event(event: PRKEVENT, kind: EVENT_TYPE, state: BOOLEAN) {
        initialize(event.cast(), kind, i32::from(state));
    }

    unsafe extern "C" fn ke_set_event(event: PRKEVENT, _increment: KPRIORITY, wait: BOOLEAN) -> LONG {
        if wait != 0 && irql::current() > Irql::Apc {
            Machine::current().violation("irql", "KeSetEvent with Wait above APC_LEVEL");
        }
        if checked(event.cast(), "event") { set_state(event.cast(), 1) } else { 0 }
    }

    unsafe extern "C" fn ke_clear_event(event: PRKEVENT) {
        if checked(event.cast(), "event") {
            set_state(event.cast(), 0);
        }
    }

    unsafe extern "C" fn ke_reset_event(event: PRKEVENT) -> LONG {
        if checked(event.cast(), "event") { set_state(event.cast(), 0) } else { 0 }
    }

    unsafe extern "C" fn ke_read_state_event(event: PRKEVENT) -> LONG {
        if checked(event.cast(), "event") { state(event.cast()) } else { 0 }
    }

    unsafe extern "C" fn ke_delay_execution_thread(
        _mode: KPROCESSOR_MODE,
        _alertable: BOOLEAN,
        time: PLARGE_INTEGER,
    ) -> NTSTATUS {
        let machine = Machine::current();
        let until = time::deadline(time, machine.now()).map(|deadline| deadline.saturating_sub(machine.now()));
        let _ = machine.wait("time to pass", until, || false);
        let over = machine.sched.is_abandoned();
        drop(machine);
        if over {
            threads::leave_for_good();
        }
        STATUS_SUCCESS
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        KeInitializeEvent <= High = ke_initialize_event,
        KeSetEvent <= Dispatch = ke_set_event,
        KeClearEvent <= Dispatch = ke_clear_event,
        KeResetEvent <= Dispatch = ke_reset_event,
        KeReadStateEvent <= Dispatch = ke_read_state_event,
        KeDelayExecutionThread <= Apc = ke_delay_execution_thread,
    }
}
