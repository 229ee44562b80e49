//! The client of the demo: registers pieces of its buffer, sends descriptors, waits for answers.

use super::{CREDITS, Descriptor, MESSAGE, PIECE};
use crate::consumer::{Adapter, Connector, Cq, Failed, Lam, Mr, Pd, Pending, Qp, sge};
use crate::memory::Buffer;
use ndk_types::{
    NDK_OP_FLAG_ALLOW_REMOTE_READ, NDK_OP_FLAG_ALLOW_REMOTE_WRITE, NDK_OP_FLAG_DEFER, NDK_OP_FLAG_INLINE,
    NDK_OP_FLAG_SILENT_SUCCESS, NDK_SGE, NDK_SGE_ADDRESS, NdkOperationTypeReceiveAndInvalidate, STATUS_CANCELLED,
    STATUS_SUCCESS,
};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

const REGISTER: usize = 1_000;
const SEND: usize = 2_000;

pub(super) struct Client {
    connector: Connector,
    connecting: &'static Pending,
    completed: bool,
    qp: Qp,
    cq: Cq,
    notified: &'static AtomicU32,
    seen: u32,
    pd: Pd,
    token: u32,
    buffer: Buffer,
    lam: Lam,
    messages: Buffer,
    messages_lam: Lam,
    regions: Vec<Mr>,
    /// The piece of each credit: where, how much.
    under_way: [Option<(usize, usize)>; CREDITS],
    size: usize,
    next: usize,
    pushing: bool,
    answered: usize,
    moved: u64,
    operations: u64,
}

impl Client {
    pub(super) fn try_new(adapter: &Adapter, file: &[u8], from: IpAddr, to: SocketAddr) -> Result<Self, Failed> {
        let (cq, notified) = adapter.create_cq(256)?;
        let pd = adapter.create_pd()?;
        let qp = pd.create_qp(&cq, 64, 4, 128)?;
        let (buffer, messages) = (Buffer::new(file.len().max(1), 0), Buffer::new(CREDITS * MESSAGE, 128));
        buffer.write(0, file);
        let (lam, messages_lam) = (adapter.build_lam(&buffer)?, adapter.build_lam(&messages)?);
        let token = pd.privileged_token();
        let mut regions = Vec::new();
        for number in 0..CREDITS {
            regions.push(pd.create_fast_mr((PIECE / 4096) as u32)?);
            qp.receive(number, &[sge(token, messages_lam.address(number * MESSAGE), MESSAGE as u32)])?;
        }
        let connector = adapter.create_connector()?;
        let connecting = connector.connect(&qp, from, to, 8, b"credits 8");
        Ok(Self {
            connector,
            connecting,
            completed: false,
            qp,
            cq,
            notified,
            seen: 0,
            pd,
            token,
            buffer,
            lam,
            messages,
            messages_lam,
            regions,
            under_way: [None; CREDITS],
            size: file.len(),
            next: 0,
            pushing: false,
            answered: 0,
            moved: 0,
            operations: 0,
        })
    }

    /// Completes the connection when the server has accepted; true when it stands.
    pub(super) fn connect(&mut self) -> Result<bool, Failed> {
        match self.connecting.status() {
            None => return Ok(false),
            Some(STATUS_SUCCESS) => (),
            Some(status) => return Err(Failed("NdkConnect", status)),
        }
        if !self.completed {
            let (inbound, outbound, data) = self.connector.connection_data()?;
            if (inbound, outbound) != (8, 8) || !data.starts_with(b"credits 8") {
                return Err(Failed("the server's connection data", -1));
            }
            self.connector.complete_connect()?;
            self.cq.arm();
            self.completed = true;
        }
        Ok(true)
    }

