//! The bound on what live requests hold in memory: what does not fit is refused before it is read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit stands for.
const UNIT: usize = 1024;

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Admits requests up to a number, and their bytes up to a sum.
#[derive(Debug, Clone)]
pub struct Gate {
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// The room of one request; given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    _request: OwnedSemaphorePermit,
    bytes: Arc<Semaphore>,
    permits: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// Room for so many requests of so many bytes together.
    #[must_use]
    pub fn new(requests: usize, bytes: usize) -> Self {
        let permits = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { requests: permits(requests), bytes: permits(bytes.div_ceil(UNIT)) }
    }

    /// Room for one more request, without bytes yet.
    ///
    /// # Errors
    /// When there are too many.
    pub fn enter(&self) -> Result<Held, Full> {
        let request = Arc::clone(&self.requests).try_acquire_owned().map_err(|_| Full)?;
        Ok(Held { _request: request, bytes: Arc::clone(&self.bytes), permits: None })
    }
}

impl Held {
    /// Have room for at least so many bytes.
    ///
    /// # Errors
    /// When there is not enough.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let missing = bytes.div_ceil(UNIT).saturating_sub(self.permits());
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).map_err(|_| Full)?;
        let more = Arc::clone(&self.bytes).try_acquire_many_owned(missing).map_err(|_| Full)?;
        match &mut self.permits {
            Some(permits) => permits.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// Give back what is beyond so many bytes.
    pub fn shrink(&mut self, bytes: usize) {
        let beyond = self.permits().saturating_sub(bytes.div_ceil(UNIT));
        drop(self.permits.as_mut().and_then(|permits| permits.split(beyond)));
    }

    fn permits(&self) -> usize {
        self.permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_room_comes_back() {
        let gate = Gate::new(2, 10 * UNIT);
        let mut first = gate.enter().unwrap();
        first.grow(9 * UNIT + 1).unwrap();
        first.grow(3).unwrap();
        let mut second = gate.enter().unwrap();
        assert_eq!(second.grow(1), Err(Full));
        assert_eq!(gate.enter().unwrap_err(), Full);
        first.shrink(4 * UNIT);
        second.grow(6 * UNIT).unwrap();
        assert_eq!(second.grow(6 * UNIT + 1), Err(Full));
        drop(first);
        second.grow(10 * UNIT).unwrap();
        assert!(gate.enter().is_ok());
    }
}
