use std::time::SystemTime;

use super::*;
use crate::oci::media;

fn layout() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::at(&dir.path().join("images"));
    (dir, layout)
}

/// An image with one layer.
fn image(layout: &Layout, layer: &str) -> Descriptor {
    let blob = |media_type: &str, text: &str| {
        layout.put(text.as_bytes()).unwrap();
        serde_json::to_string(&Descriptor::of(media_type, text.as_bytes())).unwrap()
    };
    let text = format!(
        "{{\n \"schemaVersion\": 2,\n \"config\": {},\n \"layers\": [{}]}}\n",
        blob("application/vnd.oci.image.config.v1+json", "{}"),
        blob("application/vnd.oci.image.layer.v1.tar", layer)
    );
    layout.put(text.as_bytes()).unwrap();
    Descriptor::of(media::MANIFEST, text.as_bytes())
}

fn aged(layout: &Layout, digest: &Digest, age: Duration) {
    let file = File::open(layout.path(digest)).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn a_name_stands_for_one_manifest_and_says_what_it_stood_for() {
    let (_dir, layout) = layout();
    let (one, two) = (image(&layout, "1"), image(&layout, "2"));
    assert_eq!(layout.resolve("app:1").unwrap(), None);
    assert_eq!(layout.name("app:1", &one, false).unwrap(), None);
    assert_eq!(layout.name("app:1", &one, false).unwrap(), Some(one.digest));
    let taken = layout.name("app:1", &two, false).unwrap_err();
    assert_eq!(
        taken.to_string(),
        format!("it is the name of {} already", one.digest)
    );
    assert_eq!(layout.name("app:1", &two, true).unwrap(), Some(one.digest));
    let found = layout.resolve("app:1").unwrap().unwrap();
    assert_eq!((found.digest, found.size), (two.digest, two.size));
    assert_eq!(layout.forget("app:1").unwrap(), Some(two.digest));
    assert_eq!(layout.names().unwrap(), []);
}

#[test]
fn what_others_wrote_into_the_index_stays() {
    let (_dir, layout) = layout();
    let one = image(&layout, "1");
    layout.name("mine", &one, true).unwrap();
    let path = layout.root().join("index.json");
    let text = r#"{"schemaVersion":2,"x":{"y":1},"manifests":[{"mediaType":"z","digest":"sha512:00","size":7,"new":true}],"annotations":{"a":"b"}}"#;
    fs::write(&path, text).unwrap();
    layout.name("mine", &one, true).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        (
            &written["x"]["y"],
            &written["annotations"]["a"],
            &written["manifests"][0]["new"]
        ),
        (&1.into(), &"b".into(), &true.into())
    );
    assert_eq!(layout.names().unwrap().len(), 1);
}

#[test]
fn many_at_once_lose_no_name() {
    let (_dir, layout) = layout();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let layout = &layout;
            scope.spawn(move || {
                for n in 0..10 {
                    let one = image(layout, &format!("{n}"));
                    layout.name(&format!("{thread}-{n}"), &one, false).unwrap();
                }
            });
        }
    });
    assert_eq!(layout.names().unwrap().len(), 80);
}

#[test]
fn a_flipped_bit_is_found_and_the_content_is_gone() {
    let (_dir, layout) = layout();
    let digest = layout.put(b"content").unwrap();
    assert_eq!(layout.read(&digest, 7).unwrap(), b"content");
    assert!(matches!(layout.read(&digest, 6), Err(Lost::Io(..))));
    fs::write(layout.path(&digest), b"contenT").unwrap();
    assert!(matches!(layout.read(&digest, 7), Err(Lost::Damaged(_))));
    assert!(matches!(layout.read(&digest, 7), Err(Lost::Missing(_))));
    layout.put(b"content").unwrap();
    assert_eq!(layout.read(&digest, 7).unwrap(), b"content");
}

#[test]
fn what_comes_in_and_is_something_else_is_not_kept() {
    let (_dir, layout) = layout();
    let mut incoming = layout.incoming().unwrap();
    incoming.write_all(b"what came").unwrap();
    let wanted = Digest::of(b"what was wanted");
    assert!(matches!(incoming.keep(&layout, Some(&wanted)), Err(Lost::Damaged(d)) if d == wanted));
    let left = |folder: &str| fs::read_dir(layout.root().join(folder)).unwrap().count();
    assert_eq!((left(".tmp"), left("blobs/sha256")), (0, 0));
}

