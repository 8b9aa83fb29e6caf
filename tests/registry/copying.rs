//! Images travel whole, and are what they were: from folder to registry, from registry to registry, and back.

use engine::oci::copy::{Copied, Journey, copy};
use engine::oci::place::{Failed, Place, Was};
use engine::oci::{Descriptor, Digest, Known, Layout};

use super::images::{about, at, digest_by_skopeo, folder, image, index, layout, skopeo, wait};
use super::proxy::{Does, Proxy};
use super::server::registry;

/// Brings an image to a place under tags.
pub fn bring(from: &Place, to: &Place, digest: Digest, tags: &[&str]) -> Result<Copied, Failed> {
    let tags: Vec<String> = tags.iter().map(|t| (*t).to_owned()).collect();
    let journey = Journey {
        from,
        to,
        digest,
        tags: &tags,
        moves: true,
        mount: None,
        known: None,
    };
    wait(copy(&journey, &|_| {}))
}

fn multi_platform(store: &Layout) -> Descriptor {
    let images = [
        image(store, 10, &[100, 5000]),
        image(store, 20, &[100, 3_000_000]),
    ];
    index(store, &images)
}

#[test]
fn an_index_keeps_its_digest_through_registries_and_folders() {
    let (Some(one), Some(two)) = (registry(), registry()) else {
        return;
    };
    let (_a, store) = layout();
    let root = multi_platform(&store);
    let first = at(&one.host(), "team/app");
    let copied = bring(&folder(&store), &first, root.digest, &["v1", "latest"]).unwrap();
    let expected = Copied {
        sent: 6,
        bytes: 3_005_200 + 2 * 88,
        images: 2,
        tags: vec![("v1".into(), Was::Nothing), ("latest".into(), Was::Nothing)],
        ..Copied::default()
    };
    assert_eq!(copied, expected);
    let second = at(&two.host(), "other");
    bring(&first, &second, root.digest, &["v1"]).unwrap();
    let (back, there) = layout();
    bring(&second, &folder(&there), root.digest, &["v1"]).unwrap();
    let wanted = root.digest.to_string();
    for reference in [
        format!("docker://{}/team/app:v1", one.host()),
        format!("docker://{}/team/app:latest", one.host()),
        format!("docker://{}/other:v1", two.host()),
        format!("oci:{}:v1", back.path().display()),
    ] {
        let Some(digest) = digest_by_skopeo(&reference) else {
            return;
        };
        assert_eq!(digest, wanted, "{reference}");
    }
    // skopeo reads and verifies all that an index leads to.
    let target = tempfile::tempdir().unwrap();
    skopeo(&[
        "copy",
        "--all",
        "--src-tls-verify=false",
        &format!("docker://{}/other@{wanted}", two.host()),
        &format!("dir:{}", target.path().display()),
    ]);
}

#[test]
fn what_is_there_is_not_sent_again() {
    let Some(registry) = registry() else { return };
    let (_a, store) = layout();
    let (one, two) = (
        image(&store, 1, &[1000, 2000]),
        image(&store, 2, &[2000, 3000]),
    );
    let place = at(&registry.host(), "app");
    let bring = |digest, tag| bring(&folder(&store), &place, digest, &[tag]).unwrap();
    let first = bring(one.digest, "1");
    assert_eq!((first.sent, first.there), (3, 0));
    let again = bring(one.digest, "1");
    assert_eq!((again.sent, again.there), (0, 3));
    assert_eq!(again.tags, [("1".to_owned(), Was::Same)]);
    // The layer of the second image is the second one of the first.
    let next = bring(two.digest, "1");
    assert_eq!((next.sent, next.there), (2, 1));
    assert_eq!(next.tags, [("1".to_owned(), Was::Other(one.digest))]);
}

#[test]
fn a_copy_within_a_registry_sends_nothing() {
    let Some(registry) = registry() else { return };
    let (_a, store) = layout();
    let root = multi_platform(&store);
    let (dev, live) = (
        at(&registry.host(), "dev/app"),
        at(&registry.host(), "live/app"),
    );
    bring(&folder(&store), &dev, root.digest, &["1"]).unwrap();
    let blobs = registry.blobs();
    let copied = bring(&dev, &live, root.digest, &["1"]).unwrap();
    // Both images begin with the same layer, which the second finds.
    assert_eq!((copied.sent, copied.mounted + copied.there), (0, 6));
    assert_eq!(registry.blobs(), blobs);
    let retagged = bring(&live, &live, root.digest, &["2"]).unwrap();
    assert_eq!((retagged.sent, retagged.mounted), (0, 0));
    let reference = format!("docker://{}/live/app:2", registry.host());
    let digest = digest_by_skopeo(&reference);
    assert!(digest.is_none_or(|d| d == root.digest.to_string()));
}

