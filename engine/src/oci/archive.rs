//! Images as engines hand them out and take them in: the archive of `docker save`, into a layout and out of one. Knows no
//! engine.
//!
//! An engine keeps layers as they are unpacked; registries want them packed. They are packed here, once, always in the
//! same way, so that an image has one digest wherever it is pushed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path};

use flate2::{Compression, GzBuilder};
use serde::Deserialize;

use super::{Descriptor, Digest, Hasher, Layout, Manifest, layout, media};

/// The type of an image's configuration.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The type of a layer, which is packed.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The same, packed otherwise.
const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Where a layout notes as what a layer is packed, by the digest of what is in it.
const PACKED: &str = ".packed";
/// The longest text in an archive that is kept in memory, in bytes: a configuration, a list.
const TEXT: u64 = 8 << 20;

/// Why an archive is no image.
#[derive(Debug, thiserror::Error)]
pub enum NoImage {
    /// It cannot be read, or does not end where it should.
    #[error("what the engine hands out cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Something in it is not what it should be.
    #[error("what the engine hands out is no image: {0}")]
    Malformed(String),
    /// It cannot be kept.
    #[error("the image cannot be kept: {0}")]
    Lost(#[from] layout::Lost),
}

/// What stands in `manifest.json` of an archive, for each image.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<Digest>,
}

/// A file of an archive, and its digest.
struct Kept {
    file: File,
    digest: Digest,
    size: u64,
}

/// Takes one image out of an archive into a layout; gives its manifest. `scratch` is for files of a moment.
///
/// # Errors
/// When the archive is no image of one platform, or the layout cannot be written.
pub fn take(archive: impl Read, layout: &Layout, scratch: &Path) -> Result<Manifest, NoImage> {
    let mut files = unpacked(archive, scratch)?;
    let list = text(&mut files, "manifest.json")?;
    let listed: Vec<Listed> = json(&list, "manifest.json")?;
    let [listed] = <[Listed; 1]>::try_from(listed)
        .map_err(|all| NoImage::Malformed(format!("it has {} images", all.len())))?;
    let config = text(&mut files, &listed.config)?;
    let diffs = json::<Config>(&config, &listed.config)?.rootfs.diff_ids;
    if diffs.len() != listed.layers.len() {
        let (is, says) = (listed.layers.len(), diffs.len());
        let why = format!("it has {is} layers, and its configuration says {says}");
        return Err(NoImage::Malformed(why));
    }
    let mut layers = Vec::new();
    for (name, diff) in listed.layers.iter().zip(&diffs) {
        let kept = find(&mut files, name)?;
        layers.push(layer(layout, kept, diff)?);
    }
    let config_digest = layout.put(&config)?;
    let config = Descriptor::new(CONFIG, config_digest, config.len() as u64);
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "config": config,
        "layers": layers,
    });
    put(layout, &manifest)
}

/// For which platform an image is: `linux/amd64`.
///
/// # Errors
/// When its configuration cannot be read.
pub fn platform(layout: &Layout, image: &Manifest) -> Result<String, NoImage> {
    let own = described(layout, image)?.platform.unwrap_or_default();
    let text = |name: &str| own[name].as_str().unwrap_or_default().to_owned();
    Ok(format!("{}/{}", text("os"), text("architecture")))
}

/// How an image is named with its platform.
fn described(layout: &Layout, image: &Manifest) -> Result<Descriptor, NoImage> {
    let mut own = image.descriptor();
    if let Some(config) = image.config() {
        let config = layout.read(&config.digest, TEXT)?;
        let config: serde_json::Value = json(&config, "its configuration")?;
        let names = ["architecture", "os", "variant"];
        let known = names.iter().filter_map(|name| {
            let value = config.get(*name)?.as_str().filter(|v| !v.is_empty())?;
            Some(((*name).to_owned(), value.into()))
        });
        own.platform = Some(serde_json::Value::Object(known.collect()));
    }
    Ok(own)
}

/// Makes one image of several for different platforms, in this order.
///
/// # Errors
/// When the layout cannot be read or written.
pub fn index(layout: &Layout, images: &[Manifest]) -> Result<Manifest, NoImage> {
    let listed = images.iter().map(|image| described(layout, image));
    let listed = listed.collect::<Result<Vec<_>, _>>()?;
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media::INDEX,
        "manifests": listed,
    });
    put(layout, &manifest)
}

fn put(layout: &Layout, manifest: &serde_json::Value) -> Result<Manifest, NoImage> {
    let bytes = serde_json::to_vec(manifest).map_err(|e| NoImage::Malformed(e.to_string()))?;
    layout.put(&bytes)?;
    Manifest::read(bytes, None).map_err(|e| NoImage::Malformed(e.to_string()))
}

