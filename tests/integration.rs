//! The one integration-test binary: everything that needs more than one module.

mod incidents;
mod lake;
mod reports;
mod slt;
