//! Tests of the schedule. Each file knows the public surface of the core only.

mod compensation;
mod edges;
mod end;
mod large;
mod random;
mod room;
mod sketch;
mod watch;
