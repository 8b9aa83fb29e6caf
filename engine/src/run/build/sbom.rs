//! What is in an image, its SBOM: made by a scanner of the user's own, which reads the image from a folder and prints the
//! document, and kept beside the image as an artifact whose subject it is (image-spec 1.1). Unsigned; `sign` signs it.
//! Knows no scanner but the usual one, and of the documents only what they are.

use std::path::Path;

use serde_json::Value;

use super::super::outcome::Failure;
use super::super::task::Try;
use super::super::work::{self, NotDone};
use super::{attested, in_background};
use crate::oci::layout::Lost;
use crate::oci::{Digest, Layout, Manifest, archive};
use crate::process::{self, Exit, Spec};

/// The scanner that is taken where none is named.
pub const SCANNER: &str = "syft";
/// How it is called.
pub(in crate::run) const SCAN: &str = "syft scan \"oci-dir:$PIPE_IMAGE\" -o spdx-json";
/// Where the scanner finds the image.
const IMAGE: &str = "PIPE_IMAGE";
/// Where what it prints goes: a document is no log.
const PRINTED: &str = "PIPE_SBOM";
/// The longest document that is kept, in bytes.
const LONGEST: u64 = 256 << 20;
/// For which platform a document is, where its image is for several.
const PLATFORM: &str = "dev.pipe.platform";
/// The file name of an artifact's content, of the OCI's image-spec 1.1.
const TITLE: &str = "org.opencontainers.image.title";

/// The formats that are known: the media type, by which a registry knows the document; the type of in-toto's statement
/// about it; a file name.
struct Format {
    media_type: &'static str,
    predicate: &'static str,
    file: &'static str,
}

const SPDX: Format = Format {
    media_type: "application/spdx+json",
    predicate: "https://spdx.dev/Document",
    file: "sbom.spdx.json",
};
const CYCLONEDX: Format = Format {
    media_type: "application/vnd.cyclonedx+json",
    predicate: "https://cyclonedx.org/bom",
    file: "sbom.cdx.json",
};

/// As what a document of this media type is signed.
pub(super) fn predicate(media_type: &str) -> Option<&'static str> {
    let known = [SPDX, CYCLONEDX];
    let found = known.into_iter().find(|f| f.media_type == media_type);
    found.map(|f| f.predicate)
}

/// An image that was built.
pub(super) struct Scanned<'a> {
    /// Its name in the pipeline.
    pub(super) image: &'a str,
    /// The image, or the index of several.
    pub(super) whole: &'a Manifest,
    /// The image for each platform.
    pub(super) parts: &'a [&'a Manifest],
    /// A folder for files of the moment.
    pub(super) folder: &'a Path,
}

/// Has an image scanned, for each platform, and keeps what the scanner prints beside it.
///
/// # Errors
/// When the scanner fails, or prints no SBOM.
pub(super) async fn attest(
    scanner: &str,
    scanned: &Scanned<'_>,
    a_try: &mut Try<'_>,
) -> Result<(), NotDone> {
    let not = |why: String| {
        let what = format!(
            "{} has no SBOM: {why}; it is not kept without",
            scanned.image
        );
        Failure::new(what)
    };
    for (at, part) in scanned.parts.iter().enumerate() {
        let file = scanned.folder.join(format!("sbom-{at}"));
        let layout = scanned.folder.join(format!("image-{at}"));
        let (store, one) = (a_try.site.images.clone(), (*part).clone());
        let (name, to) = (scanned.image.to_owned(), layout.clone());
        let alone = in_background(move || store.alone(&one, &name, &to)).await?;
        alone.map_err(|e| not(format!("the image cannot be put into a folder: {e}")))?;
        let exit = a_try
            .program(&spec(scanner, &layout, &file, a_try), &mut |_| ())
            .await?;
        let _ = std::fs::remove_dir_all(&layout);
        if exit != Exit::Code(0) {
            return Err(ended(scanner, &exit, &not).into());
        }
        let document = read(&file).map_err(|e| not(format!("what the scanner printed {e}")))?;
        // Whoever may read the registry reads it.
        let document = a_try.site.masker.mask_str(&document).into_owned();
        let (format, what) = recognised(&document).map_err(|is| {
            not(format!("what the scanner printed is {is}")).help(
                "it is to print SPDX or CycloneDX as JSON; `syft` does so with `-o spdx-json`",
            )
        })?;
        let platform = match scanned.parts.len() {
            1 => None,
            _ => Some(archive::platform(&a_try.site.images, part).map_err(|e| not(e.to_string()))?),
        };
        let kept = keep(
            &a_try.site.images,
            scanned.whole,
            &format,
            document.as_bytes(),
            platform.as_deref(),
        );
        let digest = kept.map_err(|e| not(format!("it cannot be kept: {e}")))?;
        let of = platform.map_or(String::new(), |p| format!(" for {p}"));
        a_try
            .say(format!("attested what is in it{of}: {digest}, {what}"))
            .await;
    }
    Ok(())
}