#[test]
fn what_another_repository_was_seen_to_have_is_mounted_from_there_and_else_sent() {
    let Some(registry) = registry() else { return };
    let proxy = Proxy::before(registry.port);
    let (folder_of, store) = layout();
    let app = image(&store, 1, &[100, 2_000_000]);
    let known = Known::at(&folder_of.path().join("known"));
    let from = folder(&store);
    let push = |name: &str| {
        let to = at(&proxy.host(), name);
        let journey = Journey {
            from: &from,
            to: &to,
            digest: app.digest,
            tags: &[],
            moves: true,
            mount: None,
            known: Some(&known),
        };
        let copied = wait(copy(&journey, &|_| {})).unwrap();
        (copied.sent, copied.mounted)
    };
    assert_eq!([push("one"), push("two")], [(3, 0), (0, 3)]);
    // It is gone from where it was seen, so that it has to be sent; from then on it is seen there.
    registry.forgets("one");
    assert_eq!([push("three"), push("four")], [(3, 0), (0, 3)]);
    // Whoever asks may not take it from there.
    proxy.does(|_, path| match path.contains("mount=") {
        true => Does::Says("403 Forbidden", Vec::new(), ""),
        false => Does::Well,
    });
    assert_eq!(push("five"), (3, 0));
}

#[test]
fn what_is_about_an_image_goes_with_it() {
    let (Some(one), Some(two)) = (registry(), registry()) else {
        return;
    };
    let (_a, store) = layout();
    let app = image(&store, 1, &[10]);
    let root = index(&store, std::slice::from_ref(&app));
    let sbom = about(&store, &app, "text/sbom");
    let signature = about(&store, &sbom, "text/signature");
    let provenance = about(&store, &root, "text/provenance");
    let (first, second) = (at(&one.host(), "app"), at(&two.host(), "app"));
    let copied = bring(&folder(&store), &first, root.digest, &["1"]).unwrap();
    assert_eq!((copied.images, copied.about), (1, 3));
    bring(&first, &second, root.digest, &["1"]).unwrap();
    let (_b, there) = layout();
    bring(&second, &folder(&there), root.digest, &["1"]).unwrap();
    for place in [second, folder(&there)] {
        let about = |digest: &Digest| {
            let found = wait(place.referrers(digest)).unwrap();
            let found = found.iter();
            found
                .map(|d| (d.digest, d.artifact_type.clone().unwrap_or_default()))
                .collect::<Vec<_>>()
        };
        assert_eq!(about(&app.digest), [(sbom.digest, "text/sbom".to_owned())]);
        assert_eq!(
            about(&sbom.digest),
            [(signature.digest, "text/signature".to_owned())]
        );
        assert_eq!(
            about(&root.digest),
            [(provenance.digest, "text/provenance".to_owned())]
        );
    }
}

#[test]
fn a_tag_that_may_not_move_stops_everything_before_anything_is_sent() {
    let Some(registry) = registry() else { return };
    let (_a, store) = layout();
    let (_b, there) = layout();
    let (old, new) = (image(&store, 1, &[10]), image(&store, 2, &[20]));
    for place in [at(&registry.host(), "app"), folder(&there)] {
        bring(&folder(&store), &place, old.digest, &["v1"]).unwrap();
        let blobs = registry.blobs();
        let tags = ["v2".to_owned(), "v1".to_owned()];
        let from = folder(&store);
        let journey = |digest| Journey {
            from: &from,
            to: &place,
            digest,
            tags: &tags,
            moves: false,
            mount: None,
            known: None,
        };
        let refused = wait(copy(&journey(new.digest), &|_| {})).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "the tag v1 of {place} is {} already, and may not move to {}",
                old.digest, new.digest
            )
        );
        assert_eq!((registry.blobs(), there.size(&new.digest)), (blobs, None));
        assert_eq!(wait(place.tags()).unwrap(), ["v1"]);
        let same = wait(copy(&journey(old.digest), &|_| {})).unwrap();
        assert_eq!(
            same.tags,
            [("v2".into(), Was::Nothing), ("v1".into(), Was::Same)]
        );
    }
}

#[test]
fn tags_are_listed_and_a_deleted_image_is_gone() {
    let Some(registry) = registry() else { return };
    let (_a, store) = layout();
    let app = image(&store, 1, &[10]);
    let place = at(&registry.host(), "app");
    let tags: Vec<String> = (0..7).map(|n| format!("v{n}")).collect();
    let names: Vec<&str> = tags.iter().map(String::as_str).collect();
    bring(&folder(&store), &place, app.digest, &names).unwrap();
    let mut listed = wait(place.tags()).unwrap();
    listed.sort();
    assert_eq!(listed, tags);
    assert_eq!(
        wait(at(&registry.host(), "nobody").tags()).unwrap(),
        Vec::<String>::new()
    );
    let Place::Repository(repository) = &place else {
        unreachable!()
    };
    wait(repository.delete(&app.digest)).unwrap();
    assert_eq!(wait(place.resolve("v1")).unwrap(), None);
    wait(repository.delete(&app.digest)).unwrap();
}
