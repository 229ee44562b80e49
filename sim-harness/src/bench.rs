//! `bench`: how fast the provider is on one core, as a ratio to the ceiling measured in the same run.
//!
//! Both ends and an in-memory wire share one thread: frames of one end's turn are given to the other end's port as a run.
//! The ceiling is the same work without a protocol: headers, one copy, ICRC; parse, ICRC, one copy. Everything else is what
//! requests, completions, windows and acknowledgements cost. NDK is driven through its dispatch tables.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts and sizes far below 2^53, turned into rates for people"
)]

use crate::consumer::{Adapter, Connector, Cq, Failed, Lam, Listener, Mr, Pd, Qp, sge};
use crate::dice::Dice;
use crate::memory::Buffer;
use crate::platform::{Node, SimPlatform};
use ndk_provider::crc32::HostCrc32;
use ndk_provider::limits::Limits;
use ndk_provider::platform::{LocalInterface, NextHop};
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use ndk_types::{
    NDK_OP_FLAG_ALLOW_REMOTE_READ, NDK_OP_FLAG_ALLOW_REMOTE_WRITE, NDK_OP_FLAG_DEFER, NDK_SGE, STATUS_SUCCESS,
};
use roce_engine::key::RKey;
use roce_engine::psn::{Psn, Qpn};
use roce_engine::wire::headers::{Bth, Ext, Reth};
use roce_engine::wire::opcode::Opcode;
use roce_engine::wire::parse;
use roce_engine::wire::template::{AddressVector, FrameTemplate};
use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Bytes of either end's buffer.
const BUFFER: usize = 1 << 20;
/// Small sends posted before the last one is indicated.
const BATCH: usize = 32;

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What.
    pub name: &'static str,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// To the ceiling of the same payload; greater is better, except for times.
    pub ratio: f64,
}

struct End {
    node: Arc<Node>,
    port: Shared<Port<SimPlatform>>,
    adapter: Adapter,
    cq: Cq,
    pd: Pd,
    qp: Qp,
    token: u32,
    lam: Lam,
    buffer: Buffer,
}

impl End {
    fn new(clock: &Arc<AtomicU64>, last: u8, ip_mtu: u32) -> Result<Self, Failed> {
        let interface = LocalInterface { mac: [2, 0, 0, 0, 0, last], ip_mtu };
        let node = Node::new(clock.clone(), Dice::new(7, u64::from(last)), vec![address(last)], interface);
        let limits = Limits { queue_pairs: 16, completion_queues: 16, regions: 64, mappings: 16, ..Limits::DEFAULT };
        let port = Port::try_new(SimPlatform(node.clone()), limits).ok_or(Failed("memory for a port", -1))?;
        let adapter = Adapter::open(&port)?;
        let (cq, _) = adapter.create_cq(1024)?;
        let pd = adapter.create_pd()?;
        let qp = pd.create_qp(&cq, 256, 1, 0)?;
        let buffer = Buffer::new(BUFFER, 0);
        let lam = adapter.build_lam(&buffer)?;
        let token = pd.privileged_token();
        Ok(Self { node, port, adapter, cq, pd, qp, token, lam, buffer })
    }

    fn sge(&self, length: usize) -> NDK_SGE {
        sge(self.token, self.lam.address(0), length as u32)
    }

    fn close(self) {
        let Self { adapter, cq, pd, qp, lam, .. } = self;
        pd.close();
        cq.close();
        qp.close();
        adapter.release_lam(lam);
        adapter.close();
    }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 9, 0, last])
}

/// Two ends, connected.
struct Pair {
    clock: Arc<AtomicU64>,
    ends: [End; 2],
    region: Mr,
    active: Connector,
    passive: Connector,
    listener: Listener,
    frames: Vec<Vec<u8>>,
}

impl Pair {
    fn new(ip_mtu: u32) -> Result<Self, Failed> {
        let clock = Arc::default();
        let ends = [End::new(&clock, 1, ip_mtu)?, End::new(&clock, 2, ip_mtu)?];
        let listener = ends[1].adapter.listen(SocketAddr::new(address(2), 445))?;
        let active = ends[0].adapter.create_connector()?;
        let connecting = active.connect(&ends[0].qp, address(1), SocketAddr::new(address(2), 445), 8, b"");
        let region = ends[1].pd.create_fast_mr(256)?;
        let mut frames = Vec::new();
        exchange(&clock, &ends, &mut frames);
        let passive = listener.take().ok_or(Failed("a connection request", -1))?;
        let (accepting, _) = passive.accept(&ends[1].qp, 8, b"");
        exchange(&clock, &ends, &mut frames);
        if connecting.status() != Some(STATUS_SUCCESS) {
            return Err(Failed("NdkConnect", connecting.status().unwrap_or(-1)));
        }
        active.complete_connect()?;
        exchange(&clock, &ends, &mut frames);
        if accepting.status() != Some(STATUS_SUCCESS) {
            return Err(Failed("NdkAccept", accepting.status().unwrap_or(-1)));
        }
        let rights = NDK_OP_FLAG_ALLOW_REMOTE_READ | NDK_OP_FLAG_ALLOW_REMOTE_WRITE;
        let server = &ends[1];
        server.qp.fast_register(1, &region, &server.lam.pages, BUFFER, server.buffer.va(), rights)?;
        let mut pair = Self { clock, ends, region, active, passive, listener, frames };
        pair.finish(1, 1)?;
        Ok(pair)
    }

