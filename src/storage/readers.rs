//! What versions of a table this node is reading, so that no file of theirs is deleted.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Lake;
use crate::model::Table;

/// A version of a table that is being read; as long as it lives, its files stay.
#[derive(Debug)]
pub struct Pin {
    version: u64,
    since: i64,
}

/// The pins of a lake, by table.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<BTreeMap<&'static str, Vec<Weak<Pin>>>>);

impl Lake {
    /// Keep the files of a version of a table, on this node.
    #[must_use]
    pub fn pin(&self, table: &'static Table, version: u64) -> Arc<Pin> {
        let pin = Arc::new(Pin { version, since: self.clock.now_micros() });
        let mut readers = self.readers.0.lock();
        let pins = readers.entry(table.name).or_default();
        pins.retain(|pin| pin.strong_count() > 0);
        pins.push(Arc::downgrade(&pin));
        pin
    }

    /// The oldest version of a table that this node is reading, and since when something is read, microseconds since the
    /// epoch.
    #[must_use]
    pub fn oldest_pinned(&self, table: &'static Table) -> Option<(u64, i64)> {
        let readers = self.readers.0.lock();
        let pins: Vec<_> = readers.get(table.name)?.iter().filter_map(Weak::upgrade).collect();
        Some((pins.iter().map(|pin| pin.version).min()?, pins.iter().map(|pin| pin.since).min()?))
    }
}
