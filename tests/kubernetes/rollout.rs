//! Rollouts, good and bad, and the ways back.

use super::cluster::{DEPLOYMENT, Shop, Target, cluster, heard, programs};
use super::manifests::WIDGETS;
use crate::support::wait_until;

#[test]
fn a_release_replaces_the_one_before_and_nobody_who_asks_notices() {
    let Some(cluster) = cluster() else { return };
    let shop = Shop::new(cluster, "good", 30081);
    let (one, two) = (cluster.good("1"), cluster.good("2"));
    let out = shop.deploy(&one).exits(0);
    assert!(
        out.stdout.contains("deployment/shop: rolled out"),
        "{}",
        out.stdout
    );
    assert_eq!(shop.images(), [one.as_str()]);
    // What the cluster was told is the digest, and what made it.
    let path = "jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(
        shop.kubectl(&["get", "deployment", "shop", "-o", path]),
        one
    );

    let out = shop.deploy(&one).exits(0);
    assert!(
        out.stdout.contains(" runs there already, and is ready"),
        "{}",
        out.stdout
    );

    let asking = shop.asking();
    let _ = shop.deploy(&two).exits(0);
    let (answers, asked) = heard(asking);
    assert_eq!(answers, ["1", "2"], "asked {asked} times");
    assert_eq!(shop.images(), [two.as_str()]);

    let digest = format!("digest={one}");
    let _ = shop
        .pipe(&["rollback", "live", "--yes", "--param", &digest])
        .exits(0);
    assert_eq!(shop.answers(), "1");
    assert_eq!(shop.images(), [one.as_str()]);
}

#[test]
fn a_release_that_never_gets_ready_makes_way_and_is_told_with_what_its_pods_said() {
    let Some(cluster) = cluster() else { return };
    let shop = Shop::new(cluster, "bad", 30082);
    let one = cluster.good("1");
    let _ = shop.deploy(&one).exits(0);

    let asking = shop.asking();
    let broken = cluster.image(&["GREETING=3", "BROKEN=1"]);
    let out = shop.deploy_bad(&broken).exits(6).stdout;
    assert!(out.contains("it ended with exit 7"), "{out}");
    assert!(out.contains("it said: shop: there is no database"), "{out}");
    assert!(out.contains("; rolled back to "), "{out}");
    assert_eq!(shop.images(), [one.as_str()]);

    let never = cluster.image(&["GREETING=4", "NEVER_READY=1"]);
    let out = shop.deploy_bad(&never).exits(6).stdout;
    assert!(out.contains("it runs and is not ready"), "{out}");
    assert_eq!(shop.images(), [one.as_str()]);
    let (answers, asked) = heard(asking);
    assert_eq!(answers, ["1"], "asked {asked} times");
}