    fn exchange(&mut self) {
        exchange(&self.clock, &self.ends, &mut self.frames);
    }

    /// Exchanges until an end has so many completions.
    fn finish(&mut self, end: usize, count: usize) -> Result<(), Failed> {
        let mut done = 0;
        for _ in 0..100_000 {
            for result in self.ends[end].cq.poll() {
                if result.Status != STATUS_SUCCESS {
                    return Err(Failed("a request", result.Status));
                }
                done += 1;
            }
            if done >= count {
                return Ok(());
            }
            self.exchange();
        }
        Err(Failed("a completion", -1))
    }

    /// Bytes a second of transfers that `post` posts.
    fn transfer(
        &mut self,
        length: usize,
        total: usize,
        post: impl Fn(&End, &[NDK_SGE], u64, u32) -> Result<(), Failed>,
    ) -> Result<f64, Failed> {
        let (va, token) = (self.ends[1].buffer.va(), self.region.remote_token());
        let at_once = 4;
        let rounds = (total / (length * at_once)).max(1);
        let started = Instant::now();
        for _ in 0..rounds {
            let sges = [self.ends[0].sge(length)];
            for _ in 0..at_once {
                post(&self.ends[0], &sges, va, token)?;
            }
            self.finish(0, at_once)?;
        }
        Ok((rounds * at_once * length) as f64 / started.elapsed().as_secs_f64())
    }

    /// Small sends a second, receives and all completions included.
    fn sends(&mut self, count: usize) -> Result<f64, Failed> {
        let started = Instant::now();
        for _ in 0..count / BATCH {
            let (from, to) = ([self.ends[0].sge(64)], [self.ends[1].sge(64)]);
            for number in 0..BATCH {
                self.ends[1].qp.receive(number, &to)?;
            }
            for number in 0..BATCH {
                let flags = if number + 1 == BATCH { 0 } else { NDK_OP_FLAG_DEFER };
                self.ends[0].qp.send(number, &from, flags)?;
            }
            self.finish(1, BATCH)?;
            self.finish(0, BATCH)?;
        }
        Ok((count / BATCH * BATCH) as f64 / started.elapsed().as_secs_f64())
    }

    /// Nanoseconds of one small send alone, sorted.
    fn rounds(&mut self, count: usize) -> Result<Vec<u64>, Failed> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let (from, to) = ([self.ends[0].sge(64)], [self.ends[1].sge(64)]);
            self.ends[1].qp.receive(0, &to)?;
            let started = Instant::now();
            self.ends[0].qp.send(0, &from, 0)?;
            self.finish(1, 1)?;
            self.finish(0, 1)?;
            times.push(started.elapsed().as_nanos() as u64);
        }
        times.sort_unstable();
        Ok(times)
    }

    fn close(mut self) {
        let leaving = self.active.disconnect();
        self.exchange();
        self.passive.disconnect();
        self.exchange();
        debug_assert!(leaving.status().is_some());
        let Self { ends, region, active, passive, listener, .. } = self;
        listener.close();
        region.close();
        active.close();
        passive.close();
        ends.into_iter().for_each(End::close);
    }
}

/// Carries out what both ends ask for, until they ask for nothing.
fn exchange(clock: &AtomicU64, ends: &[End; 2], frames: &mut Vec<Vec<u8>>) {
    loop {
        clock.fetch_add(1_000, Ordering::Relaxed);
        let mut quiet = true;
        for (from, to) in [(0, 1), (1, 0)] {
            let (deferred, resolve) = {
                let mut tray = ends[from].node.tray();
                std::mem::swap(&mut tray.frames, frames);
                (std::mem::take(&mut tray.deferred), std::mem::take(&mut tray.resolve))
            };
            quiet &= frames.is_empty() && !deferred && resolve.is_empty();
            if !frames.is_empty() {
                let mut run: [&[u8]; 64] = [&[]; 64];
                for part in frames.chunks(run.len()) {
                    run.iter_mut().zip(part).for_each(|(place, frame)| *place = frame);
                    ends[to].port.receive(&run[..part.len()], |_| ());
                }
                for frame in frames.drain(..) {
                    ends[from].node.give_back(frame);
                }
            }
            if deferred {
                ends[from].port.on_deferred();
            }
            for (token, _) in resolve {
                let hop = NextHop { mac: ends[to].node.mac(), vlan_tci: None, ip_mtu: 9000 };
                ends[from].port.on_resolved(token, Ok(hop));
            }
        }
        if quiet {
            return;
        }
    }
}

