//! From IBTA outcomes to NTSTATUS, once. Nothing else in the crate turns an engine's outcome into a status.

use ndk_types::{
    NTSTATUS, STATUS_ACCESS_VIOLATION, STATUS_BUFFER_OVERFLOW, STATUS_CANCELLED, STATUS_DATA_OVERRUN,
    STATUS_INTERNAL_ERROR, STATUS_INVALID_DEVICE_REQUEST, STATUS_IO_TIMEOUT, STATUS_REMOTE_RESOURCES, STATUS_SUCCESS,
};
use roce_engine::completion::{CompletionKind, CompletionStatus};

/// The status of a completed request (`NDK_RESULT.Status`, OQ-20).
pub const fn completion(status: CompletionStatus, kind: CompletionKind) -> NTSTATUS {
    match status {
        CompletionStatus::Success => STATUS_SUCCESS,
        CompletionStatus::Flushed => STATUS_CANCELLED,
        CompletionStatus::LocalProtection => STATUS_ACCESS_VIOLATION,
        CompletionStatus::LocalLength => match kind {
            // WR-44: a send longer than the receive.
            CompletionKind::Receive | CompletionKind::ReceiveWithInvalidate { .. } => STATUS_BUFFER_OVERFLOW,
            CompletionKind::Send
            | CompletionKind::RdmaWrite
            | CompletionKind::RdmaRead
            | CompletionKind::FastRegister
            | CompletionKind::Bind
            | CompletionKind::LocalInvalidate => STATUS_DATA_OVERRUN,
        },
        CompletionStatus::LocalOperation => STATUS_INVALID_DEVICE_REQUEST,
        // WR-27 and WR-47: ND's "remote error" is this number.
        CompletionStatus::RemoteAccess | CompletionStatus::RemoteInvalidRequest | CompletionStatus::RemoteOperation => {
            STATUS_REMOTE_RESOURCES
        }
        // WR-46: also when the peer never posted a receive.
        CompletionStatus::TransportRetryExceeded | CompletionStatus::RnrRetryExceeded => STATUS_IO_TIMEOUT,
        CompletionStatus::BadResponse => STATUS_INTERNAL_ERROR,
    }
}

/// `NDK_RESULT_EX.ProviderErrorCode`: zero on success (CQ-23), else a number that tells apart what the status does not.
/// The numbers are the work-completion codes every RDMA stack prints.
pub const fn provider_error_code(status: CompletionStatus) -> u32 {
    match status {
        CompletionStatus::Success => 0,
        CompletionStatus::LocalLength => 1,
        CompletionStatus::LocalOperation => 2,
        CompletionStatus::LocalProtection => 4,
        CompletionStatus::Flushed => 5,
        CompletionStatus::BadResponse => 7,
        CompletionStatus::RemoteInvalidRequest => 9,
        CompletionStatus::RemoteAccess => 10,
        CompletionStatus::RemoteOperation => 11,
        CompletionStatus::TransportRetryExceeded => 12,
        CompletionStatus::RnrRetryExceeded => 13,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// CQ-23
    #[test]
    fn only_success_has_no_error_code() {
        assert_eq!(provider_error_code(CompletionStatus::Success), 0);
        assert_eq!(completion(CompletionStatus::Success, CompletionKind::Send), STATUS_SUCCESS);
        for failed in [
            CompletionStatus::LocalLength,
            CompletionStatus::LocalOperation,
            CompletionStatus::LocalProtection,
            CompletionStatus::Flushed,
            CompletionStatus::BadResponse,
            CompletionStatus::RemoteInvalidRequest,
            CompletionStatus::RemoteAccess,
            CompletionStatus::RemoteOperation,
            CompletionStatus::TransportRetryExceeded,
            CompletionStatus::RnrRetryExceeded,
        ] {
            assert_ne!(provider_error_code(failed), 0);
            assert_ne!(completion(failed, CompletionKind::Receive), STATUS_SUCCESS);
        }
    }

    /// WR-44
    #[test]
    fn a_message_longer_than_its_receive_is_a_buffer_overflow_to_the_receiver_only() {
        let receive = completion(CompletionStatus::LocalLength, CompletionKind::Receive);
        assert_eq!(receive, STATUS_BUFFER_OVERFLOW);
        assert_eq!(completion(CompletionStatus::LocalLength, CompletionKind::RdmaRead), STATUS_DATA_OVERRUN);
    }
}
