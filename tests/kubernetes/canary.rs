//! Canary steps: a share of the requests first, and the old pods untouched until it is good.

use super::cluster::{Shop, Target, cluster, heard};
use crate::support::wait_until;

#[test]
fn a_canary_gets_a_share_of_the_requests_first_and_a_bad_one_is_taken_away() {
    let Some(cluster) = cluster() else { return };
    let target = Target {
        nodes: "strategy canary steps=\"10%,50%\" pause=\"1s\"",
        ..Target::default()
    };
    let shop = Shop::with(cluster, "canary", 30089, target);
    let (one, two) = (cluster.good("1"), cluster.good("2"));
    let out = shop.deploy(&one).exits(0).stdout;
    assert!(
        out.contains("nothing runs there, so that there is no canary"),
        "{out}"
    );
    let pods = || shop.kubectl(&["get", "pods", "-o", "name"]);
    let before = pods();

    let broken = cluster.image(&["GREETING=3", "BROKEN=1"]);
    let out = shop.deploy_bad(&broken).exits(6).stdout;
    assert!(
        out.contains("deployment/shop-canary: shop in pod shop-canary-"),
        "{out}"
    );
    assert!(out.contains("; rolled back to "), "{out}");
    // The old pods are the same ones.
    wait_until("only the old pods are left", || pods() == before);

    let asking = shop.asking();
    let out = shop.deploy(&two).exits(0).stdout;
    let (answers, asked) = heard(asking);
    assert_eq!(answers, ["1", "2"], "asked {asked} times");
    for line in [
        "canary: 10% of the requests, 1 beside 2",
        "canary: 50% of the requests, 2 beside 2",
    ] {
        assert!(out.contains(line), "{out}");
    }
    assert_eq!(shop.images(), [two.as_str()]);
    let left = shop.kubectl(&["get", "deployments", "-o", "name"]);
    assert_eq!(left, "deployment.apps/shop");
}
