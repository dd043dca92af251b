//! The Postgres protocol, version 3: `accept` begins a connection, `connection` answers its messages, `execute` runs
//! statements, `encode` writes rows, `traced` makes spans of them.

mod accept;
mod admission;
mod connection;
mod control;
mod copy;
mod execute;
mod extended;
mod frame;
mod login;
mod parameters;
mod registry;
mod reply;
mod running;
mod session;
mod stop;
mod tls;
mod traced;
mod turns;

use crate::dialect::encode;
pub(super) use accept::{Shared, handle};
pub(super) use admission::Admission;
pub(super) use login::Gate;
pub use login::LoginLimits;
pub(super) use registry::Registry;
pub use tls::{Tls, TlsFiles};
pub use turns::Weights;
