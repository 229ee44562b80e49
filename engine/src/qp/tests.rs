//! Packet scripts for the three roles, and two queue pairs over a channel that does everything a network may do.

mod conversation;
mod environment;
mod flush;
mod hostile;
mod local;
mod lossy;
mod reads;
mod requester;
mod responder;
mod retries;
mod selective;
mod served_reads;
