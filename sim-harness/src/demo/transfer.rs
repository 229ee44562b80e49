//! The transfer itself, on any bed: connect, move the file there and back, disconnect, close everything.

use super::client::Client;
use super::server::Server;
use super::{PORT, Trouble};
use crate::bed::Bed;
use crate::consumer::{Adapter, Failed};
use std::net::{IpAddr, SocketAddr};

/// What a transfer moved.
#[derive(Debug)]
pub struct Moved {
    /// Bytes, both ways together.
    pub bytes: u64,
    /// Pieces.
    pub operations: u64,
    /// What came back.
    pub back: Vec<u8>,
    /// Virtual nanoseconds at the last byte.
    pub virtual_ns: u64,
    /// Objects and bytes that should be gone and are not.
    pub leaks: u64,
}

/// A transfer that goes on.
struct Under<'a> {
    bed: &'a mut dyn Bed,
    /// Told the bytes moved so far; false ends the transfer.
    watch: &'a mut dyn FnMut(u64) -> bool,
}

impl Under<'_> {
    /// Lets the bed go on until `done`.
    fn run_until(
        &mut self,
        waiting: impl Fn() -> String,
        mut done: impl FnMut() -> Result<bool, Failed>,
    ) -> Result<(), Trouble> {
        loop {
            if done()? {
                return Ok(());
            }
            // Twice: what the last check asked for counts too.
            if !self.bed.step() && !self.bed.step() {
                return Err(Trouble::Stuck { waiting: waiting(), virtual_ns: self.bed.now() });
            }
        }
    }

    /// Connects, moves the file there and back, disconnects; when the last byte was there.
    fn moves(&mut self, client: &mut Client, server: &mut Server) -> Result<u64, Trouble> {
        self.run_until(|| "the connection".to_owned(), || Ok(server.connect()? & client.connect()?))?;
        while !client.is_done() {
            let before = client.moved();
            let mut go_on = (self.watch)(before);
            let waiting = || format!("pieces, {before} bytes so far");
            let Under { bed, watch } = self;
            let mut inner = Under { bed: &mut **bed, watch: &mut |_| true };
            inner.run_until(waiting, || {
                server.serve()?;
                client.work()?;
                go_on &= watch(client.moved());
                Ok(client.moved() != before || client.is_done() || !go_on)
            })?;
            if !go_on {
                return Err(Trouble::Stopped { bytes: client.moved() });
            }
        }
        let virtual_ns = self.bed.now();
        let disconnected = client.disconnect();
        self.run_until(
            || "the disconnect".to_owned(),
            || {
                server.answer_disconnect();
                Ok(disconnected.status().is_some())
            },
        )?;
        Ok(virtual_ns)
    }
}

/// Moves a file from the first adapter's host to the second's and back; `addresses` are theirs. `watch` is told the bytes moved
/// so far, often, and ends the transfer with false. However it ends, everything is closed.
///
/// # Errors
/// What went wrong first.
pub fn transfer(
    bed: &mut dyn Bed,
    adapters: [Adapter; 2],
    addresses: [IpAddr; 2],
    file: &[u8],
    mut watch: impl FnMut(u64) -> bool,
) -> Result<Moved, Trouble> {
    let ([from, to], [client_adapter, server_adapter]) = (addresses, adapters);
    let mut server = Server::try_new(&server_adapter, SocketAddr::new(to, PORT), file.len())?;
    let mut client = Client::try_new(&client_adapter, file, from, SocketAddr::new(to, PORT))?;
    let mut under = Under { bed, watch: &mut watch };
    let outcome = under.moves(&mut client, &mut server);
    let back = client.bytes();
    let guards = client.guards_are_whole() && server.guards_are_whole();
    let (bytes, operations) = (client.moved(), client.operations());
    let ledgers = [client_adapter.ledger, server_adapter.ledger];
    client.close(&client_adapter);
    server.close(&server_adapter);
    let closed = || Ok(ledgers.iter().all(|ledger| ledger.outstanding() == 0));
    under.run_until(|| "the closes".to_owned(), closed)?;
    client_adapter.close();
    server_adapter.close();
    let left = ledgers.iter().map(|ledger| ledger.outstanding()).sum::<u32>();
    let leaks = u64::from(!guards) + u64::from(left);
    outcome.map(|virtual_ns| Moved { bytes, operations, back, virtual_ns, leaks })
}
