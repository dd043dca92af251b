//! Who may do what: roles, what was granted to them, which rows and values they see, and how they prove who they are.
//!
//! All of it is one [`State`], a document in the lake ([`Directory`]), so that every node has the same and none keeps
//! anything of its own. [`Access`] is the state from the side of one role. Nothing here knows a query engine beyond
//! [`Rights`], by which a session finds the same names with other rights.

mod access;
mod apply;
pub mod audit;
mod directory;
mod redact;
mod rights;
pub mod scram;
mod state;

pub use access::{Access, Guard, Restriction};
pub use apply::{Change, RoleOptions};
pub use directory::Directory;
pub use redact::{redact, without_secrets};
pub use rights::Rights;
pub use state::{Grant, Mask, Object, Policy, Privilege, Role, State};
