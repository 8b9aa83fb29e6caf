//! The small program that runs as process 1 of a job's container and asks its services; and its lifeline. Its source is
//! `inside/inside.c`. With it a container lives as long as pipe does, takes signals and reaps orphans, whatever its
//! image has in it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// The program, where there is one for this processor. Containers share the machine's kernel, so it is the machine's.
const PROGRAM: Option<&[u8]> = if cfg!(target_arch = "x86_64") {
    Some(include_bytes!("inside/inside.x86_64"))
} else if cfg!(target_arch = "aarch64") {
    Some(include_bytes!("inside/inside.aarch64"))
} else {
    None
};

/// The program in place, and the end of the lifeline that is ours.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) program: PathBuf,
    pub(super) lifeline: PathBuf,
    _held: File,
}

impl Inside {
    /// Puts both into a folder.
    ///
    /// # Errors
    /// What cannot be written, or that there is no program for this processor.
    pub(super) fn put(folder: &Path) -> std::io::Result<Self> {
        let bytes = PROGRAM.ok_or_else(|| {
            std::io::Error::other("pipe runs containers on x86-64 and arm64 machines only")
        })?;
        let program = folder.join("inside");
        // Written apart and renamed: a program that is open for writing cannot be executed.
        let mut made = tempfile::NamedTempFile::new_in(folder)?;
        made.write_all(bytes)?;
        made.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o755))?;
        let (file, path) = made.into_parts();
        drop(file);
        path.persist(&program).map_err(|e| e.error)?;
        let lifeline = folder.join("alive");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &lifeline, FileType::Fifo, mode, 0)?;
        // Both ends, so that it opens at once. Whoever is started by us does not inherit it.
        let held = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(0)
            .open(&lifeline)?;
        Ok(Self {
            program,
            lifeline,
            _held: held,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::Inside;

    #[test]
    fn it_ends_when_nobody_holds_its_lifeline_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let inside = Inside::put(folder.path()).unwrap();
        let mut child = Command::new(&inside.program)
            .arg("wait")
            .arg(&inside.lifeline)
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(child.try_wait().unwrap(), None);
        drop(inside);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }

    #[test]
    fn it_asks_an_address_and_prints_the_answer() {
        use std::io::{Read, Write};
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut client, _) = server.accept().unwrap();
            let mut asked = [0; 4];
            client.read_exact(&mut asked).unwrap();
            client.write_all(b"answer").unwrap();
            asked
        });
        let folder = tempfile::tempdir().unwrap();
        let inside = Inside::put(folder.path()).unwrap();
        let ask = super::super::ready::question([127, 0, 0, 1].into(), port, b"ask\n");
        let file = folder.path().join("ask");
        std::fs::write(&file, ask).unwrap();
        let out = Command::new(&inside.program)
            .arg("probe")
            .arg(&file)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert_eq!((out.status.code(), &*out.stdout), (Some(0), &b"answer"[..]));
        assert_eq!(&serving.join().unwrap(), b"ask\n");
    }

    #[test]
    fn the_program_is_what_its_source_gives() {
        let version = Command::new("gcc").arg("-dumpfullversion").output();
        if version.is_ok_and(|v| v.stdout.starts_with(b"12.2.")) {
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/container/inside");
            let folder = tempfile::tempdir().unwrap();
            let built = Command::new("sh")
                .arg(format!("{source}/build.sh"))
                .arg(folder.path())
                .status();
            assert!(built.unwrap().success());
            for made in std::fs::read_dir(folder.path()).unwrap().flatten() {
                let kept = std::fs::read(format!("{source}/{}", made.file_name().display()));
                assert!(std::fs::read(made.path()).unwrap() == kept.unwrap());
            }
        }
    }
}