fn spec(scanner: &str, layout: &Path, file: &Path, a_try: &Try<'_>) -> Spec {
    let mut env = a_try.work.env.clone();
    env.set(IMAGE, layout);
    env.set(PRINTED, file);
    let (program, args) = process::bash(&format!("exec >\"${PRINTED}\"\n{scanner}"));
    Spec {
        program,
        args,
        cwd: a_try.site.root.clone(),
        env: env.vars(),
        marker: work::marker(a_try.site),
    }
}

fn ended(scanner: &str, exit: &Exit, not: &dyn Fn(String) -> Failure) -> Failure {
    let (how, code) = match exit {
        Exit::Code(code) => (format!("ended with {code}"), Some(*code)),
        Exit::Signal(signal) => (format!("was ended by signal {signal}"), None),
        Exit::NotStarted(why) => (why.to_string(), None),
    };
    let title = title(scanner);
    let failure = Failure {
        exit: code,
        ..not(format!("the scanner `{title}` {how}"))
    };
    match code {
        Some(127) => failure.help(MISSING),
        _ => failure.help("what it wrote above says why"),
    }
}

/// A scanner on part of a line.
fn title(scanner: &str) -> String {
    let mut lines = scanner.lines().map(str::trim).filter(|l| !l.is_empty());
    let first = lines.next().unwrap_or_default();
    match first.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &first[..at]),
        None if lines.next().is_some() => format!("{first} …"),
        None => first.to_owned(),
    }
}

/// What to do where there is no scanner.
pub const MISSING: &str = "install syft (https://github.com/anchore/syft), or name a command that prints an SBOM: \
                           `attest sbom scanner=\"…\"`";

fn read(file: &Path) -> Result<String, String> {
    let length = std::fs::metadata(file).map_err(|e| format!("is gone: {e}"))?;
    if length.len() > LONGEST {
        return Err(format!("is longer than {} MiB", LONGEST >> 20));
    }
    let bytes = std::fs::read(file).map_err(|e| format!("cannot be read: {e}"))?;
    String::from_utf8(bytes).map_err(|_| "is no text".to_owned())
}

