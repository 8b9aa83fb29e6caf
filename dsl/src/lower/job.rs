//! `job`: commands and what they need around them.

use std::time::Duration;

use indexmap::IndexMap;

use super::select::RawWait;
use super::{env, step};
use crate::codes::graph as codes;
use crate::diagnostic::Diagnostic;
use crate::form::{Form, Reader, Val};
use crate::model::{
    Artifact, ArtifactUse, Ask, Container, Job, KeptDirectory, KeyPart, MAX_LEGS, Matrix, Pull,
    Ready, Resources, Service, Shell, WaitKind,
};
use crate::schema::NodeSchema;
use crate::source::Spanned;
use crate::syntax::tree::Node;

/// Lowers what is particular to a job; also gives the edges that its artifacts make.
pub(super) fn job(
    reader: &mut Reader<'_>,
    form: &Form<'_>,
    prefix: Option<&str>,
) -> (Job, Vec<RawWait>) {
    let mut job = Job {
        run: step::commands(reader, form),
        ..Job::default()
    };
    let mut waits = Vec::new();
    for (schema, node) in &form.children {
        match schema.name {
            "shell" => job.shell = shell(reader, node, schema),
            "workdir" => job.workdir = reader.form(node, schema).take_arg(0),
            "container" => {
                let form = reader.form(node, schema);
                job.platform = form.text("platform").map(|p| p.value);
                job.pull = match form.text("pull").as_ref().map(|p| p.value.as_str()) {
                    Some("always") => Pull::Always,
                    Some("never") => Pull::Never,
                    _ => Pull::Missing,
                };
                job.container = container(reader, &form);
            }
            "service" => job.services.extend(service(reader, node, schema)),
            "inputs" => job.inputs.extend(reader.form(node, schema).into_texts()),
            "outputs" => job.outputs.extend(reader.form(node, schema).into_texts()),
            "key" => job.key.extend(key(reader, node, schema)),
            "cache" => job.caches.extend(cache(reader, node, schema)),
            "artifact" => artifact(reader, node, schema, prefix, &mut job, &mut waits),
            "secrets" => job.secrets.extend(reader.form(node, schema).into_texts()),
            "pass-env" => job.pass_env.extend(reader.form(node, schema).into_texts()),
            "matrix" => job.matrix = matrix(reader, node, schema),
            "resources" => job.resources = resources(reader, node, schema),
            _ => {}
        }
    }
    if form.child("container").is_none() {
        lonely_service(reader, form);
    }
    (job, waits)
}

/// Services are reachable by name on a network that a job on this machine has no part in.
fn lonely_service(reader: &mut Reader<'_>, form: &Form<'_>) {
    let Some((_, service)) = form.child("service") else {
        return;
    };
    let what = service.args.first().and_then(|a| a.as_str());
    let what = what.unwrap_or("service");
    reader.report(
        Diagnostic::new(
            &crate::codes::shape::MISSING_CHILD,
            "a job with a `service` wants a `container` in its block",
            form.name_span(),
            "no `container` here",
        )
        .label(
            service.name.span,
            "reachable by its name, and only from a container",
        )
        .help(format!(
            "add the image in which the commands run, `container \"IMAGE:VERSION\"`; they reach the service as `{what}`"
        )),
    );
}

/// `shell`
pub(super) fn shell(
    reader: &mut Reader<'_>,
    node: &Node,
    schema: &'static NodeSchema,
) -> Option<Shell> {
    let mut form = reader.form(node, schema);
    Some(Shell {
        program: form.take_arg(0)?,
        args: form.into_texts().into_iter().map(|t| t.value).collect(),
    })
}

fn container(reader: &mut Reader<'_>, form: &Form<'_>) -> Option<Container> {
    match (
        form.arg_value(0).and_then(Val::as_template),
        form.text("image"),
    ) {
        (Some(reference), None) => Some(Container::Reference(reference.clone())),
        (None, Some(image)) => Some(Container::Image(image)),
        (Some(_), Some(image)) => {
            reader.report(
                Diagnostic::new(
                    &crate::codes::shape::EXTRA_ARGUMENT,
                    "`container` names two images",
                    image.span,
                    "the second one",
                )
                .help("keep either the reference or `image=`"),
            );
            None
        }
        (None, None) => {
            if form.node.args.is_empty() && form.node.props.iter().all(|p| p.name.value != "image")
            {
                reader.report(
                    Diagnostic::new(
                        &crate::codes::shape::MISSING_ARGUMENT,
                        "`container` names no image",
                        form.name_span(),
                        "the image is missing",
                    )
                    .help("write `container \"rust:1.95\"`, or `container image=NAME` for an image of this pipeline"),
                );
            }
            None
        }
    }
}

