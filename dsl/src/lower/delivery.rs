//! Images, registries, targets, promotions, and the steps that use them.

use super::{env, variables};
use crate::calver::Pattern;
use crate::codes::{delivery as codes, shape};
use crate::diagnostic::Diagnostic;
use crate::expr::{Part, Ref, Template};
use crate::form::{Form, Reader, Val};
use crate::model::{
    Approve, Build, Deploy, Driver, Login, Notify, Promote, Promotion, Push, Registry, Release,
    Requirement, Sign, StepKind, Target, Version, VersionScheme,
};
use crate::schema::NodeSchema;
use crate::source::{Span, Spanned};
use crate::syntax::tree::Node;

/// What a step other than a job does.
pub(super) fn step(reader: &mut Reader<'_>, form: &Form<'_>, verb: &str) -> Option<StepKind> {
    Some(match verb {
        "build" => {
            let mut build = build_properties(reader, form);
            build.image = Some(form.arg(0)?.clone());
            build.rebuild = form.flag("rebuild");
            StepKind::Build(Box::new(build))
        }
        "push" => StepKind::Push(Push {
            images: form.texts(),
            tags: tags(reader, form),
            registry: form.text("to")?,
        }),
        "sign" => StepKind::Sign(sign(reader, form)),
        "release" => StepKind::Release(Release {
            version: form.arg(0)?.clone(),
            forge: form.text("forge"),
            changelog: form.text("changelog"),
            notes: form.text("notes"),
            annotated: form.flag_or("annotated", true),
        }),
        "promote" => StepKind::Promote(Promote {
            rule: form.arg(0)?.clone(),
        }),
        "deploy" => StepKind::Deploy(Deploy {
            images: form.texts(),
            target: form.text("to")?,
        }),
        _ => StepKind::Approve(approve(reader, form)?),
    })
}

/// The properties and children by which an image is built.
pub(super) fn build_properties(reader: &mut Reader<'_>, form: &Form<'_>) -> Build {
    let mut build = Build {
        context: form.text("context"),
        dockerfile: form.text("dockerfile"),
        target: form.text("target"),
        repository: form.text("repository"),
        ..Build::default()
    };
    for (schema, node) in &form.children {
        match schema.name {
            "platforms" => build.platforms = reader.form(node, schema).texts(),
            "args" => build.args.extend(variables(reader, node, schema)),
            "labels" => build.labels.extend(variables(reader, node, schema)),
            "secrets" => build.secrets.extend(reader.form(node, schema).texts()),
            "attest" => build.attest = reader.form(node, schema).texts(),
            "inputs" => build.inputs.extend(reader.form(node, schema).texts()),
            "cache" => build
                .cache_registries
                .extend(reader.form(node, schema).text("registry")),
            _ => {}
        }
    }
    build
}

fn tags(reader: &mut Reader<'_>, form: &Form<'_>) -> Vec<Spanned<Template>> {
    let mut tags: Vec<_> = form
        .value("tag")
        .and_then(Val::as_template)
        .cloned()
        .into_iter()
        .collect();
    for (schema, node) in form.children.iter().filter(|(s, _)| s.name == "tag") {
        let inner = reader.form(node, schema);
        tags.extend(inner.arg_value(0).and_then(Val::as_template).cloned());
    }
    if tags.is_empty() {
        reader.report(
            Diagnostic::new(
                &shape::MISSING_PROPERTY,
                "`push` gives the image no tag",
                form.name_span(),
                "no tag here",
            )
            .help(format!(
                "add one: `push {} to={} tag=\"sha-${{git.short-sha}}\"`",
                words(&form.texts()),
                form.text("to").map_or("REGISTRY".to_owned(), |t| t.value)
            )),
        );
    }
    for tag in &tags {
        check_tag(reader, tag);
    }
    tags
}

fn words(names: &[Spanned<String>]) -> String {
    let names: Vec<&str> = names.iter().map(|n| n.value.as_str()).collect();
    names.join(" ")
}

/// Literal text of a tag that no registry would take.
fn check_tag(reader: &mut Reader<'_>, tag: &Spanned<Template>) {
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let literal = |part: &Part| match part {
        Part::Text(text) => Some(text.clone()),
        Part::Expr(_) => None,
    };
    let text: String = tag.value.parts.iter().filter_map(literal).collect();
    let first = tag.value.parts.first().and_then(literal);
    let whole = tag.value.known().is_some();
    let wrong = text.len() > 128
        || !text.chars().all(ok)
        || first.is_some_and(|t| t.starts_with(['.', '-']));
    if wrong || (whole && text.is_empty()) {
        let text = tag.value.to_string();
        reader.report(
            Diagnostic::new(&shape::WRONG_VALUE, format!("`{text}` cannot be a tag"), tag.span, "this tag").help(
                "a tag has letters, digits, `_`, `-`, `.`, at most 128, and does not begin with `.` or `-`",
            ),
        );
    }
}

