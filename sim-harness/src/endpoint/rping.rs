//! rping as rdma-core has it: the client names its source, the server READs it; the client names its sink, the server
//! WRITEs it back; the client compares.

use crate::consumer::{Adapter, Connector, Cq, Failed, Lam, Listener, Mr, Pd, Pending, Qp, sge};
use crate::memory::Buffer;
use ndk_types::{
    NDK_OP_FLAG_ALLOW_REMOTE_READ, NDK_OP_FLAG_ALLOW_REMOTE_WRITE, NDK_OP_FLAG_SILENT_SUCCESS, NdkOperationTypeRead,
    NdkOperationTypeReceive, STATUS_CANCELLED, STATUS_SUCCESS,
};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a message: address, key and size, big-endian.
const INFO: usize = 16;
const PAGE: usize = 4096;

/// What either side has.
struct Side {
    cq: Cq,
    pd: Pd,
    qp: Qp,
    token: u32,
    /// Message in, message out, then the two data buffers, each on pages of its own.
    buffer: Buffer,
    lam: Lam,
    size: usize,
    receive: usize,
}

impl Side {
    fn new(adapter: &Adapter, size: usize) -> Result<Self, Failed> {
        let (cq, _) = adapter.create_cq(64)?;
        let pd = adapter.create_pd()?;
        let qp = pd.create_qp(&cq, 16, 16, 0)?;
        let buffer = Buffer::new(PAGE + 2 * size.next_multiple_of(PAGE), 0);
        let lam = adapter.build_lam(&buffer)?;
        let token = pd.privileged_token();
        let side = Self { cq, pd, qp, token, buffer, lam, size, receive: 0 };
        side.qp.receive(0, &[side.sge(0, INFO)])?;
        side.qp.receive(1, &[side.sge(INFO, INFO)])?;
        Ok(side)
    }

    fn sge(&self, offset: usize, length: usize) -> ndk_types::NDK_SGE {
        sge(self.token, self.lam.address(offset), length as u32)
    }

    /// Where data buffer 0 or 1 starts.
    fn data(&self, which: usize) -> usize {
        PAGE + which * self.size.next_multiple_of(PAGE)
    }

    fn say(&self, address: u64, key: u32, size: u32) -> Result<(), Failed> {
        let bytes = [&address.to_be_bytes()[..], &key.to_be_bytes(), &size.to_be_bytes()].concat();
        self.buffer.write(2 * INFO, &bytes);
        self.qp.send(9, &[self.sge(2 * INFO, INFO)], NDK_OP_FLAG_SILENT_SUCCESS)
    }

    /// The message that has arrived; its receive is posted again.
    fn heard(&mut self) -> Result<(u64, u32, u32), Failed> {
        let at = self.receive % 2 * INFO;
        let bytes = self.buffer.read(at, INFO);
        self.qp.receive(self.receive % 2, &[self.sge(at, INFO)])?;
        self.receive += 1;
        let wide = u128::from_be_bytes(bytes.try_into().expect("sixteen bytes"));
        Ok(((wide >> 64) as u64, (wide >> 32) as u32, wide as u32))
    }

    /// What completed: messages, reads, and what was flushed since the connection is over.
    fn completed(&self) -> Result<(usize, usize, usize), Failed> {
        let (mut messages, mut reads, mut flushed) = (0, 0, 0);
        for result in self.cq.poll() {
            if result.Status == STATUS_CANCELLED {
                flushed += 1;
                continue;
            }
            if result.Status != STATUS_SUCCESS {
                return Err(Failed("a request", result.Status));
            }
            messages += usize::from(result.Type == NdkOperationTypeReceive);
            reads += usize::from(result.Type == NdkOperationTypeRead);
        }
        Ok((messages, reads, flushed))
    }

    fn close(self, adapter: &Adapter) {
        self.pd.close();
        self.cq.close();
        self.qp.close();
        adapter.release_lam(self.lam);
    }
}

/// The text of iteration `number`: as rdma-core fills it.
pub(super) fn ping(number: usize, size: usize) -> Vec<u8> {
    let mut text = format!("rdma-ping-{number}: ").into_bytes();
    let letters = (65..=122u8).cycle().skip(number % 58);
    text.extend(letters.take(size.saturating_sub(text.len())));
    text.truncate(size);
    if let Some(last) = text.last_mut() {
        *last = 0;
    }
    text
}

/// The client.
pub(super) struct Client {
    side: Side,
    regions: [Mr; 2],
    connector: Connector,
    connecting: &'static Pending,
    leaving: Option<&'static Pending>,
    connected: bool,
    number: usize,
    count: usize,
    verbose: bool,
}

impl Client {
    /// Starts to connect.
    pub(super) fn new(
        adapter: &Adapter,
        from: IpAddr,
        to: SocketAddr,
        (count, size, verbose): (usize, usize, bool),
    ) -> Result<Self, Failed> {
        let side = Side::new(adapter, size)?;
        let pages = size.div_ceil(PAGE) as u32;
        let regions = [side.pd.create_fast_mr(pages)?, side.pd.create_fast_mr(pages)?];
        let connector = adapter.create_connector()?;
        let connecting = connector.connect(&side.qp, from, to, 1, b"");
        let (leaving, connected, number) = (None, false, 0);
        Ok(Self { side, regions, connector, connecting, leaving, connected, number, count, verbose })
    }

    fn offer(&self, which: usize) -> Result<(), Failed> {
        let address = self.side.buffer.va() + self.side.data(which) as u64;
        self.side.say(address, self.regions[which].remote_token(), self.side.size as u32)
    }

