//! What is kept of a pipeline means the same as its files, for as long as these say the same.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use dsl::{Files, Known, Loaded, Remote};

/// Files in memory, which can be changed.
#[derive(Default)]
struct Memory {
    files: RefCell<BTreeMap<String, String>>,
    remote: &'static str,
}

impl Memory {
    fn with(files: &[(&str, &str)]) -> Self {
        let memory = Self::default();
        files
            .iter()
            .for_each(|(name, text)| memory.write(name, text));
        memory
    }

    fn write(&self, name: &str, text: &str) {
        self.files
            .borrow_mut()
            .insert(name.to_owned(), text.to_owned());
    }

    fn load(&self) -> Loaded {
        dsl::load(
            self,
            "pipeline.kdl",
            self.read("pipeline.kdl").expect("a root file"),
        )
    }
}

impl Files for Memory {
    fn read(&self, path: &str) -> Result<String, String> {
        let found = self.files.borrow().get(path).cloned();
        found.ok_or_else(|| "there is no such file".into())
    }

    fn fetch(&self, _: &Remote) -> Result<String, String> {
        match self.remote {
            "" => Err("it cannot be reached".into()),
            text => Ok(text.to_owned()),
        }
    }
}

/// Through the bytes in which it is kept. There are no findings.
fn kept(loaded: &Loaded) -> Known {
    let known = Known::of(loaded);
    let known = known.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let bytes = postcard::to_allocvec(&known).expect("memory");
    postcard::from_bytes(&bytes).expect("what was written")
}

fn again(loaded: &Loaded, files: &dyn Files) -> Option<Loaded> {
    kept(loaded).again(files, "pipeline.kdl")
}

fn same(one: &Loaded, other: &Loaded) {
    assert_eq!(
        format!("{:?}", one.pipeline),
        format!("{:?}", other.pipeline)
    );
    assert_eq!(format!("{:?}", one.sources), format!("{:?}", other.sources));
    assert!(other.diagnostics.is_empty());
}

const INCLUDES: &str =
    "pipeline app\ninclude \"ci/more.kdl\"\nstage test { job unit { run \"true\" } }\n";

#[test]
fn all_acceptance_pipelines_and_examples_mean_the_same_again() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files: Vec<_> = std::fs::read_dir(root.join("tests/pipelines"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let examples = std::fs::read_dir(root.join("examples")).unwrap();
    files.extend(examples.map(|entry| entry.unwrap().path().join("pipeline.kdl")));
    files.push(root.join("pipeline.kdl"));
    let mut tried = 0;
    for path in files.iter().filter(|path| path.is_file()) {
        let loaded = dsl::load_file(path).unwrap();
        let folder = dsl::Folder(path.parent().unwrap().to_owned());
        let name = path.file_name().unwrap().to_str().unwrap();
        let again = kept(&loaded).again(&folder, name);
        same(
            &loaded,
            &again.unwrap_or_else(|| panic!("{}", path.display())),
        );
        tried += 1;
    }
    assert!(tried >= 10, "{tried}");
}

#[test]
fn a_file_that_says_something_else_is_read_again() {
    let files = Memory::with(&[
        ("pipeline.kdl", INCLUDES),
        ("ci/more.kdl", "stage lint { job a { run \"one\" } }\n"),
    ]);
    let loaded = files.load();
    same(&loaded, &again(&loaded, &files).unwrap());
    files.write("ci/more.kdl", "stage lint { job a { run \"two\" } }\n");
    assert!(again(&loaded, &files).is_none());
    files.write("ci/more.kdl", "stage lint { job a { run \"one\" } }\n");
    assert!(again(&loaded, &files).is_some());
    files.write("pipeline.kdl", &format!("{INCLUDES}\n"));
    assert!(again(&loaded, &files).is_none());
    files.write("pipeline.kdl", INCLUDES);
    files.files.borrow_mut().remove("ci/more.kdl");
    assert!(again(&loaded, &files).is_none());
}

#[test]
fn another_root_file_of_the_folder_is_another_pipeline() {
    let files = Memory::with(&[("pipeline.kdl", INCLUDES), ("ci/more.kdl", "")]);
    let loaded = files.load();
    assert!(kept(&loaded).again(&files, "ci/more.kdl").is_none());
    assert!(kept(&loaded).again(&files, "other.kdl").is_none());
}

#[test]
fn findings_are_found_each_time() {
    let unused =
        "pipeline app\nsecret UNUSED env=\"X\"\nstage test { job unit { run \"true\" } }\n";
    let loaded = Memory::with(&[("pipeline.kdl", unused)]).load();
    assert!(!loaded.diagnostics.is_empty() && !loaded.has_errors());
    assert!(Known::of(&loaded).is_none());
    let wrong = Memory::with(&[("pipeline.kdl", "pipeline app\nstag test {}\n")]).load();
    assert!(Known::of(&wrong).is_none());
}

#[test]
fn a_file_of_another_repository_need_not_be_had_again() {
    const TEXT: &str = "template hello {\n    job hello { run \"true\" }\n}\n";
    let hash = blake3::hash(TEXT.as_bytes()).to_hex();
    let commit = "1".repeat(40);
    let text = format!(
        "pipeline app\ninclude \"git+https://example.com/ci//hello.kdl#{commit}\" as=lib hash=\"{hash}\"\n\
         stage test {{\n    use lib.hello\n}}\n"
    );
    let mut files = Memory::with(&[("pipeline.kdl", &text)]);
    files.remote = TEXT;
    let loaded = files.load();
    files.remote = "";
    same(&loaded, &again(&loaded, &files).unwrap());
}

#[test]
fn the_standard_library_is_no_file_of_the_folder() {
    let text = "pipeline app\ninclude \"std/rust.kdl\" as=rust\nstage test {\n    use rust.cargo-lint\n}\n";
    let files = Memory::with(&[("pipeline.kdl", text)]);
    let loaded = files.load();
    same(&loaded, &again(&loaded, &files).unwrap());
    // One of the same name in the folder is another file.
    files.write("std/rust.kdl", "nonsense");
    same(&loaded, &again(&loaded, &files).unwrap());
}

#[test]
fn no_changed_byte_of_what_is_kept_makes_more_than_nothing() {
    let files = Memory::with(&[
        ("pipeline.kdl", INCLUDES),
        ("ci/more.kdl", "stage lint { job a { run \"one\" } }\n"),
    ]);
    let bytes = postcard::to_allocvec(&kept(&files.load())).unwrap();
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0x15;
        // A checksum stands in front of it; here it only must not panic.
        if let Ok(known) = postcard::from_bytes::<Known>(&broken) {
            let _ = known.again(&files, "pipeline.kdl");
        }
        let _ = postcard::from_bytes::<Known>(&bytes[..at]);
    }
}
