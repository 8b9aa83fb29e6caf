//! Images as they travel: digests, manifests, layouts on the disk, registries. Knows no container engine and no step.
//!
//! A manifest is kept as the bytes it came in, because writing it again would change its digest; whatever is read is
//! hashed before it is believed.

pub mod archive;
pub mod client;
pub mod copy;
pub mod descriptor;
pub mod digest;
pub mod known;
pub mod layout;
pub mod manifest;
pub mod media;
pub mod place;
pub mod retention;

pub use client::Client;
pub use copy::copy;
pub use descriptor::Descriptor;
pub use digest::{Digest, Hasher};
pub use known::Known;
pub use layout::Layout;
pub use manifest::Manifest;
pub use place::Place;