    fn start(&self) -> Result<(), Failed> {
        self.side.buffer.write(self.side.data(0), &ping(self.number, self.side.size));
        self.side.buffer.write(self.side.data(1), &vec![0; self.side.size]);
        self.offer(0)
    }

    /// Goes on; true when everything is done.
    pub(super) fn work(&mut self) -> Result<bool, Failed> {
        if !self.connected {
            match self.connecting.status() {
                None => return Ok(false),
                Some(STATUS_SUCCESS) => (),
                Some(status) => return Err(Failed("NdkConnect", status)),
            }
            self.connector.complete_connect()?;
            self.connected = true;
            for (which, right) in
                [NDK_OP_FLAG_ALLOW_REMOTE_READ, NDK_OP_FLAG_ALLOW_REMOTE_WRITE].into_iter().enumerate()
            {
                let (start, pages) = (self.side.data(which), self.side.size.div_ceil(PAGE));
                let list = &self.side.lam.pages[start / PAGE..start / PAGE + pages];
                let va = self.side.buffer.va() + start as u64;
                let flags = right | NDK_OP_FLAG_SILENT_SUCCESS;
                self.side.qp.fast_register(8, &self.regions[which], list, self.side.size, va, flags)?;
            }
            self.start()?;
        }
        if let Some(leaving) = self.leaving {
            return Ok(leaving.status().is_some());
        }
        let (messages, _, flushed) = self.side.completed()?;
        if flushed > 0 {
            return Err(Failed("the connection, which the server ended,", STATUS_CANCELLED));
        }
        for _ in 0..messages {
            self.side.heard()?;
            // The first answer of an iteration says that the source was read, the second that the sink was written.
            if self.side.receive % 2 == 1 {
                self.offer(1)?;
                continue;
            }
            let [source, sink] = [0, 1].map(|which| self.side.buffer.read(self.side.data(which), self.side.size));
            if source != sink {
                return Err(Failed("the comparison of what came back", -1));
            }
            if self.verbose {
                println!("ping data: {}", String::from_utf8_lossy(sink.split(|byte| *byte == 0).next().unwrap_or(&[])));
            }
            self.number += 1;
            if self.number == self.count {
                self.leaving = Some(self.connector.disconnect());
            } else {
                self.start()?;
            }
        }
        Ok(false)
    }

    /// Closes everything.
    pub(super) fn close(self, adapter: &Adapter) {
        self.regions.into_iter().for_each(Mr::close);
        self.connector.close();
        self.side.close(adapter);
    }
}

/// The server.
pub(super) struct Server {
    side: Side,
    listener: Listener,
    connector: Option<Connector>,
    events: Option<&'static AtomicU32>,
    leaving: Option<&'static Pending>,
    source: (u64, u32, u32),
    served: usize,
    verbose: bool,
}

impl Server {
    /// Listens.
    pub(super) fn new(adapter: &Adapter, address: SocketAddr, size: usize, verbose: bool) -> Result<Self, Failed> {
        let (side, listener) = (Side::new(adapter, size)?, adapter.listen(address)?);
        let (connector, events, leaving) = (None, None, None);
        Ok(Self { side, listener, connector, events, leaving, source: (0, 0, 0), served: 0, verbose })
    }

    /// Goes on; true when the client has come and gone.
    pub(super) fn work(&mut self) -> Result<bool, Failed> {
        if self.connector.is_none() {
            if let Some(connector) = self.listener.take() {
                self.events = Some(connector.accept(&self.side.qp, 1, b"").1);
                self.connector = Some(connector);
            }
            return Ok(false);
        }
        if let Some(leaving) = self.leaving {
            return Ok(leaving.status().is_some());
        }
        let (messages, reads, _) = self.side.completed()?;
        for _ in 0..messages {
            let (address, key, size) = self.side.heard()?;
            let length = self.side.size.min(size as usize);
            let data = self.side.data(0);
            if self.side.receive % 2 == 1 {
                self.source = (address, key, size);
                self.side.qp.read(1, &[self.side.sge(data, length)], address, key, 0)?;
            } else {
                let text = self.side.buffer.read(data, length);
                let length = text.iter().position(|byte| *byte == 0).map_or(length, |end| end + 1);
                let sink = [self.side.sge(data, length)];
                self.side.qp.write(2, &sink, address, key, NDK_OP_FLAG_SILENT_SUCCESS)?;
                self.side.say(0, 0, 0)?;
                self.served += 1;
            }
        }
        for _ in 0..reads {
            let text = self.side.buffer.read(self.side.data(0), self.side.size);
            if !text.starts_with(format!("rdma-ping-{}: ", self.served).as_bytes()) {
                return Err(Failed("the client's text", -1));
            }
            if self.verbose {
                println!(
                    "server ping data: {}",
                    String::from_utf8_lossy(text.split(|byte| *byte == 0).next().unwrap_or(&[]))
                );
            }
            self.side.say(0, 0, 0)?;
        }
        let gone = self.events.is_some_and(|events| events.load(Ordering::SeqCst) != 0);
        if let (true, Some(connector)) = (gone, &self.connector) {
            self.leaving = Some(connector.disconnect());
        }
        Ok(false)
    }

    /// How many iterations were served.
    pub(super) const fn served(&self) -> usize {
        self.served
    }

    /// Closes everything.
    pub(super) fn close(self, adapter: &Adapter) {
        self.listener.close();
        if let Some(connector) = self.connector {
            connector.close();
        }
        self.side.close(adapter);
    }
}
