//! What the I/O manager calls: opens, closes, and requests, which are looked at here and answered by jobs.

use crate::entry::driver;
use crate::ioctl::{self, Address, Bandwidth, Listen, Ping, VersionReport};
use crate::irp::{self, Control, stack_location};
use crate::job::Task;
use ndk_types::{
    NTSTATUS, STATUS_BUFFER_TOO_SMALL, STATUS_DEVICE_NOT_READY, STATUS_INVALID_BUFFER_SIZE,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use wdk_sys::{PDEVICE_OBJECT, PIRP};

/// A structure that every bit pattern is a value of.
///
/// # Safety
/// Made of integers, without padding.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($name:ident),* $(,)?) => {
        $(
            // SAFETY: integers, sizes asserted where it is defined.
            unsafe impl Plain for ioctl::$name {}
        )*
    };
}

plain!(VersionReport, QueryAdapter, AdapterReport, Listen, Listening, Ping, PingReport, Bandwidth, BandwidthReport);

/// IRP_MJ_CREATE and IRP_MJ_CLOSE: anybody whom the device's security lets may open it.
///
/// # Safety
/// The I/O manager's contract. PASSIVE_LEVEL.
pub unsafe extern "C" fn create_or_close(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: ours until it is completed here.
    unsafe { irp::complete(irp, STATUS_SUCCESS, 0) }
}

/// IRP_MJ_CLEANUP: nobody will hear the answers to what this file asked for.
///
/// # Safety
/// The I/O manager's contract. PASSIVE_LEVEL.
pub unsafe extern "C" fn cleanup(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: ours until it is completed here.
    let stack = unsafe { stack_location(irp) };
    // SAFETY: our own stack location.
    let file = unsafe { (*stack).FileObject };
    if let Some(driver) = driver() {
        driver.jobs.stop_those_of(file.cast());
    }
    // SAFETY: as above.
    unsafe { irp::complete(irp, STATUS_SUCCESS, 0) }
}

/// IRP_MJ_DEVICE_CONTROL.
///
/// # Safety
/// The I/O manager's contract. PASSIVE_LEVEL.
pub unsafe extern "C" fn device_control(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: a device control, ours until it is completed or given to a job.
    let control = unsafe { Control::new(irp) };
    match answer(&control) {
        // SAFETY: ours; from here on the job's.
        Ok(Answer::Job(task)) => unsafe { start(irp, task) },
        // SAFETY: ours until it is completed here.
        Ok(Answer::Done(length)) => unsafe { irp::complete(irp, STATUS_SUCCESS, length) },
        // SAFETY: as above.
        Err(status) => unsafe { irp::complete(irp, status, 0) },
    }
}

/// # Safety
/// `irp` is a device control that this driver holds; it is somebody else's when this returns.
unsafe fn start(irp: PIRP, task: Task) -> NTSTATUS {
    // SAFETY: the caller's request.
    let stack = unsafe { stack_location(irp) };
    // SAFETY: our own stack location.
    let file = unsafe { (*stack).FileObject };
    let refused = match driver() {
        // SAFETY: the caller's request.
        Some(driver) => match unsafe { driver.jobs.start(task, file.cast(), irp) } {
            Ok(pending) => return pending,
            Err(status) => status,
        },
        None => STATUS_DEVICE_NOT_READY,
    };
    // SAFETY: not pended: still ours.
    unsafe { irp::complete(irp, refused, 0) }
}

enum Answer {
    /// A job will give it.
    Job(Task),
    /// It is written, so many bytes.
    Done(usize),
}

fn answer(control: &Control) -> Result<Answer, NTSTATUS> {
    let driver = driver().ok_or(STATUS_DEVICE_NOT_READY)?;
    match control.code {
        ioctl::VERSION => {
            room::<VersionReport>(control)?;
            let running = driver.jobs.running();
            Ok(Answer::Done(control.output(VersionReport { interface: ioctl::INTERFACE_VERSION, running })))
        }
        ioctl::QUERY_ADAPTER => {
            room::<ioctl::AdapterReport>(control)?;
            Ok(Answer::Job(Task::Query(input(control)?)))
        }
        ioctl::LISTEN => {
            room::<ioctl::Listening>(control)?;
            let wanted: Listen = input(control)?;
            known_family(&[wanted.local])?;
            Ok(Answer::Job(Task::Listen(wanted)))
        }
        ioctl::PING => {
            room::<ioctl::PingReport>(control)?;
            Ok(Answer::Job(Task::Ping(check_ping(input(control)?)?)))
        }
        ioctl::BANDWIDTH => {
            room::<ioctl::BandwidthReport>(control)?;
            Ok(Answer::Job(Task::Bandwidth(check_bandwidth(input(control)?)?)))
        }
        ioctl::STOP => {
            driver.jobs.stop_all();
            driver.jobs.join_all();
            Ok(Answer::Done(0))
        }
        _ => Err(STATUS_INVALID_DEVICE_REQUEST),
    }
}

fn input<T: Plain>(control: &Control) -> Result<T, NTSTATUS> {
    control.input().ok_or(STATUS_INVALID_BUFFER_SIZE)
}

fn room<T>(control: &Control) -> Result<(), NTSTATUS> {
    if control.has_room::<T>() { Ok(()) } else { Err(STATUS_BUFFER_TOO_SMALL) }
}

fn valid(is_valid: bool) -> Result<(), NTSTATUS> {
    if is_valid { Ok(()) } else { Err(STATUS_INVALID_PARAMETER) }
}

/// All of one family, and of one that is known.
fn known_family(addresses: &[Address]) -> Result<(), NTSTATUS> {
    let all = |family| addresses.iter().all(|address| address.family == family);
    valid(all(ioctl::FAMILY_V4) || all(ioctl::FAMILY_V6))
}

fn check_ping(wanted: Ping) -> Result<Ping, NTSTATUS> {
    known_family(&[wanted.local, wanted.remote])?;
    let all = ioctl::SEND | ioctl::READ | ioctl::WRITE;
    valid(wanted.operations != 0 && wanted.operations & !all == 0)?;
    valid((1..=ioctl::COUNT_MAX).contains(&wanted.count) && (1..=ioctl::PING_SIZE_MAX).contains(&wanted.size))?;
    Ok(wanted)
}

fn check_bandwidth(wanted: Bandwidth) -> Result<Bandwidth, NTSTATUS> {
    known_family(&[wanted.local, wanted.remote])?;
    valid([ioctl::SEND, ioctl::READ, ioctl::WRITE].contains(&wanted.operation))?;
    valid((1..=ioctl::SIZE_MAX).contains(&wanted.size) && (1..=ioctl::DEPTH_MAX).contains(&wanted.depth))?;
    let under_way = u64::from(wanted.size) * u64::from(wanted.depth);
    valid(under_way <= ioctl::BYTES_UNDER_WAY_MAX && wanted.total != 0 && wanted.flags & !ioctl::VERIFY == 0)?;
    Ok(wanted)
}
