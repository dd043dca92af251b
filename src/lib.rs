//! Ascribe: an embedded analytical database for attribution — who or what caused an outcome in a distributed system,
//! who owns it, and how sure we are.
//!
//! ```no_run
//! # async fn ask() -> ascribe::error::Result<()> {
//! let database = ascribe::Database::open("./lake").await?;
//! for batch in database.sql("SELECT service_name, count(*) FROM spans GROUP BY 1").await? {
//!     assert_eq!(batch.num_columns(), 2);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Modules stand in dependency order; `ARCHITECTURE.md` beside this file is the map.

pub mod error;

pub mod config;

pub mod attribution;
pub mod clock;

pub mod model;

pub mod document;

pub mod privacy;

pub mod operators;

pub mod storage;

pub mod security;

pub mod dialect;

pub mod table_functions;

pub mod optimizer;

pub mod catalog;

pub mod ingest;

pub mod simulate;

pub mod session;

pub mod server;

mod database;

pub mod maintenance;

pub mod reports;

pub use database::Database;