/// Every file of an archive, by its path. Links are followed inside of it only.
fn unpacked(archive: impl Read, scratch: &Path) -> Result<BTreeMap<String, Kept>, NoImage> {
    let mut files = BTreeMap::new();
    let mut links = Vec::new();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = inside(&entry.path()?)?;
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            let to = entry.link_name()?.unwrap_or_default().into_owned();
            let from = Path::new(&name).parent().filter(|_| kind.is_symlink());
            links.push((
                name.clone(),
                inside(&from.unwrap_or(Path::new("")).join(to))?,
            ));
        } else if kind.is_file() {
            let mut hashing = Hashing {
                to: tempfile::tempfile_in(scratch)?,
                hasher: Hasher::new(),
            };
            let size = io::copy(&mut entry, &mut hashing)?;
            let kept = Kept {
                file: hashing.to,
                digest: hashing.hasher.finish(),
                size,
            };
            files.insert(name, kept);
        }
    }
    for (name, to) in links {
        let kept = files.get(&to).map(Kept::again).transpose()?;
        if let Some(kept) = kept {
            files.insert(name, kept);
        }
    }
    Ok(files)
}

/// A path in an archive, with what goes up and down in it taken out.
fn inside(path: &Path) -> Result<String, NoImage> {
    let mut parts: Vec<&str> = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) if part.to_str().is_some() => parts.extend(part.to_str()),
            Component::ParentDir if parts.pop().is_some() => {}
            _ => {
                let why = format!("{} leads out of it", path.display());
                return Err(NoImage::Malformed(why));
            }
        }
    }
    Ok(parts.join("/"))
}

fn find<'f>(files: &'f mut BTreeMap<String, Kept>, name: &str) -> Result<&'f mut Kept, NoImage> {
    let why = || NoImage::Malformed(format!("{name} is not in it"));
    files.get_mut(name).ok_or_else(why)
}

fn text(files: &mut BTreeMap<String, Kept>, name: &str) -> Result<Vec<u8>, NoImage> {
    let kept = find(files, name)?;
    if kept.size > TEXT {
        return Err(NoImage::Malformed(format!("{name} is longer than 8 MiB")));
    }
    let mut bytes = Vec::new();
    kept.start()?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn json<T: for<'t> Deserialize<'t>>(bytes: &[u8], name: &str) -> Result<T, NoImage> {
    serde_json::from_slice(bytes).map_err(|e| NoImage::Malformed(format!("{name}: {e}")))
}

/// Packs a layer, or finds it packed already.
fn layer(layout: &Layout, kept: &mut Kept, diff: &Digest) -> Result<Descriptor, NoImage> {
    let mut magic = [0; 4];
    let length = kept.start()?.read(&mut magic)?;
    let ready = match &magic[..length] {
        [0x1f, 0x8b, ..] => Some(LAYER),
        [0x28, 0xb5, 0x2f, 0xfd] => Some(LAYER_ZSTD),
        _ => None,
    };
    if let Some(media_type) = ready {
        let mut incoming = layout.incoming()?;
        io::copy(&mut kept.start()?, &mut incoming)?;
        let (digest, size) = incoming.keep(layout, Some(&kept.digest))?;
        return Ok(Descriptor::new(media_type, digest, size));
    }
    if kept.digest != *diff {
        let why = format!(
            "a layer is {} and not {}",
            kept.digest.short(),
            diff.short()
        );
        return Err(NoImage::Malformed(why));
    }
    if let Some(known) = packed(layout, diff) {
        return Ok(known);
    }
    let mut packer = GzBuilder::new().write(layout.incoming()?, Compression::new(6));
    io::copy(&mut kept.start()?, &mut packer)?;
    let (digest, size) = packer.finish()?.keep(layout, None)?;
    let note = layout.root().join(PACKED).join(diff.hex());
    // Without the note it is packed again, to the same.
    let noted = fs::create_dir_all(layout.root().join(PACKED));
    let _ = noted.and_then(|()| fs::write(note, digest.to_string()));
    Ok(Descriptor::new(LAYER, digest, size))
}

/// As what a layer is packed, if that is still there.
fn packed(layout: &Layout, diff: &Digest) -> Option<Descriptor> {
    let note = layout.root().join(PACKED).join(diff.hex());
    let digest: Digest = fs::read_to_string(note).ok()?.parse().ok()?;
    let mut content = layout.open(&digest).ok()?;
    let size = content.size().ok()?;
    // Whoever trusts it may push it: a damaged one is packed again.
    io::copy(&mut content, &mut io::sink()).ok()?;
    Some(Descriptor::new(LAYER, digest, size))
}

/// Writes an image of a layout as an archive that engines load, under this name.
///
/// # Errors
/// When the image is not whole, or nobody takes the archive.
pub fn give(layout: &Layout, image: &Manifest, name: &str, to: impl Write) -> Result<(), NoImage> {
    let mut archive = tar::Builder::new(to);
    let config = image
        .config()
        .ok_or_else(|| NoImage::Malformed("it has no configuration".to_owned()))?;
    let path = |d: &Descriptor, end: &str| format!("{}.{end}", d.digest.hex());
    let layers: Vec<&Descriptor> = image.blobs().skip(1).collect();
    let mut seen = std::collections::BTreeSet::new();
    for layer in &layers {
        if seen.insert(layer.digest) {
            let content = layout.open(&layer.digest)?;
            let size = content.size()?;
            append(&mut archive, &path(layer, "tar"), size, content)?;
        }
    }
    let bytes = layout.read(&config.digest, TEXT)?;
    let own = path(config, "json");
    append(&mut archive, &own, bytes.len() as u64, bytes.as_slice())?;
    let list = serde_json::json!([{
        "Config": own,
        "RepoTags": [name],
        "Layers": layers.iter().map(|l| path(l, "tar")).collect::<Vec<_>>(),
    }]);
    let list = list.to_string();
    append(
        &mut archive,
        "manifest.json",
        list.len() as u64,
        list.as_bytes(),
    )?;
    archive.into_inner()?.flush()?;
    Ok(())
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content)
}

