//! The remote cache from outside, against a real S3 server and behind a proxy that does what networks and servers do.
//! Whatever that is: the run has the result, the exit code and the files that it has without a cache.

#[cfg(not(feature = "remote"))]
mod without;

#[cfg(feature = "remote")]
mod faults;
#[cfg(feature = "remote")]
mod proxy;
#[cfg(feature = "remote")]
mod server;
#[cfg(feature = "remote")]
mod sharing;
#[cfg(feature = "remote")]
mod strict;
#[cfg(feature = "remote")]
mod trust;
#[cfg(feature = "remote")]
mod with;
