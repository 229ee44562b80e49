//! The server's side: listens, accepts, and serves each connection as its client asked for, until it is stopped.
//!
//! One thread accepts and takes down; what a connection does in between happens in its lane, in the CQ's callback.

mod turns;

use self::turns::{INITIATOR_DEPTH, ServerCore};
use crate::client::read_limits;
use crate::endpoint::{Endpoint, Shape};
use crate::hello::{Hello, Mode, Welcome};
use crate::ioctl::{BYTES_UNDER_WAY_MAX, DEPTH_MAX, Listen, Listening, PING_SIZE_MAX, SIZE_MAX};
use crate::job::{Job, Pending};
use crate::kernel::Block;
use crate::ndk::{Adapter, Connector, Depths, Listener, SocketAddress};
use core::ffi::c_void;
use core::ptr::NonNull;
use ndk_types::{
    NDK_CONNECTOR, NDK_FN_CONNECT_EVENT_CALLBACK, NDK_MR_FLAG_ALLOW_REMOTE_READ, NDK_MR_FLAG_ALLOW_REMOTE_WRITE,
    NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_PENDING,
};
use wdk_sys::NT_SUCCESS;

/// Connections served at once.
const SESSIONS: usize = 8;

/// A connection.
struct Session {
    endpoint: Block<Endpoint<ServerCore>>,
    connector: Connector,
    /// Whether the accept has completed.
    running: bool,
}

/// Listens and serves until the job is stopped. The request is answered as soon as it listens.
pub fn serve(job: &Job, adapter: &Adapter, wanted: &Listen) -> Result<(), NTSTATUS> {
    let at = SocketAddress::new(wanted.local).ok_or(STATUS_INVALID_PARAMETER)?;
    let reads = read_limits(&adapter.info()?);
    let pending = Block::try_new(Pending::new(job)).ok_or(ndk_types::STATUS_INSUFFICIENT_RESOURCES)?;
    let event: NDK_FN_CONNECT_EVENT_CALLBACK = Some(arrived);
    let context = core::ptr::from_ref(job).cast_mut().cast();
    let listener = adapter.create_listener((event, context), &pending, |status| job.settle(&pending, status))?;
    let mut sessions = [const { None }; SESSIONS];
    let listening = start(job, &listener, at, &pending).map(|local| {
        job.answer(Listening { local });
        while !job.is_stopping() {
            let seen = job.wakes();
            look(job, adapter, reads, &mut sessions);
            if job.wakes() == seen && !job.is_stopping() {
                let _ = job.sleep(0);
            }
        }
    });
    end(job, listener, &pending, &mut sessions);
    listening
}

fn start(
    job: &Job,
    listener: &Listener,
    at: SocketAddress,
    pending: &Pending,
) -> Result<crate::ioctl::Address, NTSTATUS> {
    let status = job.settle(pending, listener.listen(at, pending));
    if NT_SUCCESS(status) { listener.local_address() } else { Err(status) }
}

/// Takes in what arrived, and moves every session on.
fn look(job: &Job, adapter: &Adapter, reads: (u32, u32), sessions: &mut [Option<Session>; SESSIONS]) {
    for place in sessions.iter_mut() {
        if place.as_mut().is_some_and(|session| !session.go_on()) {
            place.take().into_iter().for_each(Session::end);
        }
    }
    while let Some(connector) = job.take_arrival().map(Connector::arrived) {
        match sessions.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Session::accept(job, adapter, reads, connector),
            None => connector.close_unwatched(),
        }
    }
}

/// Stops listening, and ends every session. The listener's close waits for the connectors that came through it (LS-10, LS-11).
fn end(job: &Job, listener: Listener, pending: &Pending, sessions: &mut [Option<Session>; SESSIONS]) {
    let status = listener.close(pending);
    sessions.iter_mut().filter_map(Option::take).for_each(Session::end);
    loop {
        while let Some(connector) = job.take_arrival().map(Connector::arrived) {
            connector.close_unwatched();
        }
        if status != STATUS_PENDING || pending.status().is_some() {
            return;
        }
        let _ = job.sleep(0);
    }
}

