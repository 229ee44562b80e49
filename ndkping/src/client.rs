//! The client's side: connects, measures, disconnects.

mod turns;

pub use self::turns::{check, salt};

use self::turns::{ClientCore, Setup};
use crate::course::Kind;
use crate::endpoint::{Endpoint, Shape};
use crate::hello::{Hello, LENGTH, Mode, Welcome};
use crate::ioctl::{self, Address, Bandwidth, BandwidthReport, Latency, Ping, PingReport};
use crate::job::Job;
use crate::kernel::Woken;
use crate::latency::summarise;
use crate::ndk::{Adapter, Connector, Depths, Remote, SocketAddress};
use ndk_types::{
    NDK_ADAPTER_INFO, NDK_MR_FLAG_ALLOW_LOCAL_WRITE, NDK_MR_FLAG_RDMA_READ_SINK, NTSTATUS, STATUS_CANCELLED,
    STATUS_CONNECTION_DISCONNECTED, STATUS_DATA_ERROR, STATUS_INVALID_PARAMETER, STATUS_IO_TIMEOUT,
};
use wdk_sys::NT_SUCCESS;

/// Receives a client keeps posted: echoes come one at a time, credit messages two at most.
pub const RECEIVES: u32 = 4;
/// Read limit that is asked for, in and out.
pub const READS: u32 = 16;

/// Whom to connect to, and how.
struct Plan {
    local: Address,
    remote: Address,
    hello: Hello,
    timeout: u32,
    samples: u32,
}

/// Measures latencies.
pub fn ping(job: &Job, adapter: &Adapter, wanted: &Ping) -> Result<PingReport, NTSTATUS> {
    let hello = Hello { mode: Mode::Echo, verify: false, size: wanted.size, depth: 1, count: wanted.count };
    let plan =
        Plan { local: wanted.local, remote: wanted.remote, hello, timeout: wanted.timeout, samples: wanted.count };
    connected(job, adapter, &plan, |endpoint| {
        let mut report = PingReport::default();
        let places: [(u32, Kind, &mut Latency); 3] = [
            (ioctl::SEND, Kind::Echo, &mut report.send),
            (ioctl::READ, Kind::Read, &mut report.read),
            (ioctl::WRITE, Kind::Write, &mut report.write),
        ];
        for (operation, kind, place) in places {
            if wanted.operations & operation != 0 {
                endpoint.restart(|core| core.start(kind, u64::from(wanted.count)));
                wait_until_over(endpoint, plan.timeout)?;
                *place = endpoint.prepare(|core, _| Ok(summarise(core.samples.taken())))?;
            }
        }
        Ok(report)
    })
}

/// Measures bandwidth.
pub fn bandwidth(job: &Job, adapter: &Adapter, wanted: &Bandwidth) -> Result<BandwidthReport, NTSTATUS> {
    let (mode, kind) = match wanted.operation {
        ioctl::SEND => (Mode::Sink, Kind::Stream),
        ioctl::READ => (Mode::Memory, Kind::Read),
        _ => (Mode::Memory, Kind::Write),
    };
    let operations = wanted.total.div_ceil(u64::from(wanted.size.max(1)));
    let count = u32::try_from(operations).map_err(|_| STATUS_INVALID_PARAMETER)?;
    let verify = wanted.flags & ioctl::VERIFY != 0;
    let hello = Hello { mode, verify, size: wanted.size, depth: wanted.depth, count };
    let plan = Plan { local: wanted.local, remote: wanted.remote, hello, timeout: wanted.timeout, samples: 0 };
    connected(job, adapter, &plan, |endpoint| {
        endpoint.restart(|core| core.start(kind, operations));
        wait_until_over(endpoint, plan.timeout)?;
        let (nanoseconds, done) = endpoint.prepare(|core, _| Ok((core.nanoseconds(), core.done())))?;
        if verify && kind == Kind::Write {
            // What was written is read back and compared.
            endpoint.restart(|core| core.start_reading_back(operations.min(u64::from(wanted.depth))));
            wait_until_over(endpoint, plan.timeout)?;
        }
        let mismatches = endpoint.prepare(|core, _| Ok(core.mismatches))?;
        let bytes = done.saturating_mul(u64::from(wanted.size));
        Ok(BandwidthReport { bytes, nanoseconds, operations: done, mismatches })
    })
}

/// Read limits an adapter can have.
pub fn read_limits(info: &NDK_ADAPTER_INFO) -> (u32, u32) {
    (info.MaxInboundReadLimit.min(READS), info.MaxOutboundReadLimit.min(READS))
}

