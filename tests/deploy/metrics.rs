//! What the ledger says of how a target is delivered to.

use serde_json::Value;

use super::shop::{Is, Shop, lacks};
use crate::support::skip;

#[test]
fn a_failed_deployment_is_in_the_figures_of_its_target() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = Shop::new();
    let none = shop.project.pipe(&["metrics", "staging"]).exits(0);
    assert_eq!(
        none.stdout,
        " staging  the last 30 days\n   no deployments\n"
    );
    shop.version("1", Is::Good);
    let _ = shop.deploy().exits(0);
    shop.version("2", Is::NeverStarts);
    let _ = shop.deploy().exits(6);
    shop.version("3", Is::Good);
    let _ = shop.deploy().exits(0);
    let out = shop.project.pipe(&["metrics", "--format", "json"]).exits(0);
    let all: Vec<Value> = serde_json::from_str(&out.stdout).unwrap();
    let targets: Vec<&str> = all.iter().map(|t| t["target"].as_str().unwrap()).collect();
    assert_eq!(targets, ["staging", "production"]);
    let figures = &all[0]["figures"];
    assert_eq!(figures["deployments"], 3, "{figures}");
    assert_eq!(figures["healthy"], 2);
    assert!((figures["changeFailRate"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
    assert!((figures["reworkRate"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
    assert!(figures["recoveryTime"].as_i64().unwrap() >= 0);
    assert!(figures["leadTime"].as_i64().unwrap() >= 0);
    assert_eq!(all[1]["figures"]["deployments"], 0);
    let human = shop
        .project
        .pipe(&["metrics", "staging", "--last", "7d"])
        .exits(0);
    assert!(
        human.stdout.starts_with(
            " staging  the last 7 days\n   deployments       2 of 3 healthy, 2.0 a week\n"
        ),
        "{human:?}"
    );
    assert!(
        human.stdout.contains("   change fail rate  33 %\n"),
        "{human:?}"
    );
    let misspelt = shop.project.pipe(&["metrics", "stagin"]).exits(2);
    assert!(
        misspelt.stderr.contains("did you mean `staging`?"),
        "{misspelt:?}"
    );
}
