//! StatefulSets and DaemonSets: their ways back, to a release and to what somebody had applied by hand. Kubernetes itself
//! leaves a broken pod of a StatefulSet where it is, whatever it is told to run then.

use super::cluster::{Cluster, DEPLOYMENT, Shop, cluster};

/// The shop as another kind of workload.
fn as_a(kind: &str) -> String {
    // One pod ends before another begins.
    let text = DEPLOYMENT
        .replace("kind: Deployment", &format!("kind: {kind}"))
        .replace("PeriodSeconds: 10", "PeriodSeconds: 1");
    match kind {
        "DaemonSet" => text.replace("  replicas: 2\n", ""),
        _ => text.replace("  replicas: 2\n", "  replicas: 2\n  serviceName: shop\n"),
    }
}

fn shop_of(cluster: &'static Cluster, kind: &str, name: &str, port: u16) -> Shop {
    let shop = Shop::new(cluster, name, port);
    shop.project.write("k8s/shop.yaml", &as_a(kind));
    // One pod ends before another begins, and an old kubelet takes forty seconds to end one that waits for its image.
    let text = shop.project.read("pipeline.kdl");
    let patient = text.replace("within=\"90s\"", "within=\"3m\"");
    assert_ne!(text, patient);
    shop.project.write("pipeline.kdl", &patient);
    shop.project.run_git(&["commit", "-qam", "another kind"]);
    shop
}

/// An image that is not there: nobody has to wait to know that.
fn gone() -> String {
    format!("127.0.0.1:5000/shop@sha256:{}", "0".repeat(64))
}

#[track_caller]
fn goes_back_to_the_release_before(kind: &str, port: u16) {
    let Some(cluster) = cluster() else { return };
    let shop = shop_of(cluster, kind, &kind.to_lowercase(), port);
    let (one, two) = (cluster.good("1"), cluster.good("2"));
    let _ = shop.deploy(&one).exits(0);
    let title = format!("{}/shop", kind.to_lowercase());

    let out = shop.deploy(&gone()).exits(6).stdout;
    let why = format!("{title}: shop in pod shop-");
    assert!(out.contains(&why), "{out}");
    assert!(out.contains("its image cannot be had"), "{out}");
    assert!(out.contains("; rolled back to "), "{out}");
    let is_stuck = out.contains(" holds up what replaces it, and is taken away");
    assert_eq!(is_stuck, kind == "StatefulSet", "{out}");
    assert_eq!(shop.images(), [one.as_str()]);
    assert_eq!(shop.answers(), "1");

    let _ = shop.deploy(&two).exits(0);
    assert_eq!(shop.images(), [two.as_str()]);
    assert_eq!(shop.answers(), "2");
}

#[test]
fn a_stateful_set_goes_back_to_the_release_before_also_where_its_pod_is_stuck() {
    goes_back_to_the_release_before("StatefulSet", 30101);
}

#[test]
fn a_daemon_set_goes_back_to_the_release_before() {
    goes_back_to_the_release_before("DaemonSet", 30102);
}

#[track_caller]
fn goes_back_to_what_was_there_by_hand(kind: &str, port: u16) {
    let Some(cluster) = cluster() else { return };
    let name = format!("{}-by-hand", kind.to_lowercase());
    let shop = shop_of(cluster, kind, &name, port);
    let title = format!("{}/shop", kind.to_lowercase());
    // Twice, so that it is not the first revision.
    let by_hand = |image: &str, kept: &str| {
        let told = format!(
            "          image: \"{image}\"\n          env: [{{name: KEPT, value: \"{kept}\"}}]\n"
        );
        let text = as_a(kind).replace("          image: shop\n", &told);
        shop.project.write("by-hand.yaml", &text);
        let file = shop.project.path("by-hand.yaml").display().to_string();
        shop.kubectl(&["apply", "--filename", &file]);
        shop.rolled_out(&title);
    };
    let service = shop.project.path("k8s/service.yml").display().to_string();
    shop.kubectl(&["apply", "--filename", &service]);
    by_hand(&cluster.good("1"), "no");
    let zero = cluster.good("0");
    by_hand(&zero, "yes");

    let out = shop.deploy(&gone()).exits(6).stdout;
    assert!(out.contains("its image cannot be had"), "{out}");
    let back =
        format!("; back at what ran before, which pipe had not deployed: {title} (revision ");
    assert!(out.contains(&back), "{out}");
    assert_eq!(shop.images(), [zero.as_str()]);
    assert_eq!(shop.answers(), "0");
    let path = "jsonpath={.spec.template.spec.containers[0].env[0].value}";
    assert_eq!(shop.kubectl(&["get", &title, "-o", path]), "yes");
    let _ = shop.deploy(&cluster.good("2")).exits(0);
    assert_eq!(shop.answers(), "2");
}

#[test]
fn a_stateful_set_of_somebody_is_back_when_the_first_release_fails() {
    goes_back_to_what_was_there_by_hand("StatefulSet", 30103);
}

#[test]
fn a_daemon_set_of_somebody_is_back_when_the_first_release_fails() {
    goes_back_to_what_was_there_by_hand("DaemonSet", 30104);
}
