//! Images, registries, targets, promotions, and the steps that use them.

use super::variables;
use crate::calver::Pattern;
use crate::codes::{delivery as codes, shape};
use crate::diagnostic::Diagnostic;
use crate::expr::{Part, Template};
use crate::form::{Form, Reader, Val};
use crate::model::{
    Approve, Build, Deploy, EnvVar, Login, Notify, Promote, Promotion, Push, Registry, Release,
    ReleaseOptions, Requirement, Sign, StepKind, Version, VersionScheme,
};
use crate::schema::NodeSchema;
use crate::schema::delivery::REQUIRE;
use crate::source::Spanned;
use crate::syntax::tree::Node;
use crate::units;

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
            changelog: form.text("changelog"),
            options: release_options(reader, form),
        }),
        "promote" => StepKind::Promote(Promote {
            rule: form.arg(0)?.clone(),
        }),
        "deploy" => StepKind::Deploy(Deploy {
            images: form.texts(),
            digests: digests(reader, form),
            target: form.text("to")?,
            earlier: None,
        }),
        _ => StepKind::Approve(approve(reader, form)?),
    })
}

fn release_options(reader: &mut Reader<'_>, form: &Form<'_>) -> ReleaseOptions {
    let forge = form.text("forge");
    let written = form.node.props.iter().any(|p| p.name.value == "forge");
    let not_by = match forge.as_ref().map(|f| f.value.as_str()) {
        Some("gitlab") => Some("GitLab writes no texts of releases"),
        Some("gitea") => Some("Gitea writes no texts of releases"),
        // A forge that does not exist has its own finding.
        Some("github") => None,
        None if written => None,
        _ => Some("there is no release at a forge that could have a text"),
    };
    let auto = form.text("notes").filter(|n| n.value == "auto");
    if let (Some(why), Some(notes)) = (not_by, auto) {
        reader.report(
            Diagnostic::new(&shape::WRONG_VALUE, why, notes.span, "left to the forge").help(
                "write `forge=github`, or leave `notes` out: the text is made of the commits",
            ),
        );
    }
    ReleaseOptions {
        forge,
        notes: form.text("notes"),
        annotated: form.flag_or("annotated", true),
        span: form.node.span,
    }
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
            "attest" => {
                let attest = reader.form(node, schema);
                build.attest = attest.texts();
                build.scanner = attest.text("scanner");
                if let (Some(scanner), false) = (&build.scanner, build.wants_sbom()) {
                    reader.report(
                        Diagnostic::new(
                            &shape::UNKNOWN_PROPERTY,
                            "only `attest sbom` has a `scanner=`",
                            scanner.span,
                            "means nothing here",
                        )
                        .help(format!(
                            "write `attest sbom {} scanner=…`, or leave it out",
                            words(&build.attest)
                        )),
                    );
                }
            }
            "inputs" => build.inputs.extend(reader.form(node, schema).texts()),
            "cache" => {
                let cache = reader.form(node, schema);
                build.cache_registries.extend(cache.text("registry"));
                build.cache_mode = cache.text("mode").or(build.cache_mode);
                build.cache_inline |= cache.flag("inline");
                build.cache_local = cache.text("local").or(build.cache_local);
                build.cache_compression = cache.text("compression").or(build.cache_compression);
            }
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

/// Digests that a deployment is given, instead of those that this run built.
fn digests(reader: &mut Reader<'_>, form: &Form<'_>) -> Vec<EnvVar> {
    let mut given: Vec<EnvVar> = Vec::new();
    for (schema, node) in form.children.iter().filter(|(s, _)| s.name == "digest") {
        given.extend(variables(reader, node, schema));
    }
    let images = form.texts();
    for digest in &given {
        if !images.iter().any(|i| i.value == digest.name.value) {
            reader.report(
                Diagnostic::new(
                    &shape::WRONG_VALUE,
                    format!("`{}` is not deployed here", digest.name.value),
                    digest.name.span,
                    "no such image in this `deploy`",
                )
                .help(format!("name it: `deploy {}`", digest.name.value)),
            );
        }
    }
    given
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
        password: form.text("password"),
        is_logged: form.flag_or("log", true),
    };
    if sign.keyless && !sign.is_logged {
        reader.report(
            Diagnostic::new(
                &shape::WRONG_VALUE,
                "a signature without a key is worth something in the public log only",
                form.name_span(),
                "`keyless=#true` and `log=#false`",
            )
            .help("remove `log=#false`, or sign with `key=SECRET`"),
        );
    }
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
        not: form.text("not"),
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
        realm: form.text("realm"),
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
        tags: Vec::new(),
        release: None,
    };
    for (schema, node) in &form.children {
        let inner = reader.form(node, schema);
        match schema.name {
            "images" => promotion.images = inner.texts(),
            "require" => {
                let required = requirement(reader, &inner);
                promotion.requirements.extend(required);
            }
            "tag" => {
                let tag = inner.arg_value(0).and_then(Val::as_template).cloned();
                let registry = inner.text("in");
                promotion.tags.extend(tag.map(|tag| (tag, registry)));
            }
            "release" => {
                promotion.release = Some((release_options(reader, &inner), inner.text("version")));
            }
            _ => {}
        }
    }
    Some(promotion)
}

