//! The algorithms of attribution: plain structs in, plain structs out. No SQL, no I/O, no clock.

pub mod clock_skew;
pub mod trace;
