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

/// Lets the bed go on until `done`.
fn run_until(
    bed: &mut dyn Bed,
    waiting: impl Fn() -> String,
    mut done: impl FnMut() -> Result<bool, Failed>,
) -> Result<(), Trouble> {
    loop {
        if done()? {
            return Ok(());
        }
        // Twice: what the last check asked for counts too.
        if !bed.step() && !bed.step() {
            return Err(Trouble::Stuck { waiting: waiting(), virtual_ns: bed.now() });
        }
    }
}

/// Moves a file from the first adapter's host to the second's and back; `addresses` are theirs. `progress` is told the bytes
/// moved so far.
pub fn transfer(
    bed: &mut dyn Bed,
    adapters: [Adapter; 2],
    addresses: [IpAddr; 2],
    file: &[u8],
    mut progress: impl FnMut(u64),
) -> Result<Moved, Trouble> {
    let ([from, to], [client_adapter, server_adapter]) = (addresses, adapters);
    let mut server = Server::try_new(&server_adapter, SocketAddr::new(to, PORT), file.len())?;
    let mut client = Client::try_new(&client_adapter, file, from, SocketAddr::new(to, PORT))?;
    run_until(bed, || "the connection".to_owned(), || Ok(server.connect()? & client.connect()?))?;
    loop {
        let before = client.moved();
        let waiting = || format!("pieces, {before} bytes so far");
        run_until(bed, waiting, || {
            server.serve()?;
            client.work()?;
            Ok(client.moved() != before || client.is_done())
        })?;
        progress(client.moved());
        if client.is_done() {
            break;
        }
    }
    let virtual_ns = bed.now();
    let back = client.bytes();
    let guards = client.guards_are_whole() && server.guards_are_whole();
    let (bytes, operations) = (client.moved(), client.operations());
    let disconnected = client.disconnect();
    run_until(
        bed,
        || "the disconnect".to_owned(),
        || {
            server.answer_disconnect();
            Ok(disconnected.status().is_some())
        },
    )?;
    let ledgers = [client_adapter.ledger, server_adapter.ledger];
    client.close(&client_adapter);
    server.close(&server_adapter);
    run_until(bed, || "the closes".to_owned(), || Ok(ledgers.iter().all(|ledger| ledger.outstanding() == 0)))?;
    client_adapter.close();
    server_adapter.close();
    let left = ledgers.iter().map(|ledger| ledger.outstanding()).sum::<u32>();
    Ok(Moved { bytes, operations, back, virtual_ns, leaks: u64::from(!guards) + u64::from(left) })
}
