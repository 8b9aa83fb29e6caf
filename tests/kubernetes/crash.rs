//! An engine that is killed while a rollout goes on: the next run asks the cluster. And a cluster that cannot be asked any
//! more.

use rustix::process::Signal;

use super::cluster::{DEPLOYMENT, Shop, Target, cluster, programs};
use crate::support::wait_until;

/// Begins to deploy an image, and kills the engine when the cluster has been told.
fn killed_when_applied(shop: &Shop, image: &str) {
    let run = shop.begin(image);
    let images = "jsonpath={.spec.template.spec.containers[0].image}";
    wait_until("it is applied", || {
        shop.kubectl(&["get", "deployment", "shop", "-o", images]) == image
    });
    rustix::process::kill_process(run.engine(), Signal::KILL).unwrap();
    assert_eq!(run.end().code, Some(137));
}

#[test]
fn killed_in_the_middle_of_a_rollout_the_next_run_tells_the_truth_and_puts_it_right() {
    let Some(cluster) = cluster() else { return };
    let shop = Shop::new(cluster, "crash", 30090);
    let (one, two) = (cluster.good("1"), cluster.good("2"));
    let _ = shop.deploy(&one).exits(0);
    killed_when_applied(&shop, &cluster.image(&["GREETING=4", "NEVER_READY=1"]));
    let out = shop.pipe(&["targets", "live"]).stdout;
    assert!(out.contains("unknown"), "{out}");
    let out = shop.deploy(&two).exits(0).stdout;
    assert!(
        out.contains("the interrupted deployment is settled: rolled back"),
        "{out}"
    );
    assert_eq!(shop.images(), [two.as_str()]);
}

#[test]
fn what_pipe_had_not_deployed_runs_again_when_the_first_release_fails_or_is_killed() {
    let Some(cluster) = cluster() else { return };
    let shop = Shop::new(cluster, "byhand", 30096);
    let zero = cluster.good("0");
    // What somebody has applied by hand: three pods, and settings of its own.
    let by_hand = DEPLOYMENT.replace("replicas: 2", "replicas: 3").replace(
        "          image: shop\n",
        &format!("          image: \"{zero}\"\n          env: [{{name: KEPT, value: \"yes\"}}]\n"),
    );
    shop.project.write("by-hand.yaml", &by_hand);
    let apply = |file: &str| {
        let file = shop.project.path(file).display().to_string();
        shop.kubectl(&["apply", "--filename", &file]);
    };
    apply("k8s/service.yml");
    apply("by-hand.yaml");
    shop.rolled_out("deployment/shop");
    // The release brings a second workload, too.
    let (other, _) = DEPLOYMENT.split_once("          readinessProbe").unwrap();
    let other = other
        .replace("shop}", "cache}")
        .replace("name: shop\n          image: shop", "name: cache\n          image: \"pause:local\"\n          imagePullPolicy: Never\n          command: [\"/bin/pause\"]");
    shop.project.write("k8s/cache.yaml", &other);
    let is_as_before = || {
        assert_eq!(shop.images(), [zero.as_str()]);
        assert_eq!(shop.answers(), "0");
        let path = "jsonpath={range .items[*]}{.metadata.name} {.spec.replicas} {.spec.template.spec.containers[0].env[0].value}{\"\\n\"}{end}";
        let all = shop.kubectl(&["get", "deployments", "-o", path]);
        assert_eq!(all, "shop 3 yes");
    };
    let broken = cluster.image(&["GREETING=3", "BROKEN=1"]);
    let out = shop.deploy_bad(&broken).exits(6).stdout;
    let before = "if it fails, it goes back to what runs there now, which pipe has not deployed: deployment/shop (revision 1)";
    assert!(out.contains(before), "{out}");
    let back =
        "; back at what ran before, which pipe had not deployed: deployment/shop (revision 1)";
    assert!(out.contains(back), "{out}");
    let left = "left as this release has it: service/shop";
    assert!(out.contains(left), "{out}");
    is_as_before();

    killed_when_applied(&shop, &cluster.image(&["GREETING=4", "NEVER_READY=1"]));
    let gone = format!("127.0.0.1:5000/shop@sha256:{}", "0".repeat(64));
    let out = shop.deploy_bad(&gone).exits(6).stdout;
    let settled = "the interrupted deployment is settled: rolled back";
    assert!(out.contains(settled), "{out}");
    assert!(out.contains("; back at what ran before, "), "{out}");
    is_as_before();

    // A good one, whose stage fails later.
    let text = shop.project.read("pipeline.kdl");
    let smoke = "    job smoke { needs deploy-live; run \"exit 1\" }\n}\n";
    let text = text.replace("stage ship {", "stage ship rollback=reverse {");
    let text = text.strip_suffix("}\n").unwrap().to_owned() + smoke;
    shop.project.write("pipeline.kdl", &text);
    let digest = format!("digest={}", cluster.good("5"));
    let out = shop.pipe(&["run", "ship", "--yes", "--param", &digest]);
    let out = out.exits(6).stdout;
    assert!(out.contains("going back to what ran before: "), "{out}");
    is_as_before();
}

#[test]
fn a_cluster_that_is_gone_in_the_middle_of_a_rollout_leaves_a_target_of_which_nobody_knows() {
    let Some(cluster) = cluster() else { return };
    // A fake, for the fault: what kubectl says when nobody answers.
    let folder = tempfile::tempdir().unwrap();
    let (script, away) = (folder.path().join("kubectl"), folder.path().join("away"));
    let text = format!(
        "if test -e '{}'; then echo 'The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?' >&2; exit 1; fi\nexec '{}' \"$@\"\n",
        away.display(),
        programs().join("kubectl").display()
    );
    std::fs::write(&script, text).unwrap();
    let properties = format!("manifests=\"k8s\" kubectl=\"sh {}\"", script.display());
    let target = Target {
        properties: Some(&properties),
        ..Target::default()
    };
    let shop = Shop::with(cluster, "away", 30093, target);
    let one = cluster.good("1");
    let _ = shop.deploy(&one).exits(0);
    let never = cluster.image(&["GREETING=4", "NEVER_READY=1"]);
    let text = shop.project.read("pipeline.kdl");
    let soon = text.replace("within=\"90s\"", "within=\"5s\"");
    shop.project.write("pipeline.kdl", &soon);
    let run = shop.begin(&never);
    let images = "jsonpath={.spec.template.spec.containers[0].image}";
    wait_until("it is applied", || {
        shop.kubectl(&["get", "deployment", "shop", "-o", images]) == never
    });
    std::fs::write(&away, "").unwrap();
    let out = run.end().exits(7).stdout;
    assert!(
        out.contains("nobody knows what live runs, and it is locked"),
        "{out}"
    );
    shop.project.write("pipeline.kdl", &text);
    std::fs::remove_file(&away).unwrap();
    let out = shop.deploy(&one).exits(5).stdout;
    assert!(out.contains("live is locked, unknown: "), "{out}");
    let _ = shop
        .pipe(&["rollback", "live", "--yes", "--param", "digest=x"])
        .exits(0);
    assert_eq!(shop.answers(), "1");
    assert_eq!(shop.images(), [one.as_str()]);
}
