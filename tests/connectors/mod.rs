//! The connectors that are shipped in `deploy/connectors`, each against a stub that is built from what its vendor
//! documents; and the connector language's own parts against the same stub.

mod africastalking;
mod dtone;
mod files;
mod mtn_momo;
mod passage;
mod reloadly;
mod stub;
