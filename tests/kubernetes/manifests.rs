//! Manifests that do not fit, before anything is changed.

use super::cluster::{DEPLOYMENT, Shop, Target, cluster, programs};

/// Nothing was changed, and that is said.
#[track_caller]
fn is_refused(shop: &Shop, reference: &str, what: &str) {
    let before = shop.kubectl(&["get", "all", "-o", "name"]);
    let out = shop.deploy(reference);
    assert_ne!(out.code, Some(0));
    assert!(out.stdout.contains(what), "{}", out.stdout);
    assert_eq!(shop.kubectl(&["get", "all", "-o", "name"]), before);
}

#[test]
fn manifests_that_the_cluster_does_not_take_change_nothing() {
    let Some(cluster) = cluster() else { return };
    let shop = Shop::new(cluster, "refused", 30086);
    let one = cluster.good("1");
    let write = |from: &str, to: &str| {
        let text = DEPLOYMENT.replace(from, to);
        assert_ne!(text, DEPLOYMENT);
        shop.project.write("k8s/shop.yaml", &text);
    };
    write("replicas: 2", "replicas: -2");
    is_refused(
        &shop,
        &one,
        "the cluster does not take it: exit 1: The Deployment \"shop\" is invalid: spec.replicas",
    );
    write("replicas: 2", "replicars: 2");
    is_refused(
        &shop,
        &one,
        "k8s cannot be read: exit 1: error: error validating",
    );
    write("  template:", "  - template:");
    is_refused(&shop, &one, "k8s cannot be read: exit 1: error: error");
    write(
        "        - name: shop\n          image: shop\n",
        "        - {name: web, image: \"nginx:1\"}\n        - name: log\n          image: fluentd\n",
    );
    is_refused(
        &shop,
        &one,
        "no container is known to run the image shop: deployment/shop has `web (nginx:1)` and `log (fluentd)`",
    );
    write("kind: Deployment", "kind: ConfigMap");
    shop.project.write(
        "k8s/shop.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\n",
    );
    is_refused(
        &shop,
        &one,
        "the manifests have no Deployment, StatefulSet or DaemonSet",
    );
}

#[test]
fn what_containers_would_be_told_is_asserted_before_anything_changes_and_no_value_is_shown() {
    let Some(cluster) = cluster() else { return };
    let target = Target {
        nodes: "assert-env MODE=redis LEVEL=\"2\" TOKEN=any",
        ..Target::default()
    };
    let shop = Shop::with(cluster, "told", 30092, target);
    let one = cluster.good("1");
    let told = "          image: shop\n          envFrom: [{configMapRef: {name: levels}}]\n          env:\n            \
                - {name: MODE, valueFrom: {configMapKeyRef: {name: modes, key: mode}}}\n            \
                - {name: TOKEN, valueFrom: {secretKeyRef: {name: tokens, key: token}}}\n";
    let text = DEPLOYMENT.replace("          image: shop\n", told);
    // A cluster that would not take it is found out only afterwards.
    let text = text.replace("replicas: 2", "replicas: -2");
    shop.project.write("k8s/shop.yaml", &text);
    let levels = |key: &str| {
        let text = format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: levels}}, data: {{{key}: \"2\"}}}}"
        );
        shop.project.write("k8s/levels.yaml", &text);
    };
    levels("OTHER");
    shop.kubectl(&["create", "configmap", "modes", "--from-literal=mode=memory"]);
    let out = shop.deploy(&one).exits(5).stdout;
    let place = "shop of deployment/shop";
    let what = format!(
        "live lacks settings: MODE is not `redis` in {place}; LEVEL is not set in {place}, and is to be `2`; \
         TOKEN is not set in {place}, and is to be `any`"
    );
    assert!(out.contains(&what), "{out}");
    assert!(!out.contains("memory"), "{out}");

    levels("LEVEL");
    shop.kubectl(&[
        "create",
        "secret",
        "generic",
        "tokens",
        "--from-literal=token=hunter2",
    ]);
    shop.kubectl(&["delete", "configmap", "modes"]);
    shop.kubectl(&["create", "configmap", "modes", "--from-literal=mode=redis"]);
    is_refused(&shop, &one, "the cluster does not take it: ");
    let all = shop.project.pipe(&["logs"]).stdout;
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn what_is_asserted_of_a_value_with_references_is_what_the_kubelet_makes_of_it() {
    let Some(cluster) = cluster() else { return };
    let target = Target {
        nodes: "assert-env GREETING=\"redis-2-$(LEVEL)-$(NOWHERE)-$5\"",
        ..Target::default()
    };
    let shop = Shop::with(cluster, "refers", 30095, target);
    let one = cluster.good("1");
    let write = |greeting: &str| {
        let told = format!(
            "          image: shop\n          envFrom: [{{configMapRef: {{name: levels}}}}]\n          env:\n            \
                    - {{name: MODE, value: redis}}\n            - {{name: GREETING, value: \"{greeting}\"}}\n"
        );
        let text = DEPLOYMENT.replace("          image: shop\n", &told);
        shop.project.write("k8s/shop.yaml", &text);
    };
    let levels =
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: levels}, data: {LEVEL: \"2\"}}";
    shop.project.write("k8s/levels.yaml", levels);
    write("$(MODE)-$(LEVEL)-$(LEVEL)-$(NOWHERE)-$5");
    let out = shop.deploy(&one).exits(5).stdout;
    let what = "live lacks settings: GREETING is not `redis-2-$(LEVEL)-$(NOWHERE)-$5` in shop of deployment/shop";
    assert!(out.contains(what), "{out}");
    write("$(MODE)-$(LEVEL)-$$(LEVEL)-$(NOWHERE)-$5");
    let _ = shop.deploy(&one).exits(0);
    assert_eq!(shop.answers(), "redis-2-$(LEVEL)-$(NOWHERE)-$5");
}

