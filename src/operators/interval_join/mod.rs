//! Joins on time intervals, recognised in plain SQL: a point in an interval, or two intervals that overlap.
//!
//! Any such condition says of each pair of rows that something of the build side is not above something of the probe
//! side (`start`) and that something else of the build side is not below something else of the probe side (`end`):
//!
//! | condition | `start` | `end` |
//! |---|---|---|
//! | `p.t >= b.from AND p.t < b.to` | `b.from <= p.t` | `b.to > p.t` |
//! | `b.t >= p.from AND b.t < p.to` | `b.t < p.to` | `b.t >= p.from` |
//! | `b.from < p.to AND b.to > p.from` | `b.from < p.to` | `b.to > p.from` |
//!
//! The build side is sorted by its `start` in each group of equal keys. What matches a row of the probe side is then a
//! prefix of its group less the rows that end too early, which a tree of maxima skips.

mod exec;
mod index;
mod recognise;
mod rule;
mod stream;

pub use exec::IntervalJoinExec;
pub use rule::RecogniseIntervalJoins;
