//! Targets that ask their driver for what it cannot do, or do not say what it needs.

use crate::codes::delivery as codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Driver, Pipeline, Strategy, Target};
use crate::units;

pub(super) fn check(pipeline: &Pipeline, out: &mut Diagnostics) {
    for target in pipeline.targets.values() {
        if let (Some(Driver::Compose(compose)), Some(host)) = (&target.driver, &target.ssh)
            && compose.dir.is_none()
        {
            let what = format!(
                "the Compose file of `{}` has no folder on its host",
                target.name.value
            );
            let label = "goes to the host, and nobody says where";
            let example = format!("dir=\"/srv/{}\"", pipeline.name);
            out.push(
                Diagnostic::new(&codes::HOST_FOLDER, what, compose.file.span, label)
                    .label(host.address.span, "the host")
                    .help(format!(
                        "say it: `compose \"{}\" {example}`",
                        compose.file.value
                    )),
            );
        }
        let (Some(driver), Some(strategy)) = (&target.driver, &target.strategy) else {
            continue;
        };
        if strategy.kind.value != "canary" && (strategy.steps.is_some() || strategy.pause.is_some())
        {
            out.push(
                Diagnostic::new(
                    &codes::STRATEGY,
                    format!("`{}` has no steps and no pause", strategy.kind.value),
                    strategy
                        .steps
                        .as_ref()
                        .map_or(strategy.kind.span, |s| s.span),
                    "means nothing here",
                )
                .help("leave them out, or write `strategy canary`"),
            );
        }
        match strategy.kind.value.as_str() {
            "canary" => canary(target, driver, strategy, out),
            "blue-green" if !matches!(driver, Driver::Container(_)) => {
                let help = match driver {
                    Driver::Kubernetes(_) => {
                        "leave it out for the Deployment's own rollout, or write `strategy canary steps=\"10%,50%\"`"
                    }
                    Driver::Ecs(_) => "leave it out: ECS replaces the tasks as the service says",
                    Driver::Run(_) => {
                        "leave it out: how the new release replaces the old one is what `apply` does"
                    }
                    _ => "leave it out: Compose replaces the services one after the other",
                };
                out.push(cannot(target, driver, strategy).help(help));
            }
            _ => {}
        }
    }
}

fn canary(target: &Target, driver: &Driver, strategy: &Strategy, out: &mut Diagnostics) {
    let Driver::Kubernetes(kubernetes) = driver else {
        let help = "canary steps are done on `kubernetes` only; `container` knows `blue-green`";
        out.push(cannot(target, driver, strategy).help(help));
        return;
    };
    let kind = strategy.kind.span;
    let finding = |what: &str, span| Diagnostic::new(&codes::STRATEGY, what, span, "a canary");
    if kubernetes.manifests.is_none() {
        let what = format!(
            "`{}` has no manifests to make a canary of",
            target.name.value
        );
        out.push(finding(&what, kind).help("name the Deployment's manifests with `manifests=`"));
    }
    match &strategy.steps {
        None => out.push(
            finding("a canary without steps", kind)
                .help("say which shares of the requests it gets: `steps=\"10%,50%\"`"),
        ),
        Some(steps) => {
            if let Err(why) = units::shares(&steps.value) {
                let what = format!("`{}` are no steps of a canary", steps.value.escape_debug());
                out.push(
                    finding(&what, steps.span)
                        .help(format!("{why}; after the last one all pods are replaced")),
                );
            }
        }
    }
}

fn cannot(target: &Target, driver: &Driver, strategy: &Strategy) -> Diagnostic {
    Diagnostic::new(
        &codes::STRATEGY,
        format!(
            "`{}` cannot deploy `{}`",
            driver.word(),
            strategy.kind.value
        ),
        strategy.kind.span,
        "not with this driver",
    )
    .label(target.name.span, "the target")
}
