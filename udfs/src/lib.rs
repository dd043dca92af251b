//! Scalar, aggregate and window functions for attribution queries.
