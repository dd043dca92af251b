//! The one integration-test binary: everything that needs more than one module.

mod lake;
mod money;
mod pgwire;
mod pgwire_catalog;
mod reports;
mod slt;
