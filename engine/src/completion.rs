//! Completions: what a work request came to, in IBTA's words.

use crate::key::RKey;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionStatus {
    /// It was carried out.
    Success,
    /// It was cancelled by a flush or an error before it.
    Flushed,
    /// A local SGE was refused.
    LocalProtection,
    /// A receive was too small for the message (receiver's side), or lengths disagree (requester's side).
    LocalLength,
    /// A local operation (bind, fast register, invalidate) was not possible.
    LocalOperation,
    /// The peer refused the key, the range or the right.
    RemoteAccess,
    /// The peer found the request invalid.
    RemoteInvalidRequest,
    /// The peer could not complete the request.
    RemoteOperation,
    /// The peer did not answer within the retries and their time.
    TransportRetryExceeded,
    /// The peer never had a receive posted.
    RnrRetryExceeded,
    /// A response could not be right.
    BadResponse,
}

/// What kind of request completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionKind {
    /// SEND, with or without invalidate.
    Send,
    /// RDMA WRITE.
    RdmaWrite,
    /// RDMA READ.
    RdmaRead,
    /// Fast register.
    FastRegister,
    /// Bind.
    Bind,
    /// Local invalidate.
    LocalInvalidate,
    /// A receive.
    Receive,
    /// A receive whose message invalidated a key of ours.
    ReceiveWithInvalidate {
        /// The key that is invalid now.
        r_key: RKey,
    },
}

/// One completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The consumer's context of the request.
    pub wr_id: u64,
    /// How it ended.
    pub status: CompletionStatus,
    /// What it was.
    pub kind: CompletionKind,
    /// Received bytes (receives only; 0 after WRITE with immediate, T-32).
    pub byte_len: u32,
    /// The message asked for a solicited event (receives only).
    pub solicited: bool,
}

/// The completion queue is dead (overrun or fatal): the queue pair goes to the error state without a word (T-08).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CqDead;

/// Where completions go, lent to one turn. Entries of one work queue arrive in the order they are given.
pub trait Completions {
    /// A send-queue request ended.
    fn send_complete(&mut self, completion: Completion) -> Result<(), CqDead>;

    /// A receive ended.
    fn receive_complete(&mut self, completion: Completion) -> Result<(), CqDead>;
}