impl Kept {
    /// The file, to be read from its start.
    fn start(&mut self) -> io::Result<&mut File> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(&mut self.file)
    }

    fn again(&self) -> io::Result<Self> {
        Ok(Self {
            file: self.file.try_clone()?,
            ..*self
        })
    }
}

/// Writes, and hashes what it writes.
struct Hashing {
    to: File,
    hasher: Hasher,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.to.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with one image of these layers.
    fn archive(layers: &[&[u8]]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let diffs: Vec<String> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
        let config =
            serde_json::json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": diffs}})
                .to_string();
        let names: Vec<String> = (0..layers.len())
            .map(|at| format!("{at}/layer.tar"))
            .collect();
        for (layer, name) in layers.iter().zip(&names) {
            append(&mut tar, name, layer.len() as u64, *layer).unwrap();
        }
        append(&mut tar, "c.json", config.len() as u64, config.as_bytes()).unwrap();
        let list = serde_json::json!([{"Config": "c.json", "Layers": names}]).to_string();
        append(
            &mut tar,
            "manifest.json",
            list.len() as u64,
            list.as_bytes(),
        )
        .unwrap();
        tar.into_inner().unwrap()
    }

    #[test]
    fn an_image_has_one_digest_and_its_layers_are_packed_once() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::at(&folder.path().join("images"));
        let bytes = archive(&[b"one", b"two", b"one"]);
        let first = take(bytes.as_slice(), &layout, folder.path()).unwrap();
        let packed: Vec<Digest> = first.blobs().skip(1).map(|d| d.digest).collect();
        assert_eq!(packed[0], packed[2]);
        assert_ne!(packed[0], packed[1]);
        let inode = |d: &Digest| {
            use std::os::unix::fs::MetadataExt;
            fs::metadata(layout.path(d)).unwrap().ino()
        };
        let before = inode(&packed[0]);
        let again = take(bytes.as_slice(), &layout, folder.path()).unwrap();
        assert_eq!(
            (again.digest(), inode(&packed[0])),
            (first.digest(), before)
        );
        let other = Layout::at(&folder.path().join("other"));
        let elsewhere = take(bytes.as_slice(), &other, folder.path()).unwrap();
        assert_eq!(elsewhere.digest(), first.digest());
    }

    #[test]
    fn what_is_given_out_is_taken_back_as_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::at(&folder.path().join("images"));
        let first = take(
            archive(&[b"one", b"two"]).as_slice(),
            &layout,
            folder.path(),
        )
        .unwrap();
        let mut out = Vec::new();
        give(&layout, &first, "localhost/app:1", &mut out).unwrap();
        let other = Layout::at(&folder.path().join("other"));
        let second = take(out.as_slice(), &other, folder.path()).unwrap();
        assert_eq!(second.digest(), first.digest());
    }

    #[test]
    fn an_index_says_for_which_platform_each_image_is() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::at(&folder.path().join("images"));
        let image = take(archive(&[b"one"]).as_slice(), &layout, folder.path()).unwrap();
        let index = index(&layout, &[image]).unwrap();
        let platform = index.manifests()[0].platform.clone().unwrap();
        assert_eq!(
            platform,
            serde_json::json!({"architecture": "amd64", "os": "linux"})
        );
    }

    #[test]
    fn what_is_no_image_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::at(&folder.path().join("images"));
        let said = |bytes: &[u8]| take(bytes, &layout, folder.path()).unwrap_err().to_string();
        let mut wrong = archive(&[b"one"]);
        let at = wrong.windows(3).position(|w| w == b"one").unwrap();
        wrong[at] = b'O';
        let mut up = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..9].copy_from_slice(b"../../etc");
        header.set_size(0);
        header.set_cksum();
        up.append(&header, io::empty()).unwrap();
        let up = up.into_inner().unwrap();
        assert_eq!(
            [said(b""), said(&wrong), said(&up)],
            [
                "what the engine hands out is no image: manifest.json is not in it".to_owned(),
                format!(
                    "what the engine hands out is no image: a layer is {} and not {}",
                    Digest::of(b"One").short(),
                    Digest::of(b"one").short()
                ),
                "what the engine hands out is no image: ../../etc leads out of it".to_owned(),
            ]
        );
    }
}
