//! A TCP/IP stack (smoltcp) for the upper edge of a simulated adapter: it plays the protocol driver that ordinary traffic
//! belongs to. Frames go in and come out as bytes; time is given to it.
//!
//! It answers ARP, neighbour solicitations and pings by itself, sends pings, and moves bytes over TCP. Nothing in it depends
//! on real time: the same frames at the same times give the same frames.

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{icmp, tcp};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, HardwareAddress, Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpCidr};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// Bytes of each direction's buffer of a TCP socket.
const WINDOW: usize = 64 * 1024;
/// The identifier of our pings.
const PING: u16 = 0x736e;
/// How long TCP waits for an answer before it gives a connection up.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Frames on their way in and out.
#[derive(Debug, Default)]
struct Queues {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
    ip_mtu: usize,
}

struct Incoming(Vec<u8>);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Outgoing<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }
}

impl Device for Queues {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let frame = self.incoming.pop_front()?;
        Some((Incoming(frame), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.ip_mtu + 14;
        capabilities
    }
}

/// A TCP socket of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket(SocketHandle);

/// See the module's text.
pub struct Stack {
    interface: Interface,
    queues: Queues,
    sockets: SocketSet<'static>,
    pings: SocketHandle,
    next_port: u16,
}

impl Stack {
    /// A stack with these addresses and prefix lengths. `seed` decides its TCP sequence numbers.
    pub fn new(mac: [u8; 6], addresses: &[(IpAddr, u8)], ip_mtu: usize, seed: u64) -> Self {
        let mut queues = Queues { ip_mtu, ..Queues::default() };
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut queues, Instant::ZERO);
        interface.update_ip_addrs(|list| {
            for &(address, prefix) in addresses {
                list.push(IpCidr::new(address.into(), prefix)).expect("no more addresses than smoltcp is built for");
            }
        });
        let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 8], vec![0; 8 * 256]);
        let mut socket = icmp::Socket::new(buffer(), buffer());
        socket.bind(icmp::Endpoint::Ident(PING)).expect("a new socket binds");
        let mut sockets = SocketSet::new(Vec::new());
        let pings = sockets.add(socket);
        Self { interface, queues, sockets, pings, next_port: 49_152 }
    }

    /// A frame comes up.
    pub fn deliver(&mut self, frame: Vec<u8>) {
        self.queues.incoming.push_back(frame);
    }

    /// Does what is due at `now` nanoseconds, and gives the frames to send, in order.
    pub fn poll(&mut self, now: u64) -> Vec<Vec<u8>> {
        self.interface.poll(instant(now), &mut self.queues, &mut self.sockets);
        std::mem::take(&mut self.queues.outgoing)
    }

    /// When [`Stack::poll`] has something to do next, in nanoseconds; `None`: not before a frame or a call.
    pub fn wake_at(&mut self, now: u64) -> Option<u64> {
        let at = self.interface.poll_at(instant(now), &self.sockets)?;
        Some((at.total_micros().unsigned_abs() * 1_000).max(now))
    }

    fn new_socket(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; WINDOW]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_timeout(Some(TIMEOUT));
        self.sockets.add(socket)
    }

    /// Listens on a port, for one connection.
    ///
    /// # Panics
    /// For port 0.
    pub fn listen(&mut self, port: u16) -> Socket {
        let handle = self.new_socket();
        self.sockets.get_mut::<tcp::Socket<'_>>(handle).listen(port).expect("a port to listen on");
        Socket(handle)
    }

    /// Starts to connect.
    ///
    /// # Panics
    /// For an address without a route: the stack has no router.
    pub fn connect(&mut self, to: SocketAddr) -> Socket {
        let handle = self.new_socket();
        let port = self.next_port;
        self.next_port = self.next_port.checked_add(1).unwrap_or(49_152);
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        socket.connect(self.interface.context(), to, port).expect("an address on the link");
        Socket(handle)
    }

    fn tcp(&mut self, socket: Socket) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(socket.0)
    }

    /// Takes as many bytes as there is room for now.
    pub fn write(&mut self, socket: Socket, bytes: &[u8]) -> usize {
        let socket = self.tcp(socket);
        if socket.can_send() { socket.send_slice(bytes).unwrap_or(0) } else { 0 }
    }

    /// The bytes that have come.
    pub fn read(&mut self, socket: Socket) -> Vec<u8> {
        let socket = self.tcp(socket);
        let mut bytes = Vec::new();
        while socket.can_recv() {
            let taken = socket.recv(|part| {
                bytes.extend_from_slice(part);
                (part.len(), part.len())
            });
            if !matches!(taken, Ok(1..)) {
                break;
            }
        }
        bytes
    }

    /// No more bytes from us.
    pub fn finish(&mut self, socket: Socket) {
        self.tcp(socket).close();
    }

    /// Whether the peer may still send, or the connection is not there yet.
    pub fn is_open(&mut self, socket: Socket) -> bool {
        let socket = self.tcp(socket);
        socket.is_open() && (socket.may_recv() || !socket.is_active() || matches!(socket.state(), tcp::State::SynSent))
    }

    /// Sends an echo request.
    pub fn ping(&mut self, to: IpAddr, sequence: u16) {
        let checksums = self.queues.capabilities().checksum;
        let data = b"softndk";
        let source = self.interface.get_source_address(&to.into());
        let socket = self.sockets.get_mut::<icmp::Socket<'_>>(self.pings);
        match (to, source) {
            (IpAddr::V4(_), _) => {
                let request = Icmpv4Repr::EchoRequest { ident: PING, seq_no: sequence, data };
                if let Ok(space) = socket.send(request.buffer_len(), to.into()) {
                    request.emit(&mut Icmpv4Packet::new_unchecked(space), &checksums);
                }
            }
            (IpAddr::V6(remote), Some(smoltcp::wire::IpAddress::Ipv6(local))) => {
                let request = Icmpv6Repr::EchoRequest { ident: PING, seq_no: sequence, data };
                if let Ok(space) = socket.send(request.buffer_len(), to.into()) {
                    let mut packet = Icmpv6Packet::new_unchecked(space);
                    request.emit(&local, &remote, &mut packet, &checksums);
                }
            }
            _ => (),
        }
    }

    /// Who has answered a ping since the last time.
    pub fn pongs(&mut self) -> Vec<IpAddr> {
        let socket = self.sockets.get_mut::<icmp::Socket<'_>>(self.pings);
        let mut answers = Vec::new();
        while let Ok((_, from)) = socket.recv() {
            answers.push(from.into());
        }
        answers
    }
}

