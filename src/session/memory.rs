//! The memory of one session: a part of what all share that it may not exceed, and how much it has had.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{Result, resources_datafusion_err};
use datafusion::execution::context::SessionContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// A pool within another one.
#[derive(Debug)]
pub(crate) struct SessionPool {
    shared: Arc<dyn MemoryPool>,
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl SessionPool {
    /// A part of `shared` of at most so many bytes.
    pub(super) fn new(shared: Arc<dyn MemoryPool>, limit: usize) -> Self {
        Self { shared, limit, used: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// The pool of a session; none if an embedding program has given it another one.
    pub(crate) fn of(session: &SessionContext) -> Option<Arc<dyn MemoryPool>> {
        let pool = Arc::clone(&session.runtime_env().memory_pool);
        pool.is::<Self>().then_some(pool)
    }

    /// The most that was used since this was last asked, bytes.
    pub(crate) fn take_peak(pool: &dyn MemoryPool) -> usize {
        let Some(own) = pool.downcast_ref::<Self>() else { return 0 };
        own.peak.swap(own.used.load(Ordering::Relaxed), Ordering::Relaxed)
    }

    fn took(&self, used: usize) {
        self.peak.fetch_max(used, Ordering::Relaxed);
    }
}

impl fmt::Display for SessionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (used: {}, limit: {})", self.name(), self.used.load(Ordering::Relaxed), self.limit)
    }
}

impl MemoryPool for SessionPool {
    fn name(&self) -> &str {
        "session"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.shared.grow(reservation, additional);
        self.took(self.used.fetch_add(additional, Ordering::Relaxed) + additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.shared.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let grown = |used: usize| used.checked_add(additional).filter(|used| *used <= self.limit);
        let before = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).map_err(|used| {
            resources_datafusion_err!(
                "{} asks for {additional} bytes more, and the session has {used} of the {} that one may have",
                reservation.consumer().name(),
                self.limit
            )
        })?;
        if let Err(error) = self.shared.try_grow(reservation, additional) {
            self.used.fetch_sub(additional, Ordering::Relaxed);
            return Err(error);
        }
        self.took(before + additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    #[test]
    fn a_session_takes_its_part_and_gives_it_back() {
        let shared: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let session = |limit| -> Arc<dyn MemoryPool> { Arc::new(SessionPool::new(Arc::clone(&shared), limit)) };
        let (one, other) = (session(60), session(60));
        let large = MemoryConsumer::new("sort").register(&one);
        large.try_grow(50).unwrap();
        let refused = large.try_grow(20).unwrap_err().to_string();
        assert!(refused.contains("sort") && refused.contains("50 of the 60"), "{refused}");
        // What the others have left is less than its part.
        let more = MemoryConsumer::new("join").register(&other);
        more.try_grow(51).unwrap_err();
        more.try_grow(50).unwrap();
        assert_eq!((one.reserved(), other.reserved(), shared.reserved()), (50, 50, 100));
        large.shrink(30);
        assert_eq!((SessionPool::take_peak(one.as_ref()), SessionPool::take_peak(one.as_ref())), (50, 20));
        drop((large, more));
        assert_eq!((one.reserved(), other.reserved(), shared.reserved()), (0, 0, 0));
        assert_eq!(SessionPool::take_peak(shared.as_ref()), 0);
    }
}