/// Nanoseconds a packet of the ceiling loop.
fn ceiling(payload: usize, count: u32) -> f64 {
    let path = AddressVector {
        source_mac: [2, 0, 0, 0, 0, 1],
        destination_mac: [2, 0, 0, 0, 0, 2],
        vlan_tci: None,
        source: address(1),
        destination: address(2),
        hop_limit: 64,
        dscp: 0,
        source_port: 0xc000,
    };
    let template = FrameTemplate::new(&path).expect("two addresses of one family");
    let crc = HostCrc32::detect();
    let (from, mut to) = (vec![7u8; payload], vec![0u8; payload]);
    let ext = Ext::Reth(Reth { va: 0, r_key: RKey(1), dma_len: payload as u32 });
    let mut frame = vec![0; template.frame_len(&ext, payload)];
    let started = Instant::now();
    for psn in 0..count {
        let bth = Bth::new(Opcode::RdmaWriteOnly, Qpn::new(77), Psn::new(psn));
        let filled = template.emit(crc, &mut frame, &bth, &ext, payload, |place| {
            place.copy_from_slice(&from);
            Ok::<(), ()>(())
        });
        let packet = parse(black_box(&frame)).expect("what was emitted");
        if filled.is_ok() && packet.icrc_ok(crc) {
            to.copy_from_slice(packet.payload);
        }
        black_box(&mut to);
    }
    started.elapsed().as_nanos() as f64 / f64::from(count)
}

/// Measures everything; `scale` 1 is a run of a few seconds.
pub fn run(scale: f64) -> Result<Vec<Measured>, Failed> {
    let times = |count: f64| ((count * scale) as usize).max(1);
    let ceilings: Vec<(usize, f64)> = [64, 1024, 4096]
        .into_iter()
        .map(|payload| (payload, ceiling(payload, times(2_000_000.0 / (payload as f64).sqrt()) as u32 * 8)))
        .collect();
    let ceiling_of = |payload: usize| ceilings.iter().find(|(of, _)| *of == payload).map_or(f64::NAN, |(_, ns)| *ns);
    let mut all = Vec::new();
    for (name, payload) in [("ceiling_64", 64), ("ceiling_1024", 1024), ("ceiling_4096", 4096)] {
        let value = payload as f64 / ceiling_of(payload);
        all.push(Measured { name, value, unit: "GB/s", ratio: 1.0 });
    }
    let write = |end: &End, sges: &[NDK_SGE], va, token| end.qp.write(1, sges, va, token, 0);
    let read = |end: &End, sges: &[NDK_SGE], va, token| end.qp.read(1, sges, va, token, 0);
    let rate = |name, payload: usize, bytes_per_second: f64| {
        let value = bytes_per_second / 1e9;
        Measured { name, value, unit: "GB/s", ratio: value / (payload as f64 / ceiling_of(payload)) }
    };
    let mut pair = Pair::new(1500)?;
    all.push(rate("write_64k_mtu1024", 1024, pair.transfer(1 << 16, times(1e9), write)?));
    pair.close();
    let mut pair = Pair::new(9000)?;
    all.push(rate("write_64k_mtu4096", 4096, pair.transfer(1 << 16, times(2e9), write)?));
    all.push(rate("write_1m_mtu4096", 4096, pair.transfer(1 << 20, times(2e9), write)?));
    all.push(rate("read_64k_mtu4096", 4096, pair.transfer(1 << 16, times(2e9), read)?));
    let sends = pair.sends(times(2e6).max(BATCH))?;
    all.push(Measured { name: "send_64", value: sends / 1e6, unit: "M/s", ratio: sends * ceiling_of(64) / 1e9 });
    let rounds = pair.rounds(times(2e5))?;
    pair.close();
    for (name, part) in [("send_64_round_p50", 50), ("send_64_round_p99", 99)] {
        let value = rounds[(rounds.len() - 1) * part / 100] as f64;
        all.push(Measured { name, value, unit: "ns", ratio: value / ceiling_of(64) });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_measured() {
        let names: Vec<_> = run(1e-5).unwrap().into_iter().map(|measured| measured.name).collect();
        assert_eq!(
            names,
            [
                "ceiling_64",
                "ceiling_1024",
                "ceiling_4096",
                "write_64k_mtu1024",
                "write_64k_mtu4096",
                "write_1m_mtu4096",
                "read_64k_mtu4096",
                "send_64",
                "send_64_round_p50",
                "send_64_round_p99"
            ]
        );
    }
}