#[test]
fn an_image_that_is_not_in_the_registry_fails_at_once_and_the_first_release_leaves_nothing() {
    let Some(cluster) = cluster() else { return };
    // With a kubectl that writes down what it is asked.
    let folder = tempfile::tempdir().unwrap();
    let (script, asked) = (folder.path().join("kubectl"), folder.path().join("asked"));
    let text = format!(
        "real='{}' asked='{}'\necho \"$*\" >>\"$asked\"\ncase \"$*\" in\n*' apply --filename=-')\n\
         python3 -c 'import json, sys\nall = json.load(sys.stdin)\n\
         print(\"applied\", *[i[\"kind\"] for i in all[\"items\"]], file=open(sys.argv[1], \"a\"))\n\
         json.dump(all, sys.stdout)' \"$asked\" | \"$real\" \"$@\" ;;\n\
         *) exec \"$real\" \"$@\" ;;\nesac\n",
        programs().join("kubectl").display(),
        asked.display()
    );
    std::fs::write(&script, text).unwrap();
    let properties = format!("manifests=\"k8s\" kubectl=\"sh {}\"", script.display());
    let target = Target {
        properties: Some(&properties),
        ..Target::default()
    };
    let shop = Shop::with(cluster, "gone", 30083, target);
    // What is of a kind comes before the kind.
    shop.project.write("k8s/widgets.yaml", WIDGETS);
    let gone = format!("127.0.0.1:5000/shop@sha256:{}", "0".repeat(64));
    let out = shop.deploy(&gone).exits(6).stdout;
    assert!(
        out.contains("its image cannot be had (ErrImagePull)"),
        "{out}"
    );
    assert!(out.contains("; nothing runs, as before"), "{out}");
    assert!(
        out.contains(
            "left there, as nothing runs by them: service/shop, widget/one, customresourcedefinition/widgets.example.com"
        ),
        "{out}"
    );
    assert!(
        out.contains(
            "widget/one is checked when it is applied: its kind is defined by these manifests"
        ),
        "{out}"
    );
    // Reading them asks the cluster; it is done once.
    let asked = std::fs::read_to_string(&asked).unwrap();
    let reads = asked
        .lines()
        .filter(|l| l.contains(" create --dry-run=client "));
    assert_eq!(reads.count(), 1, "{asked}");
    let steps = asked.lines().filter_map(|l| match l.split_once(" wait ") {
        Some((_, what)) => Some(what),
        None => l.strip_prefix("applied "),
    });
    let steps: Vec<&str> = steps.collect();
    assert_eq!(
        steps,
        [
            "CustomResourceDefinition",
            "--for=condition=established --timeout=60s customresourcedefinition/widgets.example.com",
            "Service Deployment Widget",
        ]
    );
    // Pods that never began are on their way out.
    wait_until("nothing is left", || {
        shop.kubectl(&["get", "deployments,replicasets", "-o", "name"])
            .is_empty()
    });
    // What is of the new kind is there, although it was sent with the kind.
    let size = "jsonpath={.spec.size}";
    assert_eq!(shop.kubectl(&["get", "widget", "one", "-o", size]), "1");

    let two = cluster.good("2");
    let text = WIDGETS.replace("size: 1", "size: 2");
    shop.project.write("k8s/widgets.yaml", &text);
    let _ = shop.deploy(&two).exits(0);
    assert_eq!(shop.answers(), "2");
    assert_eq!(shop.kubectl(&["get", "widget", "one", "-o", size]), "2");
}

#[test]
fn what_somebody_sets_by_hand_is_seen_and_put_right() {
    let Some(cluster) = cluster() else { return };
    let shop = Shop::new(cluster, "drift", 30084);
    // Beside it stands something else, of which pipe brings nothing.
    let other = DEPLOYMENT
        .replace("shop}", "cache}")
        .replace("name: shop\n          image: shop", "name: cache\n          image: \"pause:local\"\n          imagePullPolicy: Never\n          command: [\"/bin/pause\"]");
    let (other, _) = other.split_once("          readinessProbe").unwrap();
    shop.project.write("k8s/cache.yaml", other);
    let (one, two) = (cluster.good("1"), cluster.good("2"));
    let _ = shop.deploy(&one).exits(0);
    shop.kubectl(&["set", "image", "deployment/shop", &format!("shop={two}")]);
    shop.rolled_out("deployment/shop");
    let out = shop.pipe(&["targets", "live", "--drift"]).exits(1).stdout;
    assert!(out.contains("what runs is not what was asked for"), "{out}");
    let _ = shop.deploy(&one).exits(0);
    assert_eq!(shop.images(), [one.as_str()]);
}

#[test]
fn a_cluster_that_went_back_by_itself_is_no_success() {
    let Some(cluster) = cluster() else { return };
    let shop = Shop::new(cluster, "false", 30085);
    let (one, two) = (cluster.good("1"), cluster.good("2"));
    let _ = shop.deploy(&one).exits(0);
    let run = shop.begin(&two);
    let revision = "jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}";
    wait_until("the second revision", || {
        shop.kubectl(&["get", "deployment", "shop", "-o", revision]) == "2"
    });
    shop.kubectl(&["rollout", "undo", "deployment/shop"]);
    let out = run.end().exits(6).stdout;
    assert!(out.contains("what runs is not what was asked for"), "{out}");
    assert_eq!(shop.answers(), "1");
}
