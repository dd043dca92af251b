//! The algorithms of attribution: plain structs in, plain structs out. No SQL, no I/O, no clock.

pub mod allocation;
pub mod anomaly;
pub mod blame_flow;
pub mod change_scoring;
pub mod clock_skew;
pub mod confidence;
pub mod contrast;
pub mod demand;
pub mod detectors;
pub mod load;
pub mod metric_blame;
pub mod origin;
pub mod owners;
pub mod role_chain;
pub mod split;
pub mod stats;
pub mod templates;
pub mod trace;
pub mod version_changes;
pub mod visits;
