//! `build`: an image from a Dockerfile, by the builder of the engine.

use std::ffi::OsString;

use dsl::model::Pull;

use super::outcome::Failure;
use super::task::{Outputs, Try, image_output};
use super::work::{self, NotDone};
use crate::container::{Kind, Source};
use crate::process::{Exit, Spec};

/// How an image is built, with every value put in.
#[derive(Debug, Clone)]
pub(super) struct Build {
    /// The image's name in the pipeline.
    pub(super) image: String,
    /// The folder that is sent to the builder.
    pub(super) context: String,
    /// The Dockerfile.
    pub(super) dockerfile: String,
    /// The stage of the Dockerfile.
    pub(super) target: Option<String>,
}

/// Builds the image.
///
/// # Errors
/// When the builder fails, or there is none.
pub(super) async fn run(build: &Build, a_try: &mut Try<'_>) -> Result<Outputs, NotDone> {
    let Some(engine) = a_try.site.engine.clone() else {
        return Err(NotDone::NotBegun(Failure::new(
            "there is no container engine",
        )));
    };
    let program = match engine.found().kind {
        Kind::Docker => "docker",
        Kind::Podman => "podman",
    };
    let mut args: Vec<OsString> = ["build".into(), "--file".into()].into();
    args.push(a_try.site.root.join(&build.dockerfile).into());
    args.push("--tag".into());
    let tag = format!("localhost/{}:latest", build.image);
    args.push((&tag).into());
    if let Some(target) = &build.target {
        args.push(format!("--target={target}").into());
    }
    args.push(a_try.site.root.join(&build.context).into());
    let spec = Spec {
        program: program.into(),
        args,
        cwd: a_try.site.root.clone(),
        env: a_try.work.env.vars(),
        marker: work::marker(a_try.site),
    };
    match a_try.program(&spec).await? {
        Exit::Code(0) => {}
        Exit::Code(code) => {
            return Err(NotDone::Failed(Failure {
                exit: Some(code),
                ..Failure::new(format!("exit {code}"))
            }));
        }
        _ => return Err(NotDone::Failed(Failure::new("the builder was killed"))),
    }
    let source = Source {
        reference: tag,
        platform: None,
        pull: Pull::Never,
    };
    let nothing = |_: String| {};
    let image = a_try.wait(engine.image(&source, &nothing)).await?;
    let image = image.map_err(|trouble| NotDone::Failed(trouble.into()))?;
    a_try.say(format!("built {}", image.id)).await;
    Ok(Outputs::from([
        (image_output(&build.image, true), image.id),
        (image_output(&build.image, false), source.reference),
    ]))
}