impl Session {
    /// Accepts a connection that asks for something this driver serves; else closes the connector, which rejects it.
    fn accept(job: &Job, adapter: &Adapter, reads: (u32, u32), connector: Connector) -> Option<Self> {
        let hello = connector.private_data().ok().and_then(|data| Hello::from_bytes(&data));
        let Some(hello) = hello.filter(is_served) else {
            let _ = connector.reject();
            connector.close_unwatched();
            return None;
        };
        let Ok(endpoint) = Endpoint::try_new(job, adapter, shape(hello), ServerCore::new(hello)) else {
            connector.close_unwatched();
            return None;
        };
        let prepared = endpoint.prepare(|core, queue| {
            core.prepare(queue)?;
            let (address, token) = queue.data.remote();
            let welcome = Welcome { address, length: core.data_length(), token };
            let disconnected = endpoint.on_disconnect();
            let status = connector.accept(&queue.qp, reads, &welcome.to_bytes(), disconnected, &endpoint.request);
            if NT_SUCCESS(status) { Ok(status) } else { Err(status) }
        });
        let mut session = Self { endpoint, connector, running: false };
        match prepared {
            Ok(STATUS_PENDING) => Some(session),
            Ok(_) => {
                session.run();
                Some(session)
            }
            Err(_) => {
                session.end();
                None
            }
        }
    }

    fn run(&mut self) {
        self.running = true;
        self.endpoint.kick();
    }

    /// Goes on; false when the session is to end.
    fn go_on(&mut self) -> bool {
        if !self.running {
            match self.endpoint.request.status() {
                None => return true,
                Some(status) if NT_SUCCESS(status) => self.run(),
                Some(_) => return false,
            }
        }
        self.endpoint.go_on();
        self.endpoint.failure().is_ok() && !self.endpoint.is_disconnected()
    }

    /// Disconnects, if it was connected, and closes everything.
    fn end(self) {
        let Self { endpoint, connector, running } = self;
        endpoint.end_lane();
        if running {
            let (job, pending) = (endpoint.job(), &endpoint.request);
            job.settle(pending, connector.disconnect(pending));
        }
        // An accept that is still under way is cancelled by the close (CN-41).
        endpoint.close(Some(connector));
    }
}

/// Whether what a client wants is within bounds.
fn is_served(hello: &Hello) -> bool {
    let longest = if hello.mode == Mode::Echo { PING_SIZE_MAX } else { SIZE_MAX };
    let under_way = u64::from(hello.size) * u64::from(hello.depth);
    (1..=longest).contains(&hello.size) && (1..=DEPTH_MAX).contains(&hello.depth) && under_way <= BYTES_UNDER_WAY_MAX
}

fn shape(hello: Hello) -> Shape {
    let plan = turns::Layout::new(hello);
    Shape {
        depths: Depths { receive: plan.receives.max(1), initiator: INITIATOR_DEPTH },
        messages: plan.messages(),
        data: plan.data,
        data_flags: NDK_MR_FLAG_ALLOW_REMOTE_READ | NDK_MR_FLAG_ALLOW_REMOTE_WRITE,
        passive: hello.verify && hello.mode == Mode::Sink,
    }
}

ndk_types::abi! {
    /// NDK_FN_CONNECT_EVENT_CALLBACK: the listener's thread looks at it, or it is rejected at once.
    unsafe extern "C" fn arrived(context: *mut c_void, connector: *mut NDK_CONNECTOR) {
        // SAFETY: the listener's context is its job, which outlives it.
        let job = unsafe { &*context.cast::<Job>() };
        let Some(connector) = NonNull::new(connector) else { return };
        if !job.arrive(connector) {
            Connector::arrived(connector).close_unwatched();
        }
    }
}
