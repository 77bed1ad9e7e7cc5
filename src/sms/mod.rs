//! Text messages: what comes in becomes a thread's conversation, what must go out leaves from the outbox.
//!
//! ```text
//! link or provider ──Received──► desk ──► session ──► one commit (received, state, reply) ──► acknowledged
//! outbox ──claim──► dispatch ──route──► carry (SMPP binds, a provider) ──► settled: accepted, failed, unknown
//! receipt ──► dispatch ──► delivered, undelivered
//! ```
//! A text is acknowledged only when what it causes is committed, and one that may have left is never sent again. Bodies may
//! hold a PIN: they are wiped when handled, never stored unsealed, never logged. Who may pay and what is said is decided
//! elsewhere.

pub mod address;
pub mod carry;
pub mod desk;
pub mod dispatch;
pub mod http;
pub mod nonsense;
pub mod parked;
pub mod received;
pub mod repeat;
pub mod retry;
pub mod route;
pub mod smpp;