/// What a document is, with its version and its length for a person; otherwise what it is instead.
fn recognised(document: &str) -> Result<(Format, String), String> {
    let text = document.trim_start();
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        let first: String = text
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(60)
            .collect();
        return Err(match first.as_str() {
            "" => "nothing".to_owned(),
            line if line.starts_with("SPDXVersion:") => {
                "SPDX as tags and values, not JSON".to_owned()
            }
            _ if text.contains("cyclonedx.org/schema") => "CycloneDX as XML, not JSON".to_owned(),
            line => format!("no JSON, and begins with `{line}`"),
        });
    };
    let counted = |list: &str, word: &str| {
        let count = value[list].as_array().map_or(0, Vec::len);
        let s = if count == 1 { "" } else { "s" };
        format!("{count} {word}{s}")
    };
    if let Some(version) = value["spdxVersion"].as_str() {
        let what = format!("{version} with {}", counted("packages", "package"));
        return Ok((SPDX, what));
    }
    // SPDX 3 is JSON-LD, and is told by its context.
    if let Some(context) = value["@context"]
        .as_str()
        .filter(|c| c.contains("spdx.org"))
    {
        let version = context.split('/').find(|part| part.starts_with("3."));
        let what = format!(
            "SPDX-{} with {}",
            version.unwrap_or("3"),
            counted("@graph", "element")
        );
        return Ok((SPDX, what));
    }
    if value["bomFormat"] == "CycloneDX" {
        let version = value["specVersion"].as_str().unwrap_or_default();
        let what = format!(
            "CycloneDX {version} with {}",
            counted("components", "component")
        );
        return Ok((CYCLONEDX, what));
    }
    let names = value
        .as_object()
        .map(|o| o.keys().take(4).cloned().collect());
    let names: Vec<String> = names.unwrap_or_default();
    Err(match names.as_slice() {
        [] => "JSON that is neither SPDX nor CycloneDX".to_owned(),
        names => format!(
            "JSON with `{}`, neither SPDX nor CycloneDX",
            names.join("`, `")
        ),
    })
}

/// Keeps a document in place of the one that an earlier scan of the same image made.
fn keep(
    layout: &Layout,
    image: &Manifest,
    format: &Format,
    document: &[u8],
    platform: Option<&str>,
) -> Result<Digest, Lost> {
    let before = layout.referrers(&image.digest())?;
    let titles = [(TITLE, format.file)];
    let of = platform.map(|p| (PLATFORM, p));
    let about: Vec<(&str, &str)> = of.into_iter().collect();
    let content = (format.media_type, document);
    let digest = attested::beside(layout, image, content, &titles, &about)?;
    for old in before {
        let is_same = old.artifact_type.as_deref() == Some(format.media_type)
            && layout
                .manifest(&old.digest, None)?
                .annotation(PLATFORM)
                .as_deref()
                == platform;
        if is_same && old.digest != digest {
            layout.unlist(&old.digest)?;
        }
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::recognised;

    #[test]
    fn a_document_is_known_by_what_it_says_of_itself() {
        let is = |text: &str| recognised(text).map(|(format, what)| (format.media_type, what));
        assert_eq!(
            is(r#"{"spdxVersion":"SPDX-2.3","packages":[{},{}]}"#),
            Ok((
                "application/spdx+json",
                "SPDX-2.3 with 2 packages".to_owned()
            ))
        );
        assert_eq!(
            is(r#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[{}]}"#),
            Ok((
                "application/spdx+json",
                "SPDX-3.0.1 with 1 element".to_owned()
            ))
        );
        assert_eq!(
            is("\n{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\"}"),
            Ok((
                "application/vnd.cyclonedx+json",
                "CycloneDX 1.6 with 0 components".to_owned()
            ))
        );
    }

    #[test]
    fn what_is_no_sbom_is_named() {
        let is = |text: &str| recognised(text).map(|_| ()).unwrap_err();
        assert_eq!(is(" \n"), "nothing");
        assert_eq!(
            is("SPDXVersion: SPDX-2.3\n"),
            "SPDX as tags and values, not JSON"
        );
        assert_eq!(
            is("<bom xmlns=\"http://cyclonedx.org/schema/bom/1.6\"/>"),
            "CycloneDX as XML, not JSON"
        );
        assert_eq!(
            is("NAME  VERSION\n"),
            "no JSON, and begins with `NAME  VERSION`"
        );
        assert_eq!(
            is(r#"{"artifacts":[],"schema":{}}"#),
            "JSON with `artifacts`, `schema`, neither SPDX nor CycloneDX"
        );
        assert_eq!(is("[]"), "JSON that is neither SPDX nor CycloneDX");
    }
}