fn service(reader: &mut Reader<'_>, node: &Node, schema: &'static NodeSchema) -> Option<Service> {
    let form = reader.form(node, schema);
    let env = env(reader, &form);
    let ready = form.child("ready").map(|(s, n)| ready(reader, n, s));
    Some(Service {
        name: form.arg(0)?.clone(),
        image: form.arg_value(1)?.as_template()?.clone(),
        env,
        ready,
    })
}

pub(super) fn ready(reader: &mut Reader<'_>, node: &Node, schema: &'static NodeSchema) -> Ready {
    let form = reader.form(node, schema);
    let template = |name| form.value(name).and_then(Val::as_template).cloned();
    let duration = |name| form.value(name).and_then(Val::as_duration);
    let status = form.value("status").and_then(Val::as_int);
    let url = form.arg_value(0).and_then(Val::as_template).cloned();
    let http = url.map(|url| Ask::Http {
        url,
        status: status.and_then(|s| u16::try_from(s).ok()).unwrap_or(200),
        contains: [template("body"), template("version")]
            .into_iter()
            .flatten()
            .collect(),
    });
    let asks = [
        http,
        template("tcp").map(Ask::Tcp),
        form.text("command").map(Ask::Command),
    ];
    Ready {
        asks: asks.into_iter().flatten().collect(),
        within: duration("within").unwrap_or(Duration::from_secs(120)),
        every: duration("every").unwrap_or(Duration::from_secs(1)),
        stable_for: duration("stable-for").unwrap_or_default(),
    }
}

fn key(reader: &mut Reader<'_>, node: &Node, schema: &'static NodeSchema) -> Vec<Spanned<KeyPart>> {
    let form = reader.form(node, schema);
    let part = |val: &Val| match val {
        Val::Key(key) => Some(key.clone()),
        _ => None,
    };
    form.rest.iter().filter_map(part).collect()
}

fn cache(
    reader: &mut Reader<'_>,
    node: &Node,
    schema: &'static NodeSchema,
) -> Option<KeptDirectory> {
    let form = reader.form(node, schema);
    let mut parts = Vec::new();
    let mut restore = Vec::new();
    for (schema, child) in &form.children {
        match schema.name {
            "key" => parts = key(reader, child, schema),
            _ => restore.push(key(reader, child, schema)),
        }
    }
    Some(KeptDirectory {
        name: form.arg(0)?.clone(),
        path: form.arg(1)?.clone(),
        key: parts,
        restore,
    })
}

fn artifact(
    reader: &mut Reader<'_>,
    node: &Node,
    schema: &'static NodeSchema,
    prefix: Option<&str>,
    job: &mut Job,
    waits: &mut Vec<RawWait>,
) {
    let form = reader.form(node, schema);
    let Some(name) = form.arg(0).cloned() else {
        return;
    };
    let paths = form.texts();
    let (from, into) = (form.text("from"), form.text("into"));
    let wrong = |message: &str, help: &str| {
        Diagnostic::new(
            &crate::codes::shape::MISSING_ARGUMENT,
            message,
            node.span,
            "this artifact",
        )
        .help(help)
    };
    match from {
        None if paths.is_empty() && node.args.len() < 2 => reader.report(wrong(
            "the artifact has neither files nor a step that it comes from",
            "write its files, `artifact site \"public/**\"`, or where it comes from, `artifact site from=build`",
        )),
        Some(_) if !paths.is_empty() => reader.report(wrong(
            "an artifact is either made or taken",
            "keep the files (it is made here) or `from=` (it is taken from another step)",
        )),
        None => job.artifacts.push(Artifact { name, paths }),
        Some(from) => {
            waits.push(RawWait {
                name: from.clone(),
                kind: WaitKind::Reference,
                optional: false,
                legs: IndexMap::new(),
                prefix: prefix.map(str::to_owned),
                used_at: reader.scope.and_then(|s| s.used_at),
            });
            job.takes.push(ArtifactUse {
                name,
                from,
                step: None,
                into,
            });
        }
    }
}

fn resources(reader: &mut Reader<'_>, node: &Node, schema: &'static NodeSchema) -> Resources {
    let form = reader.form(node, schema);
    let cpu = form.value("cpu").and_then(Val::as_int).unwrap_or(0);
    let memory = match form.value("memory") {
        Some(Val::Size(bytes)) => bytes.value,
        _ => 0,
    };
    Resources {
        cpu: u32::try_from(cpu).unwrap_or(0),
        memory,
    }
}

