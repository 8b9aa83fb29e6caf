//! Targets and what drives them.

use super::{env, job};
use crate::codes::{delivery as codes, shape};
use crate::diagnostic::Diagnostic;
use crate::expr::Ref;
use crate::form::{Form, Reader, Val};
use crate::model::{
    Compose, ComposeStep, Driver, Ecs, Kubernetes, OneContainer, OwnCommands, SshHost, Strategy,
    Target,
};
use crate::schema::NodeSchema;
use crate::source::{Span, Spanned};
use crate::syntax::tree::Node;

/// `target`, with what it says itself.
pub(super) fn target(reader: &mut Reader<'_>, form: &Form<'_>, name: Spanned<String>) -> Target {
    let mut target = Target {
        name,
        protected: form.flag("protected"),
        ssh: None,
        driver: None,
        ready: None,
        no_rollback: None,
        assert_env: Vec::new(),
        strategy: None,
        rollback_floor: None,
        env: env(reader, form),
        image_refs: Vec::new(),
    };
    let mut drivers: Vec<(&str, Span)> = Vec::new();
    for (schema, node) in &form.children {
        let inner = reader.form(node, schema);
        reader.check_children(&inner);
        image_refs(reader, &inner, &mut target.image_refs);
        match schema.name {
            "ssh" => target.ssh = ssh(&inner),
            "ready" => target.ready = Some(job::ready(reader, node, schema)),
            "no-rollback" => {
                target.no_rollback = Some(inner.arg(0).map_or(String::new(), |t| t.value.clone()));
            }
            "assert-env" => target.assert_env.extend(
                inner
                    .open
                    .iter()
                    .filter_map(|(name, val)| Some((name.clone(), val.as_text()?.clone()))),
            ),
            "strategy" => target.strategy = strategy(&inner),
            "rollback-floor" => target.rollback_floor = inner.arg(0).cloned(),
            _ => {
                if let Some(driver) = driver(reader, schema, node, &inner) {
                    drivers.push((schema.name, node.name.span));
                    target.driver = Some(driver);
                }
            }
        }
    }
    let inherits = form.node.props.iter().any(|p| p.name.value == "like");
    target_driver(reader, &target.name, &drivers, inherits);
    target
}

fn ssh(form: &Form<'_>) -> Option<SshHost> {
    Some(SshHost {
        address: form.arg_value(0).and_then(Val::as_template)?.clone(),
        key: form.text("key"),
        known_hosts: form.text("known-hosts"),
    })
}

fn strategy(form: &Form<'_>) -> Option<Strategy> {
    Some(Strategy {
        kind: form.arg(0)?.clone(),
        steps: form.text("steps"),
        pause: form.value("pause").and_then(Val::as_duration),
    })
}

fn driver(
    reader: &mut Reader<'_>,
    schema: &'static NodeSchema,
    node: &Node,
    form: &Form<'_>,
) -> Option<Driver> {
    let empty = || Spanned::new(String::new(), node.name.span);
    let template = |name: &str| {
        let value = form.value(name).and_then(Val::as_template).cloned();
        value.unwrap_or_else(|| Spanned::new(crate::expr::Template::default(), node.name.span))
    };
    // A field that is missing has had its finding; the target has its driver all the same.
    Some(match schema.name {
        "container" => Driver::Container(Box::new(OneContainer {
            name: form.arg(0).cloned().unwrap_or_else(empty),
            publish: form.text("publish"),
            prune: form.flag("prune"),
            env: env(reader, form),
            env_files: env_files(reader, form),
        })),
        "compose" => Driver::Compose(Box::new(compose(reader, form, empty()))),
        "kubernetes" => Driver::Kubernetes(Box::new(kubernetes(reader, form))),
        "ecs" => Driver::Ecs(Box::new(Ecs {
            cluster: template("cluster"),
            service: template("service"),
            region: template("region"),
            container: form.text("container"),
        })),
        "run" => {
            let mut text = |name: &str| {
                let (schema, node) = form.child(name)?;
                reader.form(node, schema).arg(0).cloned()
            };
            Driver::Run(Box::new(OwnCommands {
                apply: text("apply"),
                observe: text("observe"),
                undo: text("undo"),
            }))
        }
        _ => return None,
    })
}

