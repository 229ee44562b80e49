//! A TCP transfer between the stacks of two hosts, both ways at once, beside whatever else runs.

use super::Host;
use crate::dice::Dice;
use crate::tcpip::Socket;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The port that is listened on.
const PORT: u16 = 5001;

/// One direction.
#[derive(Default)]
struct Way {
    bytes: Vec<u8>,
    sent: usize,
    got: Vec<u8>,
}

/// See the module's text.
pub struct Companion {
    hosts: [usize; 2],
    to: SocketAddr,
    sockets: Option<[Socket; 2]>,
    ways: [Way; 2],
}

impl Companion {
    /// From the first host to the second and back, `size` bytes each way.
    pub fn new(hosts: [usize; 2], addresses: [IpAddr; 2], size: usize, seed: u64) -> Self {
        let way = |stream| {
            let mut bytes = vec![0; size];
            Dice::new(seed, stream).fill(&mut bytes);
            Way { bytes, ..Way::default() }
        };
        let ways = [way(0x7463_7031), way(0x7463_7032)];
        Self { hosts, to: SocketAddr::new(addresses[1], PORT), sockets: None, ways }
    }

    /// Writes and reads what can be written and read now.
    pub fn work(&mut self, hosts: &[Arc<Host>]) {
        let [from, to] = self.hosts.map(|host| &hosts[host].tcpip);
        let Some(sockets) = self.sockets else {
            let listening = to.with(|stack| stack.listen(PORT));
            let connecting = from.with(|stack| stack.connect(self.to));
            self.sockets = connecting.zip(listening).map(|(connecting, listening)| [connecting, listening]);
            return;
        };
        for (side, tcpip) in [from, to].into_iter().enumerate() {
            tcpip.with(|stack| {
                let way = &mut self.ways[side];
                if way.sent < way.bytes.len() {
                    way.sent += stack.write(sockets[side], &way.bytes[way.sent..]);
                }
                let read = stack.read(sockets[side]);
                self.ways[1 - side].got.extend(read);
            });
        }
    }

    /// Bytes that arrived, both ways together.
    pub fn bytes(&self) -> u64 {
        self.ways.iter().map(|way| way.got.len() as u64).sum()
    }

    /// Whether all has arrived.
    pub fn is_done(&self) -> bool {
        self.ways.iter().all(|way| way.got.len() >= way.bytes.len())
    }

    /// Whether what arrived is what was sent.
    pub fn is_good(&self) -> bool {
        self.ways.iter().all(|way| way.got == way.bytes)
    }

    /// How far it is, in words.
    pub fn state(&self) -> String {
        let way = |way: &Way| format!("{} of {} bytes sent, {} arrived", way.sent, way.bytes.len(), way.got.len());
        format!("{}; back {}", way(&self.ways[0]), way(&self.ways[1]))
    }
}
