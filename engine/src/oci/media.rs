//! The media types of images, of the OCI's image-spec 1.1 and of Docker's, which mean the same. Knows no contents.

/// An image: a configuration and layers.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Several images, one for each platform, or whatever else belongs together.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's image.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's list of images, one for each platform.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// What is there in place of a configuration that nobody needs.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A content of which nothing is known.
pub const BYTES: &str = "application/octet-stream";

/// Everything that `pipe` can copy. A registry that is asked for less makes another manifest, with another digest.
pub const MANIFESTS: [&str; 4] = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST];

/// Whether contents of this type name other manifests.
#[must_use]
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_LIST)
}

/// Whether contents of this type are a manifest: an image or an index.
#[must_use]
pub fn is_manifest(media_type: &str) -> bool {
    MANIFESTS.contains(&media_type)
}

/// Whether a layer of this type stays where it came from: it may not be copied to other registries.
#[must_use]
pub fn is_foreign(media_type: &str) -> bool {
    media_type.contains(".nondistributable.") || media_type.contains(".foreign.")
}
