//! WR: what the loaded image's posting functions take from the machine.

mod on_image;

use ndk_types::*;
use on_image::{ends, pair};
use sim_harness::conformance::pair::{Pair, results};

/// WR-49: a post at DISPATCH_LEVEL needs no memory of the system's: whatever it needs its queue pair brought along.
#[test]
fn a_post_allocates_nothing() {
    let mut bed = pair(1);
    let pair = Pair::new(&mut bed);
    let hosts = bed.hosts.clone();
    let region = pair.server.pd.create_mr(false).unwrap();
    region.register(&pair.server.buffer, NDK_MR_FLAG_ALLOW_REMOTE_WRITE | NDK_MR_FLAG_ALLOW_REMOTE_READ).unwrap();
    let fast = pair.client.pd.create_fast_mr(16).unwrap();
    let (window, normal) = (pair.client.pd.create_mw().unwrap(), pair.client.pd.create_mr(false).unwrap());
    normal.register(&pair.client.buffer, NDK_MR_FLAG_ALLOW_LOCAL_WRITE).unwrap();
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    let allocations = || hosts.iter().map(|host| host.machine.nt.pool.allocations()).collect::<Vec<_>>();
    let before = allocations();
    let (client, server) = (&pair.client, &pair.server);
    let sge = client.sge(0, 5000);
    server.qp.receive(0, &[server.sge(0, 5000)]).unwrap();
    client.qp.receive(1, &[client.sge(9000, 100)]).unwrap();
    client.qp.send(2, &[sge], 0).unwrap();
    client.qp.write(3, &[sge], va, token, 0).unwrap();
    client.qp.read(4, &[sge], va, token, 0).unwrap();
    client.qp.bind(5, &normal, &window, client.buffer.va(), 100, NDK_OP_FLAG_ALLOW_REMOTE_READ).unwrap();
    client.qp.invalidate_mw(6, &window, 0).unwrap();
    // The first whole page of the buffer, which starts 100 bytes into one.
    let pages = [client.lam.address(4096 - 100)];
    client.qp.fast_register(7, &fast, &pages, 4096, 1 << 20, NDK_OP_FLAG_ALLOW_REMOTE_READ).unwrap();
    client.qp.invalidate_mr(8, &fast, 0).unwrap();
    server.qp.send(9, &[server.sge(0, 64)], 0).unwrap();
    assert_eq!(allocations(), before, "a post allocates");
    let done: Vec<_> = results(&mut bed, client, 20).iter().map(|result| result.Status).collect();
    assert_eq!(done, [STATUS_SUCCESS; 8]);
    for mr in [region, fast, normal] {
        mr.close();
    }
    window.close();
    pair.close(&mut bed);
    ends(bed);
}
