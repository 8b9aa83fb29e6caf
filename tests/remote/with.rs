//! Machines that share a bucket.

use std::sync::Arc;

use super::proxy::Proxy;
use super::server::{Server, server};
use crate::support::tree::tree;
use crate::support::{Output, Project};

/// What signs the requests; long enough to be masked.
pub const KEYS: [(&str, &str); 3] = [
    ("CACHE_ID", "AKIDEXAMPLE-OF-THE-CACHE"),
    ("CACHE_KEY", "can4ry-of-the-cache-key"),
    ("CACHE_SIGN", "can4ry-of-what-signs-records"),
];

/// A job that makes all that a job can make, and one that takes it. Each run is noted outside of what is kept.
pub const STAGE: &str = r##"
stage build {
    job make {
        inputs "src/**"
        artifact site "out/**"
        run #"""
            echo make >> ../ran; rm -rf out
            mkdir -p out/empty out/deep/er
            cp src/text out/text
            head -c 3000 /dev/zero > out/zeros
            echo '#!/bin/sh' > out/tool; chmod 755 out/tool
            chmod 444 out/text
            ln -s ../text out/deep/link
            echo "made from $(cat src/text)"
            echo "size=$(wc -c < src/text)" >> "$PIPE_OUTPUT"
            """#
    }
    job use {
        needs make
        inputs "src/text"
        env SIZE="${make.outputs.size}"
        run "echo use >> ../ran; echo \"$SIZE bytes: $(cat out/deep/link)\""
    }
}
"##;

/// What `STAGE` writes.
pub const SAID: [&str; 2] = ["make | made from a text", "use  | 6 bytes: a text"];

/// A server with a bucket, and a proxy before it.
pub struct Shared {
    pub server: Arc<Server>,
    pub proxy: Proxy,
    pub bucket: String,
}

/// A machine: a checkout and a cache of its own.
pub struct Machine {
    pub project: Project,
}

impl Shared {
    /// A bucket of this name; `None` where there is no server.
    #[track_caller]
    pub fn new(name: &str) -> Option<Self> {
        let server = server()?;
        Some(Self {
            bucket: server.bucket(name),
            proxy: Proxy::before(server.port),
            server,
        })
    }

    /// The node that names the bucket.
    pub fn node(&self, more: &str) -> String {
        format!(
            "remote-cache \"s3://{}/pipe\" endpoint=\"http://127.0.0.1:{}\"{more}",
            self.bucket, self.proxy.port
        )
    }

    /// A machine with a pipeline of this stage.
    pub fn machine(&self, stage: &str) -> Machine {
        self.with(
            " access-key=CACHE_ID secret-key=CACHE_KEY",
            "secret CACHE_ID\nsecret CACHE_KEY",
            stage,
        )
    }

    /// The same, where records are signed.
    pub fn signing(&self, stage: &str) -> Machine {
        self.with(
            " access-key=CACHE_ID secret-key=CACHE_KEY sign=CACHE_SIGN",
            "secret CACHE_ID\nsecret CACHE_KEY\nsecret CACHE_SIGN",
            stage,
        )
    }

    /// The same, with what the file itself says of credentials.
    pub fn with(&self, more: &str, secrets: &str, stage: &str) -> Machine {
        let text = format!("pipeline app\n{secrets}\n{}\n{stage}", self.node(more));
        let project = Project::with(&text).file("src/text", "a text");
        Machine { project }
    }

    /// The names in the bucket, without the prefix of this pipeline.
    pub fn names(&self) -> Vec<String> {
        let names = self.server.names(&self.bucket);
        let own = |n: &String| n.strip_prefix("pipe/v2/").unwrap().to_owned();
        names.iter().map(own).collect()
    }

    /// The names of records in a scope that begins with this.
    pub fn records(&self, scope: &str) -> Vec<String> {
        let of = format!("action/{scope}");
        let mut names = self.names();
        names.retain(|n| n.starts_with(&of));
        names
    }
}

impl Machine {
    /// Runs the pipeline.
    pub fn run(&self) -> Output {
        self.run_with(&[], &[])
    }

    /// Runs the pipeline with further arguments and variables.
    pub fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let args = [&["run"], args].concat();
        let mut command = self.project.command(&args);
        command.envs(KEYS).envs(env.iter().copied());
        self.project.output(&mut command)
    }

    /// The steps that ran so far.
    pub fn ran(&self) -> Vec<String> {
        crate::started::lines(&self.project, "../ran")
    }

    /// What is there of what the jobs make.
    pub fn made(&self) -> Vec<String> {
        tree(&self.project.root(), "out")
    }
}

/// The lines that steps wrote.
pub fn said(out: &Output) -> Vec<&str> {
    out.stdout.lines().filter(|l| l.contains(" | ")).collect()
}

/// What the run was told to be wrong: before it began, and in it.
pub fn told(out: &Output) -> Vec<String> {
    let before = out.stderr.lines().map(str::to_owned);
    let within = out.stdout.lines().filter_map(|l| {
        let text = l.trim_start().strip_prefix("warning ")?;
        Some(text.to_owned())
    });
    before.chain(within).collect()
}
