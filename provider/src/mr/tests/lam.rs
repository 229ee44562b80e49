//! Logical address mappings, and what registration flags grant.

use super::*;

/// LAM-02, LAM-03, LAM-04, LAM-05, LAM-06, LAM-13, LAM-15
#[test]
fn a_lam_tells_its_size_first_and_then_its_pages() {
    let bench = Bench::new();
    let mut buffer = Buffer::new(4000, &[100, 4096]);
    let (mut size, mut fbo) = (0, 0);
    let query = call!(
        bench.adapter,
        NdkBuildLAM,
        buffer.mdl(),
        4196,
        None,
        null_mut(),
        null_mut(),
        &raw mut size,
        &raw mut fbo
    );
    assert_eq!((query, size), (STATUS_BUFFER_TOO_SMALL, 16 + 3 * 8));
    size -= 1;
    let mut lam = [0u64; 6];
    let into = lam.as_mut_ptr().cast();
    let build = |buffer: &mut Buffer, size: &mut u32, fbo: &mut u32| {
        call!(bench.adapter, NdkBuildLAM, buffer.mdl(), 4196, None, null_mut(), into, size, fbo)
    };
    assert_eq!(build(&mut buffer, &mut size, &mut fbo), STATUS_BUFFER_TOO_SMALL);
    assert_eq!(size, 40);
    assert_eq!(build(&mut buffer, &mut size, &mut fbo), STATUS_SUCCESS);
    // SAFETY: the provider filled it.
    let lam = unsafe { into.cast::<[u64; 6]>().read() };
    assert_eq!((size, fbo, lam[1] as u32, lam[5]), (40, 4000, 3, 0));
    assert!(lam[2..5].iter().all(|page| page.is_multiple_of(4096)));
    drop(core::mem::take(&mut buffer.mdls));
    let l_key = {
        let mut token = 0;
        call!(bench.pd, NdkGetPrivilegedMemoryRegionToken, &raw mut token);
        LKey(token)
    };
    let mut bytes = [0; 2];
    bench.turn().gather(&Sge { addr: lam[2] + 4000, length: 2, l_key }, 0, &mut bytes).unwrap();
    assert_eq!(bytes, [0, 1]);
    bench.turn().gather(&Sge { addr: lam[4] + 2, length: 2, l_key }, 0, &mut bytes).unwrap();
    assert_eq!(bytes, [buffer.byte(4194), buffer.byte(4195)]);
    call!(bench.adapter, NdkReleaseLAM, into);
    assert_eq!(bench.mapped(), 0);
    call!(bench.adapter, NdkReleaseLAM, into);
    bench.end();
}

/// LAM-01, LAM-08
#[test]
fn a_lam_that_cannot_be_built_leaves_nothing_mapped() {
    let bench = Bench::new();
    let mut buffer = Buffer::new(0, &[4096, 4096]);
    assert_eq!(bench.build_lam(&mut buffer, 8193).0, STATUS_INVALID_PARAMETER);
    assert_eq!(bench.build_lam(&mut buffer, 0).0, STATUS_INVALID_PARAMETER);
    buffer.mdls[1].StartVa = null_mut();
    assert_eq!(bench.build_lam(&mut buffer, 4097).0, STATUS_INVALID_PARAMETER);
    assert_eq!(bench.build_lam(&mut buffer, 4096).0, STATUS_SUCCESS, "what Length leaves out does not count");
    bench.refuse.store(true, Ordering::Relaxed);
    assert_eq!(bench.build_lam(&mut buffer, 4096).0, STATUS_INSUFFICIENT_RESOURCES);
    bench.refuse.store(false, Ordering::Relaxed);
    let built: Vec<_> = (0..2).map(|_| bench.build_lam(&mut buffer, 4096)).collect();
    assert!(built.iter().all(|(status, _, _)| *status == STATUS_SUCCESS));
    assert_eq!(bench.mapped(), 3);
    assert_eq!(bench.build_lam(&mut buffer, 4096).0, STATUS_INSUFFICIENT_RESOURCES, "the slots are used up");
    assert_eq!(bench.mapped(), 3);
    bench.end();
}

/// MR-09, MR-10, MR-11, MR-12
#[test]
fn registration_flags_grant_what_they_say_and_remote_write_grants_local_write_too() {
    let bench = Bench::new();
    let mut buffer = Buffer::new(0, &[64]);
    let mr = bench.mr(false);
    let rights = [
        (0, Access::LOCAL_READ),
        (NDK_MR_FLAG_RDMA_READ_SINK, Access::LOCAL_READ),
        (NDK_MR_FLAG_ALLOW_LOCAL_WRITE, Access::LOCAL_WRITE),
        (NDK_MR_FLAG_ALLOW_REMOTE_READ, Access::REMOTE_READ),
        (NDK_MR_FLAG_ALLOW_REMOTE_WRITE, Access::LOCAL_WRITE.and(Access::REMOTE_WRITE)),
        (
            NDK_MR_FLAG_ALLOW_REMOTE_WRITE | NDK_MR_FLAG_ALLOW_REMOTE_READ | NDK_MR_FLAG_RDMA_READ_SINK,
            Access::LOCAL_WRITE.and(Access::REMOTE_WRITE).and(Access::REMOTE_READ),
        ),
    ];
    for (flags, granted) in rights {
        assert_eq!(register(mr, &mut buffer, 64, flags), STATUS_SUCCESS);
        let mut turn = bench.turn();
        let sge = Sge { addr: VA, length: 8, l_key: local(mr) };
        assert!(turn.gather(&sge, 0, &mut [0; 8]).is_ok());
        assert_eq!(turn.scatter(&sge, 0, &[0; 8]).is_ok(), granted.allows(Access::LOCAL_WRITE), "{flags:x}");
        for right in [Access::REMOTE_READ, Access::REMOTE_WRITE] {
            assert_eq!(turn.grant(remote(mr), VA, 8, right).is_ok(), granted.allows(right), "{flags:x}");
        }
        turn.finish();
        assert_eq!(call!(mr, NdkDeregisterMr, None, null_mut()), STATUS_SUCCESS);
    }
    assert_eq!(close_mr(mr), STATUS_SUCCESS);
    bench.end();
}
