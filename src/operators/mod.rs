//! Joins in time, which general engines do badly: the interval join behind plain SQL and the ASOF join.
//!
//! Both collect one side, the build side, group it by the equality keys and sort each group by time; the other side
//! streams past in its own partitions and is looked up. What they share is here: grouping, ordering, memory, output.
//! The engine's own joins are made to pause.

pub mod asof_join;
pub mod interval_join;
pub mod pausing;
pub mod trace_tree;

mod bounds;
mod build;
mod join;
mod keys;
mod order;
mod output;
mod sorted;
