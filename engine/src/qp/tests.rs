//! Packet scripts for the three roles, and two queue pairs over a channel that does everything a network may do.

mod conversation;
mod environment;
mod flush;
mod hostile;
mod lossy;
mod requester;
mod responder;
mod selective;