fn kubernetes(reader: &mut Reader<'_>, form: &Form<'_>) -> Kubernetes {
    let kubernetes = Kubernetes {
        manifests: form.text("manifests"),
        deployment: form.text("deployment"),
        namespace: form.text("namespace"),
        context: form.text("context"),
        container: form.text("container"),
        kubectl: form.text("kubectl"),
    };
    if kubernetes.manifests.is_none() && kubernetes.deployment.is_none() {
        reader.report(
            Diagnostic::new(
                &shape::MISSING_PROPERTY,
                "`kubernetes` wants `manifests` or `deployment`",
                form.name_span(),
                "what is to get the images?",
            )
            .help("write `kubernetes manifests=\"k8s/\"`, or `deployment=` with the name of one that is there"),
        );
    }
    kubernetes
}

fn env_files(reader: &mut Reader<'_>, form: &Form<'_>) -> Vec<Spanned<String>> {
    let files = form.children.iter().filter(|(s, _)| s.name == "env-file");
    files
        .filter_map(|(schema, node)| reader.form(node, schema).arg(0).cloned())
        .collect()
}

fn compose(reader: &mut Reader<'_>, form: &Form<'_>, empty: Spanned<String>) -> Compose {
    let mut compose = Compose {
        file: form.arg(0).cloned().unwrap_or(empty),
        dir: form.text("dir"),
        project: form.text("project"),
        copies: Vec::new(),
        env_files: env_files(reader, form),
        env: env(reader, form),
        steps: Vec::new(),
    };
    for (schema, node) in &form.children {
        match schema.name {
            "copy" => compose.copies.extend(reader.form(node, schema).texts()),
            "up" => {
                let services = reader.form(node, schema).texts();
                compose.steps.push(ComposeStep::Up(services));
            }
            "run" => {
                let services = reader.form(node, schema).texts();
                compose.steps.push(ComposeStep::Run(services));
            }
            _ => {}
        }
    }
    compose
}

fn target_driver(
    reader: &mut Reader<'_>,
    name: &Spanned<String>,
    drivers: &[(&str, Span)],
    inherits: bool,
) {
    match drivers {
        [] if !inherits => reader.report(
            Diagnostic::new(
                &codes::TARGET_DRIVER,
                format!("the target `{}` has no driver", name.value),
                name.span,
                "how does software get there?",
            )
            .help("add one of `container`, `compose`, `kubernetes`, `ecs`, `run`, or `like=` another target"),
        ),
        [(first, at), (second, here), ..] => reader.report(
            Diagnostic::new(
                &codes::TARGET_DRIVER,
                format!("the target `{}` has two drivers, `{first}` and `{second}`", name.value),
                *here,
                "the second one",
            )
            .label(*at, "the first one")
            .help("keep one; another place to run is another target"),
        ),
        _ => {}
    }
}

/// Images named by `${image.…}` in the variables of a driver, and tags that move.
fn image_refs(reader: &mut Reader<'_>, form: &Form<'_>, out: &mut Vec<(String, Span)>) {
    let mut vars = env(reader, form);
    vars.extend(form.open.iter().filter_map(|(name, val)| {
        Some(crate::model::EnvVar {
            name: name.clone(),
            value: val.as_template()?.clone(),
        })
    }));
    for var in &vars {
        for expr in var.value.value.exprs() {
            if let Ref::Image { name, .. } = &expr.target {
                out.push((name.clone(), expr.span));
            }
        }
        if let Some(text) = var.value.value.known()
            && text.contains('/')
            && text.ends_with(":latest")
        {
            reader.report(
                Diagnostic::new(
                    &codes::MUTABLE_TAG,
                    format!(
                        "`{}` is deployed by a tag that moves",
                        crate::text::shorten(&text, 60)
                    ),
                    var.value.span,
                    "another image tomorrow",
                )
                .help("write `${image.NAME}`, the digest that this pipeline built"),
            );
        }
    }
}

/// What `like=` takes over from another target.
pub(super) fn inherit(own: Target, base: &Target) -> Target {
    let mut image_refs = own.image_refs;
    if own.driver.is_none() {
        image_refs.extend(base.image_refs.iter().cloned());
    }
    Target {
        protected: own.protected,
        ssh: own.ssh.or_else(|| base.ssh.clone()),
        ready: own.ready.or_else(|| base.ready.clone()),
        no_rollback: own.no_rollback.or_else(|| base.no_rollback.clone()),
        assert_env: if own.assert_env.is_empty() {
            base.assert_env.clone()
        } else {
            own.assert_env
        },
        strategy: own.strategy.or_else(|| base.strategy.clone()),
        rollback_floor: own.rollback_floor.or_else(|| base.rollback_floor.clone()),
        // What both set stands twice, and the later one wins.
        env: base.env.iter().cloned().chain(own.env).collect(),
        image_refs,
        driver: own.driver.or_else(|| base.driver.clone()),
        name: own.name,
    }
}