    /// Hears answers and sends descriptors as long as there are credits.
    pub(super) fn work(&mut self) -> Result<(), Failed> {
        let notified = self.notified.load(Ordering::SeqCst);
        if notified != self.seen {
            self.seen = notified;
            self.hear()?;
            self.cq.arm();
        }
        while let Some(credit) = self.under_way.iter().position(Option::is_none) {
            if self.next >= self.size {
                break;
            }
            self.start(credit)?;
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<(), Failed> {
        loop {
            let results = self.cq.poll();
            if results.is_empty() {
                return Ok(());
            }
            for result in results {
                if result.Status == STATUS_CANCELLED {
                    continue;
                }
                if result.Status != STATUS_SUCCESS {
                    return Err(Failed("a request of the client", result.Status));
                }
                if result.Type == NdkOperationTypeReceiveAndInvalidate {
                    self.answer(result.RequestContext.addr(), result.TypeSpecificCompletionOutput as u32)?;
                }
            }
        }
    }

    /// An answer: its piece is through, and the registration it used is invalid.
    fn answer(&mut self, receive: usize, invalidated: u32) -> Result<(), Failed> {
        let credit = self.regions.iter().position(|region| region.remote_token() == invalidated);
        let Some(credit) = credit else { return Err(Failed("an invalidated token", -1)) };
        let Some((_, length)) = self.under_way[credit].take() else { return Err(Failed("an answer", -1)) };
        let address = self.messages_lam.address(receive * MESSAGE);
        self.qp.receive(receive, &[sge(self.token, address, MESSAGE as u32)])?;
        self.moved += length as u64;
        self.operations += 1;
        self.answered += length;
        if self.answered == self.size && !self.pushing {
            // All is there: forget it here, and ask for it back.
            self.buffer.write(0, &vec![0; self.size]);
            (self.pushing, self.next, self.answered) = (true, 0, 0);
        }
        Ok(())
    }

    /// Registers a piece and sends its descriptor.
    fn start(&mut self, credit: usize) -> Result<(), Failed> {
        let (offset, length) = (self.next, PIECE.min(self.size - self.next));
        let pages = &self.lam.pages[offset / 4096..(offset + length).div_ceil(4096)];
        let va = self.buffer.va() + offset as u64;
        let right = if self.pushing { NDK_OP_FLAG_ALLOW_REMOTE_WRITE } else { NDK_OP_FLAG_ALLOW_REMOTE_READ };
        let flags = right | NDK_OP_FLAG_SILENT_SUCCESS | NDK_OP_FLAG_DEFER;
        let region = &self.regions[credit];
        self.qp.fast_register(REGISTER + credit, region, pages, length, va, flags)?;
        let descriptor = Descriptor {
            push: self.pushing,
            offset: offset as u64,
            length: length as u32,
            va,
            token: region.remote_token(),
        };
        let mut bytes = descriptor.to_bytes();
        let inline = NDK_SGE {
            Anonymous: NDK_SGE_ADDRESS { VirtualAddress: bytes.as_mut_ptr().cast() },
            Length: MESSAGE as u32,
            MemoryRegionToken: 0,
        };
        self.qp.send(SEND + credit, &[inline], NDK_OP_FLAG_INLINE | NDK_OP_FLAG_SILENT_SUCCESS)?;
        self.under_way[credit] = Some((offset, length));
        self.next += length;
        Ok(())
    }

    pub(super) const fn moved(&self) -> u64 {
        self.moved
    }

    pub(super) const fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) const fn is_done(&self) -> bool {
        (self.pushing && self.answered == self.size) || self.size == 0
    }

    /// What came back.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.buffer.read(0, self.size)
    }

    pub(super) fn guards_are_whole(&self) -> bool {
        self.buffer.guards_are_whole() && self.messages.guards_are_whole()
    }

    pub(super) fn disconnect(&self) -> &'static Pending {
        self.connector.disconnect()
    }

    /// Closes everything, antecedents first, as is allowed.
    pub(super) fn close(self, adapter: &Adapter) {
        self.pd.close();
        self.cq.close();
        self.qp.close();
        for region in self.regions {
            region.close();
        }
        self.connector.close();
        adapter.release_lam(self.lam);
        adapter.release_lam(self.messages_lam);
    }
}
