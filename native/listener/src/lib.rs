//! The front door: frames HTTP/2, gRPC, HTTP/1.1 and TLS on threads of its own. It hands whole requests out in batches
//! and takes whole answers in; what they mean is not its business.
//!
//! ```text
//! entrance ─ server ─┬─ rpc ── frame ──┐                   ┌── Listener::take  (batch)
//!                    └─ exchange ──────┴─ door ─ mailbox ──┴── Listener::answer
//! ```
#![forbid(unsafe_code)]

mod answer;
mod batch;
mod door;
mod entrance;
mod exchange;
mod frame;
mod mailbox;
mod receive;
mod rpc;
mod server;
#[cfg(test)]
mod tests;
mod text;

pub use answer::{Answer, framed};
pub use entrance::Entrance;
pub use server::{Listener, OpenError, Options, Tls};
