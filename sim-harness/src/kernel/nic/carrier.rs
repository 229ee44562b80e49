//! Wires for real frames: a UDP socket, one Ethernet frame a datagram, as QEMU's `-netdev dgram` has it; and a Linux TAP device.
//!
//! A carrier never blocks: with nothing to receive, or no room to send, it says [`io::ErrorKind::WouldBlock`].

use super::SimNic;
use crate::kernel::Machine;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

/// Room for the longest frame there is: an IP packet of 64 KiB, a header and a tag.
pub const LONGEST: usize = 65_536 + 18;
/// The most frames of one [`exchange`], each way.
const RUN: usize = 64;

/// See the module's text.
pub trait Carrier: AsFd + Send {
    /// Sends a frame.
    fn send(&self, frame: &[u8]) -> io::Result<()>;

    /// Receives a frame into a buffer; how long it is. A frame longer than the buffer is cut: it should have [`LONGEST`] bytes.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Waits until there is something to receive; whether there is.
    fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let mut ask = libc::pollfd { fd: self.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let timeout = libc::timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: one descriptor, which is open while it is borrowed, a time, and no signal mask.
        let ready = unsafe { libc::ppoll(&raw mut ask, 1, &raw const timeout, std::ptr::null()) };
        if ready < 0 { Err(io::Error::last_os_error()) } else { Ok(ready > 0) }
    }
}

/// Puts what a NIC sent on a carrier, and delivers what is there to be received; how many frames went each way. What a carrier
/// has no room for is lost, as on a wire.
pub fn exchange(nic: &SimNic, machine: &Arc<Machine>, carrier: &dyn Carrier) -> io::Result<(usize, usize)> {
    let mut sent = 0;
    for frame in nic.take_frames() {
        match carrier.send(&frame) {
            Ok(()) => sent += 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let mut buffer = vec![0; LONGEST];
    let mut frames = Vec::new();
    while frames.len() < RUN {
        match carrier.receive(&mut buffer) {
            Ok(length) => frames.push(buffer.get(..length).unwrap_or(&buffer).to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    nic.deliver_many(machine, &frames);
    Ok((sent, frames.len()))
}

/// A UDP socket and the one peer it talks to.
#[derive(Debug)]
pub struct UdpCarrier {
    socket: UdpSocket,
    peer: SocketAddr,
}

impl UdpCarrier {
    /// A socket at `local`; whatever does not come from `peer` is not received.
    pub fn bind(local: SocketAddr, peer: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, peer })
    }

    /// Two on loopback that talk to each other.
    pub fn pair() -> io::Result<(Self, Self)> {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (first, second) = (UdpSocket::bind(free)?, UdpSocket::bind(free)?);
        let addresses = (first.local_addr()?, second.local_addr()?);
        first.set_nonblocking(true)?;
        second.set_nonblocking(true)?;
        Ok((Self { socket: first, peer: addresses.1 }, Self { socket: second, peer: addresses.0 }))
    }

    /// Where it is: the port, when `local` left that open.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl AsFd for UdpCarrier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Carrier for UdpCarrier {
    fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send_to(frame, self.peer).map(drop)
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let (length, from) = self.socket.recv_from(buffer)?;
            if from == self.peer {
                return Ok(length);
            }
        }
    }
}

/// A TAP device: what its machine's own network stack sends is received, and the other way round. It goes with this value.
#[derive(Debug)]
pub struct TapCarrier {
    file: File,
    name: CString,
}

impl TapCarrier {
    /// Makes a device in the network namespace of this thread. `name` may have a `%d` for the kernel to number.
    pub fn open(name: &str) -> io::Result<Self> {
        let flags = libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/net/tun")?;
        let mut ask = request(&CString::new(name)?)?;
        ask.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as i16;
        // SAFETY: TUNSETIFF takes an ifreq, and writes the name into it.
        let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut ask) };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        let given: Vec<u8> =
            ask.ifr_name.iter().map(|byte| byte.cast_unsigned()).take_while(|&byte| byte != 0).collect();
        Ok(Self { file, name: CString::new(given)? })
    }

    /// What the device is called.
    pub fn name(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }

    /// Sets the device's MTU, and switches it on.
    pub fn start(&self, mtu: u32) -> io::Result<()> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        let mut ask = request(&self.name)?;
        ask.ifr_ifru.ifru_mtu = i32::try_from(mtu).map_err(io::Error::other)?;
        control(&socket, libc::SIOCSIFMTU, &mut ask)?;
        let mut ask = request(&self.name)?;
        ask.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
        control(&socket, libc::SIOCSIFFLAGS, &mut ask)
    }
}

impl AsFd for TapCarrier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Carrier for TapCarrier {
    fn send(&self, frame: &[u8]) -> io::Result<()> {
        (&self.file).write(frame).map(drop)
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(buffer)
    }
}

/// A request about the device of this name.
fn request(name: &CString) -> io::Result<libc::ifreq> {
    // SAFETY: integers and pointers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = name.as_bytes_with_nul();
    let room = request.ifr_name.get_mut(..name.len()).ok_or(io::ErrorKind::InvalidInput)?;
    for (to, from) in room.iter_mut().zip(name) {
        *to = from.cast_signed();
    }
    Ok(request)
}