fn sign(reader: &mut Reader<'_>, form: &Form<'_>) -> Sign {
    let sign = Sign {
        images: form.texts(),
        keyless: form.flag("keyless"),
        key: form.text("key"),
    };
    if sign.keyless == sign.key.is_some() {
        reader.report(
            Diagnostic::new(
                &shape::MISSING_PROPERTY,
                "`sign` wants either `keyless=#true` or `key=`",
                form.name_span(),
                "how to sign?",
            )
            .help("write `sign app keyless=#true`, or `sign app key=SECRET`"),
        );
    }
    sign
}

fn approve(reader: &mut Reader<'_>, form: &Form<'_>) -> Option<Approve> {
    let by = form.text("by")?;
    only_author(reader, &by, form.text("not").as_ref());
    Some(Approve {
        name: form.arg(0)?.clone(),
        count: form
            .value("count")
            .and_then(Val::as_int)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(1),
        by,
    })
}

/// An approval that its own author gives, or that nobody can give.
fn only_author(reader: &mut Reader<'_>, by: &Spanned<String>, not: Option<&Spanned<String>>) {
    let refused: Vec<&str> = not
        .map(|n| n.value.split(',').map(str::trim).collect())
        .unwrap_or_default();
    let own = matches!(by.value.as_str(), "author" | "trigger");
    if !own && !refused.contains(&by.value.as_str()) {
        return;
    }
    let message = if own {
        format!(
            "`by={}` lets the one who made the change approve it",
            by.value
        )
    } else {
        format!(
            "nobody can give this approval: `{}` is refused by `not=`",
            by.value
        )
    };
    reader.report(
        Diagnostic::new(&codes::APPROVAL_BY_AUTHOR, message, by.span, "this group")
            .help("name a group of other people, such as `by=ops`"),
    );
}

/// `registry`
pub(super) fn registry(
    reader: &mut Reader<'_>,
    form: &Form<'_>,
    name: Spanned<String>,
) -> Option<Registry> {
    let mut registry = Registry {
        name,
        prefix: form.arg_value(1)?.as_template()?.clone(),
        immutable: form.flag("immutable"),
        keep: match form.value("keep") {
            Some(Val::Duration(d)) => Some(*d),
            _ => None,
        },
        login: None,
        accept_branches: Vec::new(),
        accept_tags: Vec::new(),
    };
    if let Some(text) = registry.prefix.value.known()
        && text.contains("://")
    {
        let bare = text.split("://").nth(1).unwrap_or_default().to_owned();
        reader.report(
            Diagnostic::new(
                &shape::WRONG_VALUE,
                "a registry's prefix has no `https://` in front",
                registry.prefix.span,
                "host and path are expected",
            )
            .help(format!("write `\"{bare}\"`")),
        );
    }
    for (schema, node) in &form.children {
        let inner = reader.form(node, schema);
        match schema.name {
            "accept" => {
                registry.accept_branches.extend(inner.text("branch"));
                registry.accept_tags.extend(inner.text("tag"));
            }
            _ => registry.login = login(reader, &inner),
        }
    }
    Some(registry)
}

fn login(reader: &mut Reader<'_>, form: &Form<'_>) -> Option<Login> {
    let login = Login {
        user: form.text("user"),
        password: form.text("password"),
        helper: form.text("helper"),
        span: form.node.span,
    };
    let complete = match (&login.user, &login.password, &login.helper) {
        (Some(_), Some(_), None) | (None, None, Some(_)) => true,
        // A name that is not declared has had its finding.
        _ => form.node.props.iter().any(|p| p.name.value == "password") && login.user.is_some(),
    };
    if !complete {
        reader.report(
            Diagnostic::new(
                &shape::MISSING_PROPERTY,
                "`login` wants either `user=` and `password=`, or `helper=`",
                form.name_span(),
                "not a complete login",
            )
            .help("write `login user=ci password=SECRET`, or `login helper=ecr-login`"),
        );
    }
    Some(login)
}