/// smoltcp counts microseconds.
fn instant(now: u64) -> Instant {
    Instant::from_micros((now / 1_000).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;
    use crate::wire::{Direction, Manners};
    use std::collections::BTreeMap;

    /// Two stacks on a wire.
    struct Link {
        stacks: [Stack; 2],
        wires: [Direction; 2],
        on_the_way: BTreeMap<(u64, u64), (usize, Vec<u8>)>,
        now: u64,
        count: u64,
    }

    fn address(host: u8, ipv6: bool) -> IpAddr {
        if ipv6 { IpAddr::from([0xfd09, 0, 0, 0, 0, 0, 0, u16::from(host)]) } else { IpAddr::from([10, 9, 0, host]) }
    }

    impl Link {
        fn new(manners: Manners) -> Self {
            let stack = |host: u8| {
                let addresses = [(address(host, false), 24), (address(host, true), 64)];
                Stack::new([2, 0, 0, 0, 0, host], &addresses, 1500, u64::from(host))
            };
            let wires = [1, 2].map(|seed| Direction::new(manners, Dice::new(seed, 1)));
            Self { stacks: [stack(1), stack(2)], wires, on_the_way: BTreeMap::new(), now: 0, count: 0 }
        }

        /// Goes on to the next thing that happens; false when nothing will.
        fn step(&mut self) -> bool {
            for from in 0..2 {
                for frame in self.stacks[from].poll(self.now) {
                    for arrival in self.wires[from].carry(self.now, &frame) {
                        self.count += 1;
                        self.on_the_way.insert((arrival.at, self.count), (1 - from, frame.clone()));
                    }
                }
            }
            let now = self.now;
            let wake = self.stacks.iter_mut().filter_map(|stack| stack.wake_at(now)).min();
            let arrival = self.on_the_way.first_key_value().map(|(key, _)| key.0);
            let Some(at) = wake.into_iter().chain(arrival).min() else { return false };
            self.now = at.max(self.now + 1_000);
            while let Some(entry) = self.on_the_way.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to, frame) = entry.remove();
                self.stacks[to].deliver(frame);
            }
            true
        }
    }

    #[test]
    fn both_families_answer_pings() {
        let mut link = Link::new(Manners::GOOD);
        for ipv6 in [false, true] {
            link.stacks[0].ping(address(2, ipv6), 1);
            let mut answers = Vec::new();
            while answers.is_empty() {
                let goes_on = link.step();
                answers = link.stacks[0].pongs();
                assert!(goes_on || !answers.is_empty(), "no answer");
            }
            assert_eq!(answers, [address(2, ipv6)]);
        }
    }

    #[test]
    fn a_transfer_survives_a_bad_wire() {
        let mut link = Link::new(Manners { loss: 0.02, reorder: 0.02, duplicate: 0.02, ..Manners::GOOD });
        let file: Vec<u8> = (0..300_000_u32).map(|at| (at / 7) as u8).collect();
        let server = link.stacks[1].listen(80);
        let client = link.stacks[0].connect(SocketAddr::new(address(2, true), 80));
        let (mut sent, mut received) = (0, Vec::new());
        while received.len() < file.len() {
            sent += link.stacks[0].write(client, &file[sent..]);
            assert!(link.step(), "stuck at {} of {} bytes", received.len(), file.len());
            received.extend(link.stacks[1].read(server));
        }
        assert!(received == file);
        link.stacks[0].finish(client);
        while link.stacks[1].is_open(server) {
            assert!(link.step());
        }
    }
}