fn matrix(reader: &mut Reader<'_>, node: &Node, schema: &'static NodeSchema) -> Option<Matrix> {
    let form = reader.form(node, schema);
    let texts = |values: &[Val]| {
        values
            .iter()
            .filter_map(Val::as_text)
            .cloned()
            .collect::<Vec<_>>()
    };
    let mut matrix = Matrix {
        axes: form
            .lists
            .iter()
            .map(|(name, values)| (name.clone(), texts(values)))
            .collect(),
        ..Matrix::default()
    };
    for (schema, child) in &form.children {
        let inner = reader.form(child, schema);
        let pair = |(name, val): &(Spanned<String>, Val)| {
            Some((name.value.clone(), val.as_text()?.value.clone()))
        };
        let values: IndexMap<String, String> = inner.open.iter().filter_map(pair).collect();
        if schema.name == "exclude" {
            known_axes(reader, &matrix, &inner);
            matrix.exclude.push(values);
        } else {
            matrix.include.push(values);
        }
    }
    for (axis, values) in &matrix.axes {
        axis_is_sound(reader, axis, values);
    }
    let combinations = matrix.combinations();
    if combinations > MAX_LEGS {
        let mut sizes: Vec<String> = matrix
            .axes
            .iter()
            .take(8)
            .map(|(_, v)| v.len().to_string())
            .collect();
        if matrix.axes.len() > 8 {
            sizes.push("…".to_owned());
        }
        reader.report(
            Diagnostic::new(
                &codes::MATRIX,
                match sizes.len() {
                    0 | 1 => format!("this matrix has {combinations} combinations"),
                    _ if combinations == usize::MAX => format!("this matrix has {} combinations", sizes.join(" × ")),
                    _ => format!("this matrix has {} = {combinations} combinations", sizes.join(" × ")),
                },
                node.name.span,
                "too many legs",
            )
            .help(format!("at most {MAX_LEGS} are run; take fewer values, or write the combinations with `include`")),
        );
    } else if !matrix.has_legs() && !unread(&form, &matrix) {
        reader.report(
            Diagnostic::new(&codes::MATRIX, "this matrix has no legs", node.name.span, "nothing would run")
                .help("give it an axis with values, `os linux macos`, that `exclude` does not take away again"),
        );
    }
    Some(matrix)
}

/// Whether a value was written that could not be read, which has had its finding.
fn unread(form: &Form<'_>, matrix: &Matrix) -> bool {
    let written: usize = form.node.nodes().iter().map(|n| n.args.len()).sum();
    let read: usize = matrix.axes.iter().map(|(_, values)| values.len()).sum();
    read < written
}

fn axis_is_sound(reader: &mut Reader<'_>, axis: &Spanned<String>, values: &[Spanned<String>]) {
    if let Err(why) = crate::units::name(&axis.value) {
        reader.report(
            Diagnostic::new(
                &codes::MATRIX,
                "this cannot be the name of an axis",
                axis.span,
                "this axis",
            )
            .help(why),
        );
    }
    let mut seen: IndexMap<&str, crate::source::Span> = IndexMap::new();
    for value in values {
        if let Some(first) = seen.insert(&value.value, value.span) {
            reader.report(
                Diagnostic::new(
                    &crate::codes::shape::DUPLICATE,
                    format!(
                        "`{}` stands twice on the axis `{}`",
                        value.value, axis.value
                    ),
                    value.span,
                    "the second one",
                )
                .label(first, "the first one")
                .help("keep one of them"),
            );
        }
    }
}

/// `exclude` names axes of its matrix, and values that they have.
fn known_axes(reader: &mut Reader<'_>, matrix: &Matrix, form: &Form<'_>) {
    for (name, val) in &form.open {
        let axis = matrix.axes.iter().find(|(a, _)| a.value == name.value);
        let Some((_, values)) = axis else {
            let known: Vec<&str> = matrix.axes.iter().map(|(a, _)| a.value.as_str()).collect();
            reader.report(crate::names::unknown("axis", name, &known, || {
                "declare it in the matrix".into()
            }));
            continue;
        };
        if let Some(text) = val.as_text()
            && values.iter().all(|v| v.value != text.value)
        {
            let known: Vec<&str> = values.iter().map(|v| v.value.as_str()).collect();
            reader.report(crate::names::unknown(
                &format!("value of the axis `{}`", name.value),
                text,
                &known,
                || "add it to the axis".into(),
            ));
        }
    }
}
