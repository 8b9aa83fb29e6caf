//! A cluster behind SSH, with a `kubectl` of its own that is called by several words. Manifests go through its input.

use std::os::unix::fs::PermissionsExt;

use super::cluster::{Shop, Target, cluster, programs};
use crate::deploy::ssh::{Server, cannot};
use crate::support::skip;

#[test]
fn manifests_reach_a_cluster_behind_ssh_and_none_is_left_on_the_host() {
    let Some(cluster) = cluster() else { return };
    if let Some(why) = cannot() {
        return skip(why);
    }
    let around = cluster.around();
    let around: Vec<&str> = around.iter().map(String::as_str).collect();
    let server = Server::within(&around);
    // What `microk8s` is on such a host: a program of which `kubectl` is a part.
    let host = tempfile::tempdir().unwrap();
    let program = host.path().join("microk8s");
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = kubectl ] || exit 2\nshift\nexec {} --kubeconfig={} \"$@\"\n",
        programs().join("kubectl").display(),
        cluster.kubeconfig().display()
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let properties = format!(
        "manifests=\"k8s\" kubectl=\"env A=B {} kubectl\"",
        program.display()
    );
    let nodes = format!(
        "ssh \"root@127.0.0.1:{}\" key=HOST_KEY known-hosts=\"known_hosts\"",
        server.port
    );
    let target = Target {
        properties: Some(&properties),
        nodes: &nodes,
        before: "secret HOST_KEY\n",
    };
    let shop = Shop::with(cluster, "far", 30091, target);
    shop.project.write("known_hosts", &server.known("host"));
    let key = server.key("user");
    let deploy = |reference: &str| {
        let digest = format!("digest={reference}");
        let mut command = shop.command(&["run", "deploy-live", "--yes", "--param", &digest]);
        command.env_remove("KUBECONFIG").env("HOST_KEY", &key);
        shop.project.output(&mut command)
    };
    let one = cluster.good("1");
    let _ = deploy(&one).exits(0);
    assert_eq!(shop.answers(), "1");
    let broken = cluster.image(&["GREETING=3", "BROKEN=1"]);
    shop.impatient();
    let out = deploy(&broken).exits(6).stdout;
    assert!(out.contains("there is no database"), "{out}");
    assert_eq!(shop.images(), [one.as_str()]);
    let names = std::fs::read_dir(host.path()).unwrap().count();
    assert_eq!(names, 1);
    drop(server);
    let out = deploy(&one).exits(3).stdout;
    assert!(out.contains("127.0.0.1 cannot be reached: "), "{out}");
}