/// Asks the network stack to change a device.
fn control(socket: &UdpSocket, what: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: each request used here takes an ifreq.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw mut *request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn loopback(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// The next frame that `wanted` likes.
    fn next(carrier: &dyn Carrier, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut buffer = vec![0; LONGEST];
        loop {
            match carrier.receive(&mut buffer) {
                Ok(length) if wanted(&buffer[..length]) => return buffer[..length].to_vec(),
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
                    assert!(carrier.wait(PATIENCE).expect("a wait"), "no frame came");
                }
            }
        }
    }

    #[test]
    fn a_datagram_is_a_frame_and_strangers_are_not_heard() {
        let (one, two) = UdpCarrier::pair().expect("two sockets");
        let mut buffer = [0; 100];
        assert_eq!(two.receive(&mut buffer).expect_err("nothing was sent").kind(), io::ErrorKind::WouldBlock);
        let stranger = UdpCarrier::bind(loopback(0), two.local().expect("bound")).expect("a socket");
        stranger.send(b"stranger").expect("room");
        one.send(b"first").expect("room");
        one.send(b"second, longer").expect("room");
        assert_eq!(next(&two, |_| true), b"first");
        assert_eq!(next(&two, |_| true), b"second, longer");
    }

    #[test]
    fn a_nic_exchanges_frames_with_whoever_is_at_the_other_end() {
        let (wire, far) = UdpCarrier::pair().expect("two sockets");
        let bench = super::super::tests::Bench::new();
        bench.send(5);
        let arriving = super::super::tests::frame([0xff; 6], 6, 60);
        far.send(&arriving).expect("room");
        assert!(wire.wait(PATIENCE).expect("a wait"));
        assert_eq!(exchange(&bench.nic, &bench.machine, &wire).expect("a wire"), (1, 1));
        assert_eq!(next(&far, |_| true)[14], 5);
        assert_eq!(bench.nic.counters().received.broadcast, 1);
        bench.give_back();
    }

    /// The device's address: the kernel's side of the wire.
    fn address(carrier: &TapCarrier, to: Ipv4Addr) {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        let mut ask = request(&carrier.name).expect("a name");
        // SAFETY: zero is a value of an address.
        let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
        (address.sin_family, address.sin_addr.s_addr) = (libc::AF_INET as u16, u32::from(to).to_be());
        // SAFETY: a sockaddr_in is a sockaddr, of the same size.
        ask.ifr_ifru.ifru_addr = unsafe { (&raw const address).cast::<libc::sockaddr>().read() };
        control(&socket, libc::SIOCSIFADDR, &mut ask).expect("an address");
    }

    const OURS: [u8; 6] = [2, 0, 0, 0, 0, 0x77];

    /// IPv4 and UDP from 10.77.0.2:7 to the kernel at 10.77.0.1, without a UDP checksum.
    fn datagram(to: &[u8], port: u16, payload: &[u8]) -> Vec<u8> {
        let (udp, ip) = (8 + payload.len() as u16, 28 + payload.len() as u16);
        let mut header = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1];
        header[2..4].copy_from_slice(&ip.to_be_bytes());
        let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        let ports = [7_u16.to_be_bytes(), port.to_be_bytes(), udp.to_be_bytes(), [0, 0]].concat();
        [to, &OURS, &[8, 0], &header, &ports, payload].concat()
    }

    fn talks_to_the_kernel() -> io::Result<()> {
        let tap = TapCarrier::open("softndk%d")?;
        assert_eq!(tap.name(), "softndk0");
        tap.start(1400)?;
        address(&tap, Ipv4Addr::new(10, 77, 0, 1));
        let socket = UdpSocket::bind("10.77.0.1:0")?;
        let port = socket.local_addr()?.port();
        socket.send_to(b"from the kernel", "10.77.0.2:7")?;
        let question = next(&tap, |frame| frame[12..14] == [8, 6]);
        assert_eq!((question.len(), &question[38..42]), (42, &[10, 77, 0, 2][..]));
        let kernel = question[6..12].to_vec();
        let head = [0, 1, 8, 0, 6, 4, 0, 2];
        let answer = [&kernel[..], &OURS, &[8, 6], &head, &OURS, &[10, 77, 0, 2], &kernel, &[10, 77, 0, 1]].concat();
        tap.send(&answer)?;
        let sent = next(&tap, |frame| frame[12..14] == [8, 0]);
        assert_eq!((&sent[..6], &sent[42..]), (&OURS[..], &b"from the kernel"[..]));
        tap.send(&datagram(&kernel, port, b"to the kernel"))?;
        let mut buffer = [0; 100];
        socket.set_read_timeout(Some(PATIENCE))?;
        let length = socket.recv(&mut buffer)?;
        assert_eq!(&buffer[..length], b"to the kernel");
        Ok(())
    }

    #[test]
    fn a_tap_device_is_a_wire_to_the_kernel() {
        // A thread has a network namespace of its own, which goes with it.
        let outcome = std::thread::spawn(|| {
            if let Err(error) = File::open("/dev/net/tun") {
                return Err(format!("/dev/net/tun: {error}"));
            }
            // SAFETY: only this thread's view of the network changes.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
                return Err(format!("no network namespace: {}", io::Error::last_os_error()));
            }
            talks_to_the_kernel().map_err(|error| {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
                format!("no TAP device: {error}")
            })
        });
        if let Err(why) = outcome.join().expect("no assertion failed") {
            println!("not run: {why}");
        }
    }
}