/// What a requirement says that means nothing for it: it would be passed over, and somebody relies on it.
fn not_of_it(reader: &mut Reader<'_>, form: &Form<'_>, what: &str) {
    let owns: &[&str] = match what {
        "healthy" => &["for"],
        "approval" => &["by", "count", "not"],
        "window" => &["days", "from", "until"],
        "from-commit" => &["branch"],
        _ => &["name"],
    };
    for prop in &form.node.props {
        let name = prop.name.value.as_str();
        if !REQUIRE.props.iter().any(|p| p.name == name) || owns.contains(&name) {
            continue;
        }
        let finding = Diagnostic::new(
            &shape::UNKNOWN_PROPERTY,
            format!("`require {what}` has no `{name}=`"),
            prop.name.span,
            "means nothing here",
        );
        reader.report(finding.help(format!(
            "it has {}; another requirement is a line of its own",
            owns.iter().map(|o| format!("`{o}=`")).collect::<Vec<_>>().join(", ")
        )));
    }
}

fn requirement(reader: &mut Reader<'_>, form: &Form<'_>) -> Option<Requirement> {
    let what = form.arg(0)?.clone();
    let by = form.text("by");
    if let Some(by) = &by {
        only_author(reader, by, form.text("not").as_ref());
    }
    let required = Requirement {
        healthy_for: form
            .value("for")
            .and_then(Val::as_duration)
            .unwrap_or_default(),
        count: form
            .value("count")
            .and_then(Val::as_int)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(1),
        not: form.text("not"),
        days: form.text("days"),
        from: form.text("from"),
        until: form.text("until"),
        branch: form.text("branch"),
        name: form.text("name"),
        span: form.node.span,
        what,
        by,
    };
    not_of_it(reader, form, &required.what.value);
    let written = |name: &str| form.node.props.iter().any(|p| p.name.value == name);
    let lacks = match required.what.value.as_str() {
        "approval" if !written("by") => Some(("`by=`", "require approval by=ops")),
        "from-commit" if !written("branch") => {
            Some(("`branch=`", "require from-commit branch=main"))
        }
        "window" if !["days", "from", "until"].iter().any(|p| written(p)) => Some((
            "`days=`, `from=` or `until=`",
            "require window days=\"mon-thu\" from=\"09:00\" until=\"16:00\"",
        )),
        _ => None,
    };
    if let Some((what, example)) = lacks {
        reader.report(
            Diagnostic::new(
                &shape::MISSING_PROPERTY,
                format!("`require {}` wants {what}", required.what.value),
                form.name_span(),
                "says too little",
            )
            .help(format!("write `{example}`")),
        );
    }
    let text = |t: &Option<Spanned<String>>| t.as_ref().map(|t| (t.value.clone(), t.span));
    let times = [&required.from, &required.until];
    let wrong = times
        .into_iter()
        .filter_map(text)
        .find(|(t, _)| units::clock(t).is_err())
        .or_else(|| text(&required.days).filter(|(d, _)| units::days(d).is_err()));
    if let Some((value, span)) = wrong {
        reader.report(
            Diagnostic::new(
                &shape::WRONG_VALUE,
                format!("`{value}` is no part of a window"),
                span,
                "cannot be read",
            )
            .help(
                "days are written `\"mon-fri\"` or `\"mon,wed\"`, times `\"09:00\"`; both mean UTC",
            ),
        );
    }
    Some(required)
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
    let run = super::step::commands(reader, &form);
    let (webhook, channel) = (form.text("webhook"), form.text("channel"));
    let kind = form.arg(0)?.clone();
    // A secret that is not declared has its own finding.
    let written = node.props.iter().any(|p| p.name.value == "webhook");
    let lacks = match kind.value.as_str() {
        "command" if run.is_empty() => Some((
            "command",
            "a `run` in it: `notify command { run \"./tell.sh\" }`",
        )),
        "slack" | "webhook" if !written => Some((
            "address",
            "the secret that holds it: `notify slack webhook=SLACK_WEBHOOK`",
        )),
        _ => None,
    };
    if let Some((what, help)) = lacks {
        reader.report(
            Diagnostic::new(
                &codes::NOTIFY,
                format!("`notify {}` has no {what}", kind.value),
                kind.span,
                "tells nobody",
            )
            .help(format!("write {help}")),
        );
    }
    Some(Notify {
        kind,
        on,
        webhook,
        channel,
        run,
    })
}