/// `version`
pub(super) fn version(
    reader: &mut Reader<'_>,
    form: &Form<'_>,
    name: Spanned<String>,
) -> Option<Version> {
    let schemes: Vec<VersionScheme> = [
        form.text("calver").map(|t| VersionScheme::CalVer(t.value)),
        form.text("semantic").map(|_| VersionScheme::Semantic),
        form.text("from").map(|t| VersionScheme::File(t.value)),
        form.text("fixed").map(|t| VersionScheme::Fixed(t.value)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if schemes.len() != 1 && form.node.props.len() == schemes.len() {
        let what = if schemes.is_empty() {
            "no scheme"
        } else {
            "several schemes"
        };
        reader.report(
            Diagnostic::new(
                &codes::VERSION_SCHEME,
                format!("the version `{}` has {what}", name.value),
                form.node.span,
                "this version",
            )
            .help("write one of `calver=\"vYY.MM.DD.i\"`, `semantic=conventional-commits`, `from=\"Cargo.toml\"`, `fixed=\"1.2.3\"`"),
        );
    }
    if let Some(pattern) = form.text("calver")
        && let Err(fault) = Pattern::read(&pattern.value)
    {
        let message = format!("the calendar pattern `{}` {fault}", pattern.value);
        reader.report(
            Diagnostic::new(&codes::VERSION_SCHEME, message, pattern.span, "this pattern").help(
                "write the parts `YYYY`, `YY`, `MM`, `DD`, and `i` for a counter: `calver=\"vYY.MM.DD.i\"`",
            ),
        );
    }
    let scheme = schemes.into_iter().next()?;
    Some(Version { name, scheme })
}

/// `target`, with what it says itself.
pub(super) fn target(reader: &mut Reader<'_>, form: &Form<'_>, name: Spanned<String>) -> Target {
    let mut target = Target {
        name,
        protected: form.flag("protected"),
        ssh: None,
        driver: None,
        ready: false,
        no_rollback: false,
        image_refs: Vec::new(),
    };
    let mut drivers: Vec<(&str, Span)> = Vec::new();
    for (schema, node) in &form.children {
        let inner = reader.form(node, schema);
        reader.check_children(&inner);
        image_refs(reader, &inner, &mut target.image_refs);
        let driver = match schema.name {
            "container" => Some(Driver::Container),
            "compose" => Some(Driver::Compose),
            "kubernetes" => Some(Driver::Kubernetes),
            "ecs" => Some(Driver::Ecs),
            "run" => Some(Driver::Run {
                undo: inner.child("undo").is_some(),
            }),
            _ => None,
        };
        match schema.name {
            "ssh" => target.ssh = inner.arg_value(0).and_then(Val::as_template).cloned(),
            "ready" => target.ready = true,
            "no-rollback" => target.no_rollback = true,
            _ => {}
        }
        if let Some(driver) = driver {
            drivers.push((schema.name, node.name.span));
            target.driver = Some(driver);
        }
    }
    let inherits = form.node.props.iter().any(|p| p.name.value == "like");
    target_driver(reader, &target.name, &drivers, inherits);
    target
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
    Target {
        protected: own.protected,
        ssh: own.ssh.or_else(|| base.ssh.clone()),
        ready: own.ready || base.ready,
        no_rollback: own.no_rollback || base.no_rollback,
        image_refs: if own.driver.is_some() {
            own.image_refs
        } else {
            base.image_refs.clone()
        },
        driver: own.driver.or(base.driver),
        name: own.name,
    }
}

/// `promotion`
pub(super) fn promotion(
    reader: &mut Reader<'_>,
    form: &Form<'_>,
    name: Spanned<String>,
) -> Option<Promotion> {
    let mut promotion = Promotion {
        name,
        from: form.text("from")?,
        to: form.text("to")?,
        images: Vec::new(),
        requirements: Vec::new(),
    };
    for (schema, node) in &form.children {
        let inner = reader.form(node, schema);
        match schema.name {
            "images" => promotion.images = inner.texts(),
            "require" => {
                let Some(what) = inner.arg(0).cloned() else {
                    continue;
                };
                let by = inner.text("by");
                if let Some(by) = &by {
                    only_author(reader, by, inner.text("not").as_ref());
                }
                promotion.requirements.push(Requirement {
                    what,
                    by,
                    span: node.span,
                });
            }
            _ => {}
        }
    }
    Some(promotion)
}

/// `notify`
pub(super) fn notify(
    reader: &mut Reader<'_>,
    node: &Node,
    schema: &'static NodeSchema,
) -> Option<Notify> {
    let form = reader.form(node, schema);
    let on = match form.child("on") {
        Some((schema, child)) => reader.form(child, schema).texts(),
        None => Vec::new(),
    };
    super::step::commands(reader, &form);
    Some(Notify {
        kind: form.arg(0)?.clone(),
        on,
    })
}
