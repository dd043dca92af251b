//! The one integration-test binary: everything that needs more than one module.

mod lake;
mod money;
mod reports;
mod slt;
