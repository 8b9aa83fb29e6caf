//! An engine that is killed while a rollout goes on: the next run asks the cluster.

use rustix::process::Signal;

use super::cluster::{Shop, cluster};
use crate::support::wait_until;

#[test]
fn killed_in_the_middle_of_a_rollout_the_next_run_tells_the_truth_and_puts_it_right() {
    let Some(cluster) = cluster() else { return };
    let shop = Shop::new(cluster, "crash", 30090);
    let (one, two) = (cluster.good("1"), cluster.good("2"));
    let _ = shop.deploy(&one).exits(0);
    let never = cluster.image(&["GREETING=4", "NEVER_READY=1"]);
    let run = shop.begin(&never);
    let images = "jsonpath={.spec.template.spec.containers[0].image}";
    wait_until("it is applied", || {
        shop.kubectl(&["get", "deployment", "shop", "-o", images]) == never
    });
    rustix::process::kill_process(run.engine(), Signal::KILL).unwrap();
    assert_eq!(run.end().code, Some(137));
    let out = shop.pipe(&["targets", "live"]).stdout;
    assert!(out.contains("unknown"), "{out}");
    let out = shop.deploy(&two).exits(0).stdout;
    assert!(
        out.contains("the interrupted deployment is settled: rolled back"),
        "{out}"
    );
    assert_eq!(shop.images(), [two.as_str()]);
}