/// Connects, does `work`, and takes everything down again.
fn connected<R>(
    job: &Job,
    adapter: &Adapter,
    plan: &Plan,
    work: impl FnOnce(&Endpoint<ClientCore>) -> Result<R, NTSTATUS>,
) -> Result<R, NTSTATUS> {
    let info = adapter.info()?;
    let hello = plan.hello;
    let room = if hello.mode == Mode::Echo { hello.size.max(LENGTH as u32) } else { LENGTH as u32 };
    let data = hello.size.checked_mul(hello.depth).ok_or(STATUS_INVALID_PARAMETER)?;
    let shape = Shape {
        depths: Depths { receive: RECEIVES, initiator: hello.depth },
        messages: room.checked_mul(RECEIVES).ok_or(STATUS_INVALID_PARAMETER)?,
        data,
        data_flags: NDK_MR_FLAG_ALLOW_LOCAL_WRITE | NDK_MR_FLAG_RDMA_READ_SINK,
        passive: hello.verify,
    };
    let setup = Setup { size: hello.size, depth: hello.depth, room, verify: hello.verify, samples: plan.samples };
    let core = ClientCore::try_new(setup)?;
    let endpoint = Endpoint::try_new(job, adapter, shape, core)?;
    let mut connector = None;
    let outcome = establish(&endpoint, adapter, plan, read_limits(&info), &mut connector).and_then(|()| {
        let outcome = work(&endpoint);
        endpoint.end_lane();
        if let Some(connector) = &connector {
            job.settle(&endpoint.request, connector.disconnect(&endpoint.request));
        }
        outcome
    });
    // A connector whose request is still under way is cancelled by its close (CN-41).
    endpoint.close(connector);
    outcome
}

/// Makes the connection; `connector` is there as soon as it has to be closed.
fn establish(
    endpoint: &Endpoint<ClientCore>,
    adapter: &Adapter,
    plan: &Plan,
    reads: (u32, u32),
    connector: &mut Option<Connector>,
) -> Result<(), NTSTATUS> {
    let (job, pending) = (endpoint.job(), &endpoint.request);
    let from = SocketAddress::new(plan.local).ok_or(STATUS_INVALID_PARAMETER)?;
    let to = SocketAddress::new(plan.remote).ok_or(STATUS_INVALID_PARAMETER)?;
    endpoint.prepare(ClientCore::post_receives)?;
    let connector: &Connector =
        connector.insert(adapter.create_connector(pending, |status| job.settle(pending, status))?);
    let hello = plan.hello.to_bytes();
    let status = endpoint.prepare(|_, queue| Ok(connector.connect(&queue.qp, from, to, reads, &hello, pending)))?;
    succeeded(job.settle_or_stop(pending, status, plan.timeout))?;
    let welcome = Welcome::from_bytes(&connector.private_data()?).ok_or(STATUS_DATA_ERROR)?;
    let needed = if plan.hello.mode == Mode::Sink { 0 } else { plan.hello.size.saturating_mul(plan.hello.depth) };
    if welcome.length < needed {
        return Err(STATUS_DATA_ERROR);
    }
    endpoint.prepare(|core, queue| {
        core.remote = Remote { address: welcome.address, token: welcome.token };
        core.fill(queue)
    })?;
    let status = connector.complete_connect(endpoint.on_disconnect(), pending);
    succeeded(job.settle_or_stop(pending, status, plan.timeout))
}

/// A request that did not succeed, or is still under way, is the outcome.
fn succeeded(outcome: Result<NTSTATUS, NTSTATUS>) -> Result<(), NTSTATUS> {
    let status = outcome?;
    if NT_SUCCESS(status) { Ok(()) } else { Err(status) }
}

/// Waits for the end of a run, and does what its callbacks leave to the thread.
fn wait_until_over(endpoint: &Endpoint<ClientCore>, timeout: u32) -> Result<(), NTSTATUS> {
    let job = endpoint.job();
    loop {
        endpoint.go_on();
        endpoint.failure()?;
        if endpoint.is_over() {
            return Ok(());
        }
        if job.is_stopping() {
            return Err(STATUS_CANCELLED);
        }
        if endpoint.is_disconnected() {
            return Err(STATUS_CONNECTION_DISCONNECTED);
        }
        let before = endpoint.progress();
        let stuck = job.sleep(timeout) == Woken::Timeout && endpoint.progress() == before;
        if stuck && !endpoint.is_over() {
            return Err(STATUS_IO_TIMEOUT);
        }
    }
}