#[test]
fn what_no_name_leads_to_is_collected_when_it_is_old() {
    let (_dir, layout) = layout();
    let hour = Duration::from_secs(3600);
    let (named, nameless, young) = (
        image(&layout, "named"),
        image(&layout, "nameless"),
        layout.put(b"young").unwrap(),
    );
    layout.name("app", &named, true).unwrap();
    for digest in [
        named.digest,
        nameless.digest,
        Digest::of(b"named"),
        Digest::of(b"nameless"),
    ] {
        aged(&layout, &digest, hour * 2);
    }
    let bytes = nameless.size + "nameless".len() as u64;
    assert_eq!(layout.collect(hour).unwrap(), (2, bytes));
    let there = [named.digest, Digest::of(b"named"), nameless.digest, young];
    assert_eq!(
        there.map(|d| layout.size(&d).is_some()),
        [true, true, false, true]
    );
}

#[test]
fn an_image_that_nobody_asked_for_is_trimmed_with_its_name() {
    let (_dir, layout) = layout();
    let hour = Duration::from_secs(3600);
    let (old, used) = (image(&layout, "old"), image(&layout, "used"));
    layout.name("old", &old, true).unwrap();
    layout.name("used", &used, true).unwrap();
    for digest in [
        old.digest,
        used.digest,
        Digest::of(b"old"),
        Digest::of(b"used"),
    ] {
        aged(&layout, &digest, hour * 50);
    }
    layout.manifest(&used.digest, None).unwrap();
    let (count, _) = layout.trim(hour * 40, hour).unwrap();
    let names: Vec<String> = layout.names().unwrap().into_iter().map(|n| n.0).collect();
    assert_eq!((count, names), (2, vec!["used".to_owned()]));
    assert!(layout.size(&Digest::of(b"used")).is_some());
}

#[test]
fn what_is_about_a_manifest_is_found() {
    let (_dir, layout) = layout();
    let app = image(&layout, "app");
    layout.name("app", &app, true).unwrap();
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","artifactType":"text/sbom","config":{},"layers":[],"subject":{}}}"#,
        media::MANIFEST,
        serde_json::to_string(&Descriptor::of(media::EMPTY, b"{}")).unwrap(),
        serde_json::to_string(&app).unwrap()
    );
    layout.put(text.as_bytes()).unwrap();
    let sbom = Descriptor::of(media::MANIFEST, text.as_bytes());
    layout.list(&sbom).unwrap();
    layout.list(&sbom).unwrap();
    let found = layout.referrers(&app.digest).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|d| (d.digest, d.artifact_type.as_deref()))
        .collect();
    assert_eq!(found, [(sbom.digest, Some("text/sbom"))]);
    let now = Duration::ZERO;
    assert_eq!(layout.collect(now).unwrap().0, 0);
    layout.forget("app").unwrap();
    layout.collect(now).unwrap();
    assert_eq!(layout.size(&sbom.digest), None);
    let index = fs::read_to_string(layout.root().join("index.json")).unwrap();
    assert!(index.ends_with("\"manifests\":[]}"), "{index}");
}

#[test]
fn what_was_asked_for_longest_ago_goes_while_there_is_too_much() {
    let (_dir, layout) = layout();
    let hour = Duration::from_secs(3600);
    for (hours, name) in [(30, "first"), (20, "second"), (10, "third"), (0, "young")] {
        let one = image(&layout, &name.repeat(200));
        layout.name(name, &one, true).unwrap();
        for digest in [one.digest, Digest::of(name.repeat(200).as_bytes())] {
            aged(&layout, &digest, hour * hours);
        }
    }
    let names = || -> Vec<String> {
        let names = layout.names().unwrap().into_iter();
        names.map(|(name, _)| name).collect()
    };
    layout.shrink(3600, hour).unwrap();
    assert_eq!(names(), ["third", "young"]);
    layout.shrink(0, hour).unwrap();
    assert_eq!(names(), ["young"]);
}
