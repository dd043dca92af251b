//! Ascribe: an embedded analytical database for attribution.

pub mod attribution;
pub mod clock;
pub mod error;
pub mod ingest;
pub mod model;
