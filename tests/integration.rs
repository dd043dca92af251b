//! The one integration-test binary: everything that needs more than one module.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, and reads what it was told by the environment"
)]

mod command_line;
mod company;
mod functions;
mod incidents;
mod lake;
mod live;
mod money;
mod oracle;
mod oracle_traces;
mod pgwire;
mod pgwire_catalog;
mod pgwire_semantics;
mod privacy;
mod reports;
mod security;
mod simulation;
mod slt;
mod sources;
mod statements;
mod tidy;
mod upkeep;
mod wrong_calls;
