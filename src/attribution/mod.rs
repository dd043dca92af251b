//! The algorithms of attribution: plain structs in, plain structs out. No SQL, no I/O, no clock.

pub mod allocation;
pub mod clock_skew;
pub mod demand;
pub mod origin;
pub mod owners;
pub mod role_chain;
pub mod split;
pub mod trace;
