//! The server of the demo: pulls pieces with RDMA READ, pushes them with RDMA WRITE, answers with a send that invalidates.

use super::{CREDITS, Descriptor, MESSAGE};
use crate::consumer::{Adapter, Connector, Cq, Failed, Lam, Listener, Pd, Pending, Qp, sge};
use crate::memory::Buffer;
use ndk_types::{
    NDK_SGE, NdkOperationTypeRead, NdkOperationTypeReceive, NdkOperationTypeWrite, STATUS_CANCELLED, STATUS_SUCCESS,
};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

/// Numbers of requests: receives from 0 on, transfers from here on.
const TRANSFER: usize = 1_000;
const REPLY: usize = 2_000;

pub(super) struct Server {
    listener: Listener,
    qp: Qp,
    cq: Cq,
    notified: &'static AtomicU32,
    seen: u32,
    pd: Pd,
    token: u32,
    store: Buffer,
    store_lam: Lam,
    messages: Buffer,
    messages_lam: Lam,
    connector: Option<Connector>,
    accepting: Option<&'static Pending>,
    disconnected: Option<&'static AtomicU32>,
    answered: bool,
    /// The transfer of each credit.
    under_way: [Option<Descriptor>; CREDITS],
}

/// The SGEs of `length` bytes from `offset` on: one for each run of adjacent pages.
pub(super) fn pieces(token: u32, lam: &Lam, offset: usize, length: usize) -> Vec<NDK_SGE> {
    let (mut at, end, mut sges) = (offset, offset + length, Vec::<NDK_SGE>::new());
    while at < end {
        let start = lam.address(at);
        let mut stop = at;
        while stop < end && lam.address(stop) == start + (stop - at) as u64 {
            stop = end.min(stop + 4096 - (lam.fbo as usize + stop) % 4096);
        }
        sges.push(sge(token, start, (stop - at) as u32));
        at = stop;
    }
    sges
}

impl Server {
    pub(super) fn try_new(adapter: &Adapter, address: SocketAddr, size: usize) -> Result<Self, Failed> {
        let listener = adapter.listen(address)?;
        let (cq, notified) = adapter.create_cq(256)?;
        let pd = adapter.create_pd()?;
        let qp = pd.create_qp(&cq, 64, 16, 0)?;
        let (store, messages) = (Buffer::new(size.max(1), 0), Buffer::new(2 * CREDITS * MESSAGE, 512));
        let (store_lam, messages_lam) = (adapter.build_lam(&store)?, adapter.build_lam(&messages)?);
        let token = pd.privileged_token();
        let server = Self {
            listener,
            qp,
            cq,
            notified,
            seen: 0,
            pd,
            token,
            store,
            store_lam,
            messages,
            messages_lam,
            connector: None,
            accepting: None,
            disconnected: None,
            answered: false,
            under_way: [None; CREDITS],
        };
        for number in 0..CREDITS {
            server.post_receive(number)?;
        }
        Ok(server)
    }

    fn post_receive(&self, number: usize) -> Result<(), Failed> {
        let address = self.messages_lam.address(number * MESSAGE);
        self.qp.receive(number, &[sge(self.token, address, MESSAGE as u32)])
    }

    /// Accepts the client; true when the connection stands.
    pub(super) fn connect(&mut self) -> Result<bool, Failed> {
        if let Some(connector) = self.listener.take() {
            let (_, _, data) = connector.connection_data()?;
            if !data.starts_with(b"credits 8") {
                return Err(Failed("the client's private data", -1));
            }
            let (accepting, disconnected) = connector.accept(&self.qp, 8, b"credits 8");
            (self.accepting, self.disconnected) = (Some(accepting), Some(disconnected));
            self.connector = Some(connector);
        }
        match self.accepting.and_then(Pending::status) {
            None => Ok(false),
            Some(STATUS_SUCCESS) => {
                self.cq.arm();
                Ok(true)
            }
            Some(status) => Err(Failed("NdkAccept", status)),
        }
    }

    /// Serves what has arrived, when a notification said so.
    pub(super) fn serve(&mut self) -> Result<(), Failed> {
        let notified = self.notified.load(Ordering::SeqCst);
        if notified == self.seen {
            return Ok(());
        }
        self.seen = notified;
        loop {
            let results = self.cq.poll();
            if results.is_empty() {
                break;
            }
            for result in results {
                if result.Status == STATUS_CANCELLED {
                    continue;
                }
                if result.Status != STATUS_SUCCESS {
                    return Err(Failed("a request of the server", result.Status));
                }
                let number = result.RequestContext.addr();
                if result.Type == NdkOperationTypeReceive {
                    self.start(number, result.BytesTransferred)?;
                } else if result.Type == NdkOperationTypeRead || result.Type == NdkOperationTypeWrite {
                    self.reply(number - TRANSFER)?;
                }
            }
        }
        self.cq.arm();
        Ok(())
    }

    /// A descriptor has arrived: the transfer it asks for.
    fn start(&mut self, number: usize, length: u32) -> Result<(), Failed> {
        let bytes = self.messages.read(number * MESSAGE, MESSAGE);
        let descriptor = Descriptor::from_bytes(&bytes).filter(|_| length as usize == MESSAGE);
        let Some(descriptor) = descriptor else { return Err(Failed("a descriptor", -1)) };
        self.under_way[number] = Some(descriptor);
        let offset = descriptor.offset as usize;
        let sges = pieces(self.token, &self.store_lam, offset, descriptor.length as usize);
        let number = TRANSFER + number;
        if descriptor.push {
            self.qp.write(number, &sges, descriptor.va, descriptor.token, 0)
        } else {
            self.qp.read(number, &sges, descriptor.va, descriptor.token, 0)
        }
    }

    /// The transfer is through: the client's registration is invalidated by the answer.
    fn reply(&mut self, number: usize) -> Result<(), Failed> {
        let Some(descriptor) = self.under_way[number].take() else { return Err(Failed("a transfer", -1)) };
        let at = (CREDITS + number) * MESSAGE;
        self.messages.write(at, &descriptor.to_bytes());
        // The credit is the client's again only with the answer, so the receive is posted before it.
        self.post_receive(number)?;
        let message = [sge(self.token, self.messages_lam.address(at), MESSAGE as u32)];
        self.qp.send_and_invalidate(REPLY + number, &message, 0, descriptor.token)
    }

    /// Disconnects when the client has.
    pub(super) fn answer_disconnect(&mut self) {
        let asked = self.disconnected.is_some_and(|events| events.load(Ordering::SeqCst) != 0);
        if let (true, false, Some(connector)) = (asked, self.answered, &self.connector) {
            self.answered = true;
            connector.disconnect();
        }
    }

    pub(super) fn guards_are_whole(&self) -> bool {
        self.store.guards_are_whole() && self.messages.guards_are_whole()
    }

    /// Closes everything, antecedents first, as is allowed.
    pub(super) fn close(self, adapter: &Adapter) {
        self.listener.close();
        self.pd.close();
        self.cq.close();
        self.qp.close();
        if let Some(connector) = self.connector {
            connector.close();
        }
        adapter.release_lam(self.store_lam);
        adapter.release_lam(self.messages_lam);
    }
}
