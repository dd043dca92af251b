//! The algorithms of attribution: plain rows in, plain rows out. No SQL, no I/O.

pub mod anomaly;
pub mod blame_flow;
pub mod change_scoring;
pub mod confidence;
pub mod detectors;
pub mod stats;
pub mod templates;
pub mod version_changes;
pub mod visits;