#[test]
fn a_deployment_that_is_there_gets_the_image_of_the_container_that_is_named() {
    let Some(cluster) = cluster() else { return };
    let kubectl = programs().join("kubectl").display().to_string();
    let properties = format!("deployment=shop container=web kubectl=\"{kubectl}\"");
    let target = Target {
        properties: Some(&properties),
        ..Target::default()
    };
    let shop = Shop::with(cluster, "plain", 30087, target);
    let (one, two) = (cluster.good("1"), cluster.good("2"));
    is_refused(&shop, &one, "there is no deployment/shop");
    // With a second container, and an image that pipe did not bring.
    let text = DEPLOYMENT.replace(
        "        - name: shop\n          image: shop\n",
        &format!("        - name: idle\n          image: \"{one}\"\n          command: [\"/bin/pause\"]\n        - name: web\n          image: \"{one}\"\n"),
    );
    shop.project.write("k8s/shop.yaml", &text);
    let folder = shop.project.path("k8s").display().to_string();
    shop.kubectl(&["apply", "--filename", &folder]);
    let _ = shop.deploy(&two).exits(0);
    assert_eq!(shop.answers(), "2");
    let path = "jsonpath={.spec.template.spec.containers[*].image}";
    assert_eq!(
        shop.kubectl(&["get", "deployment", "shop", "-o", path]),
        format!("{one} {two}")
    );
    let broken = cluster.image(&["GREETING=3", "BROKEN=1"]);
    let out = shop.deploy_bad(&broken).exits(6).stdout;
    assert!(out.contains("there is no database"), "{out}");
    assert_eq!(shop.answers(), "2");
}

#[test]
fn the_way_back_takes_the_manifests_of_the_release_that_it_goes_back_to() {
    let Some(cluster) = cluster() else { return };
    let shop = Shop::new(cluster, "then", 30088);
    let one = cluster.good("1");
    let _ = shop.deploy(&one).exits(0);
    // The next commit has other settings, with which nothing starts.
    let text = DEPLOYMENT.replace(
        "          image: shop\n",
        "          image: shop\n          env: [{name: BROKEN, value: \"1\"}]\n",
    );
    shop.project.write("k8s/shop.yaml", &text);
    shop.project.run_git(&["commit", "-qam", "broken"]);
    let out = shop.deploy_bad(&cluster.good("2")).exits(6).stdout;
    assert!(out.contains("there is no database"), "{out}");
    assert_eq!(shop.answers(), "1");
    let path = "jsonpath={.spec.template.spec.containers[0].env}";
    assert_eq!(shop.kubectl(&["get", "deployment", "shop", "-o", path]), "");
}

#[test]
fn a_rollback_by_hand_waits_for_what_the_earlier_release_has() {
    let Some(cluster) = cluster() else { return };
    let shop = Shop::new(cluster, "earlier", 30105);
    let _ = shop.deploy(&cluster.good("1")).exits(0);
    // The next commit has a second workload, which somebody takes away.
    let (other, _) = DEPLOYMENT.split_once("          readinessProbe").unwrap();
    let other = other
        .replace("shop}", "cache}")
        .replace("name: shop\n          image: shop", "name: cache\n          image: \"pause:local\"\n          imagePullPolicy: Never\n          command: [\"/bin/pause\"]");
    shop.project.write("k8s/cache.yaml", &other);
    shop.project.run_git(&["add", "-A"]);
    shop.project.run_git(&["commit", "-qm", "a cache"]);
    let _ = shop.deploy(&cluster.good("2")).exits(0);
    shop.kubectl(&["delete", "deployment", "cache"]);
    let args = ["rollback", "live", "--yes", "--param", "digest=x"];
    let _ = shop.pipe(&args).exits(0);
    assert_eq!(shop.answers(), "1");
}

/// Something of a kind, and the kind.
pub const WIDGETS: &str = "\
apiVersion: example.com/v1
kind: Widget
metadata: {name: one}
spec: {size: 1}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";
