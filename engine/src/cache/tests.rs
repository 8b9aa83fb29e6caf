//! Keeping and restoring as a whole, against a folder that changes.
