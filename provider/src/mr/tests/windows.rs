//! Binding windows, and what their regions wait for.

use super::*;

fn prepare(
    bench: &Bench,
    window: &Borrowed<'_, Mw<System>>,
    mr: *mut NDK_MR,
    va: u64,
    length: usize,
    flags: u32,
) -> Result<mw::Prepared<System>, NTSTATUS> {
    // SAFETY: the MR is open.
    let mr = unsafe { Borrowed::<Mr<System>>::from_handle(mr) };
    let posted = PostedBind { va: core::ptr::without_provenance_mut(va as usize), length, flags };
    mw::prepare_bind(window, &mr, bench.domain(), &posted)
}

/// MW-02, MW-03, MW-04, MW-05, MW-09, OQ-32
#[test]
fn a_bind_is_checked_inline_and_its_token_is_there_when_it_is_posted() {
    let bench = Bench::new();
    let mut buffer = Buffer::new(0, &[4096]);
    let (mr, mw) = (bench.mr(false), bench.mw());
    // SAFETY: the MW is open.
    let window = unsafe { Borrowed::<Mw<System>>::from_handle(mw) };
    let refused = |va, length, flags| prepare(&bench, &window, mr, va, length, flags).err();
    assert_eq!(refused(VA, 1, READ), Some(STATUS_INVALID_DEVICE_STATE), "not registered");
    assert_eq!(register(mr, &mut buffer, 4096, NDK_MR_FLAG_ALLOW_REMOTE_READ), STATUS_SUCCESS);
    assert_eq!(refused(VA, 4097, READ), Some(STATUS_INVALID_PARAMETER));
    assert_eq!(refused(VA - 1, 1, READ), Some(STATUS_INVALID_PARAMETER));
    assert_eq!(refused(VA + 1, usize::MAX, READ), Some(STATUS_INVALID_PARAMETER));
    assert_eq!(refused(VA, 1, WRITE), Some(STATUS_ACCESS_VIOLATION));
    let before = call!(mw, NdkGetRemoteTokenFromMw);
    let prepared = prepare(&bench, &window, mr, VA + 8, 16, READ).ok().unwrap();
    assert_eq!(call!(mw, NdkGetRemoteTokenFromMw), before, "not posted yet");
    let Operation::Bind(request) = prepared.operation() else { panic!("a bind") };
    prepared.posted();
    let token = RKey(call!(mw, NdkGetRemoteTokenFromMw));
    assert_eq!(token, request.window);
    assert_ne!(token.0, before);
    let mut turn = bench.turn();
    turn.bind(&request).unwrap();
    assert!(turn.grant(token, VA + 8, 16, Access::REMOTE_READ).is_ok());
    turn.finish();
    assert_eq!(call!(mr, NdkDeregisterMr, None, null_mut()), STATUS_DEVICE_BUSY);
    let header = mw.cast::<NDK_OBJECT_HEADER>();
    for done in [true, false] {
        // SAFETY: an open object's header.
        let operation = unsafe { mw::prepare_invalidate::<System>(header, bench.domain()) };
        let Ok(Operation::LocalInvalidate { key }) = operation else { panic!("an invalidate") };
        assert_eq!(bench.turn().invalidate(key).is_ok(), done);
    }
    assert_eq!(call!(mr, NdkDeregisterMr, None, null_mut()), STATUS_SUCCESS);
    assert_eq!(call!(mw, NdkCloseMw, None, null_mut()), STATUS_SUCCESS);
    assert_eq!(close_mr(mr), STATUS_SUCCESS);
    bench.end();
}

/// MW-11, LT-06, LT-07, LT-08
#[test]
fn a_regions_close_waits_for_the_close_of_a_window_that_was_bound_to_it() {
    let bench = Bench::new();
    let mut buffer = Buffer::new(0, &[4096]);
    let (mr, mw) = (bench.mr(false), bench.mw());
    assert_eq!(register(mr, &mut buffer, 4096, NDK_MR_FLAG_ALLOW_REMOTE_WRITE), STATUS_SUCCESS);
    {
        // SAFETY: the MW is open.
        let window = unsafe { Borrowed::<Mw<System>>::from_handle(mw) };
        let prepared = prepare(&bench, &window, mr, VA, 4096, WRITE).ok().unwrap();
        let Operation::Bind(request) = prepared.operation() else { panic!("a bind") };
        prepared.posted();
        bench.turn().bind(&request).unwrap();
    }
    let (mr_closed, mw_closed) = (Told::new(), Told::new());
    assert_eq!(call!(mr, NdkCloseMr, Some(close_completed), mr_closed.context()), STATUS_PENDING);
    let token = RKey(call!(mw, NdkGetRemoteTokenFromMw));
    let mut turn = bench.turn();
    let epoch = turn.grant(token, VA, 1, Access::REMOTE_WRITE).unwrap();
    turn.remote_write(token, epoch, VA, &[77]).unwrap();
    assert_eq!(call!(mw, NdkCloseMw, Some(close_completed), mw_closed.context()), STATUS_PENDING, "a turn is in it");
    assert_eq!((mr_closed.count(), bench.mapped()), (0, 1));
    turn.finish();
    bench.port.on_deferred();
    assert_eq!((mw_closed.count(), mr_closed.count(), bench.mapped()), (1, 1, 0));
    assert_eq!(buffer.byte(0), 77);
    bench.end();
}
