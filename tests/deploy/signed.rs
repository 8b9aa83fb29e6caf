//! Approvals that count because a key signed them, whatever their writer says of itself.

use super::shop::{Is, Shop, lacks};
use crate::support::{Project, has_program, skip};

fn missing() -> Option<&'static str> {
    lacks().or_else(|| (!has_program("ssh-keygen")).then_some("ssh-keygen is not here"))
}

/// A key of its own; gives its public half without the comment.
fn key(project: &Project, name: &str) -> String {
    let file = project.home().join(name);
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(made.success());
    let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
    let mut words = public.split(' ');
    format!("{} {}", words.next().unwrap(), words.next().unwrap())
}

/// A shop whose promotions two of `ops` approve: Ada (who makes the commits, with two keys) and Grace, and not Mallory.
fn shop() -> Shop {
    let shop = Shop::with(&|text| {
        text.replace(
            "    require healthy for=\"1s\"\n",
            "    require approval by=ops count=2 not=\"author\"\n",
        )
        .replace(
            "pipeline laptop\n",
            "pipeline laptop {\n    approvers \"approvers\"\n}\n",
        )
    });
    assert!(shop.project.read("pipeline.kdl").contains("approvers"));
    let names = ["ada", "grace", "grace-2", "edsger", "mallory"];
    let keys = names.map(|name| key(&shop.project, name));
    let [ada, grace, grace_2, edsger, mallory] = &keys;
    let allowed = format!(
        "ada@example.com,ops {ada}\ngrace@example.com,ops {grace}\ngrace@example.com,ops {grace_2}\nedsger@example.com,ops namespaces=\"pipe-approval\" {edsger}\nmallory@example.com {mallory}\n"
    );
    shop.project.write("approvers", &allowed);
    shop.project
        .run_git(&["config", "user.email", "ada@example.com"]);
    shop.version("1", Is::Good);
    let _ = shop.deploy().exits(0);
    shop
}

fn approve(shop: &Shop, key: &str, code: i32) -> String {
    let file = shop.project.home().join(key);
    let file = file.to_str().unwrap();
    let by = [("GITHUB_ACTOR", key)];
    let args = ["approve", "to-production", "--yes", "--key", file];
    let out = shop.project.pipe_env(&args, &by).exits(code);
    out.stderr.replace(file, "KEY")
}

fn promote(shop: &Shop, code: i32) -> String {
    let args = ["promote", "to-production", "--yes"];
    shop.project.pipe(&args).exits(code).stdout
}

#[test]
fn only_the_signatures_of_those_count_whom_the_branch_names() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let shop = shop();
    assert!(promote(&shop, 4).contains(" has to be approved by 2 of ops, and 0 did"));
    insta::assert_snapshot!(approve(&shop, "mallory", 5), @r"
    error: nothing was approved: no key of ops in approvers on the branch main signed it
    hint: the key is KEY; who may approve stands in approvers on the branch main
    ");
    assert_eq!(approve(&shop, "grace", 0), "");
    // Two keys of one person are one person, and the author's own does not count.
    assert_eq!(approve(&shop, "grace-2", 0), "");
    assert_eq!(approve(&shop, "ada", 0), "");
    let out = promote(&shop, 4);
    let part = "by 2 of ops, and 1 did; that of ada@example.com does not count";
    assert!(out.contains(part), "{out}");
    // Somebody else's branch does not decide who may.
    shop.project.run_git(&["checkout", "-q", "-b", "mine"]);
    let mallory = std::fs::read_to_string(shop.project.home().join("mallory.pub")).unwrap();
    shop.project
        .write("approvers", &format!("mallory@example.com,ops {mallory}"));
    shop.commit("let me");
    let _ = approve(&shop, "mallory", 5);
    shop.project.run_git(&["checkout", "-q", "main"]);
    assert_eq!(approve(&shop, "edsger", 0), "");
    let _ = promote(&shop, 0);
    assert_eq!(shop.answers("production").as_deref(), Some("shop 1"));
}

#[test]
fn what_is_written_into_the_ledger_by_hand_is_no_approval() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let shop = shop();
    assert_eq!(approve(&shop, "grace", 0), "");
    // Grace's approval again, under another name: it is still hers.
    let record = shop.project.run_git(&[
        "cat-file",
        "blob",
        "refs/pipe/targets/production:record.json",
    ]);
    forge(&shop, &record.replace("grace", "edsger"));
    let out = promote(&shop, 4);
    assert!(out.contains("by 2 of ops, and 1 did"), "{out}");
    let signature = record.find("-----BEGIN SSH SIGNATURE").unwrap();
    let end = record[signature..].find('"').unwrap() + signature;
    let unsigned = format!("{}{}", &record[..signature], &record[end..]);
    forge(&shop, &unsigned.replace("grace", "edsger"));
    let out = promote(&shop, 4);
    assert!(
        out.contains("and 1 did; that of edsger does not count"),
        "{out}"
    );
    // A longer time is not what was signed.
    let expires = record.find("\"expires\"").unwrap();
    let later = record.replacen(&record[expires..expires + 16], "\"expires\": \"2999", 1);
    assert_ne!(later, record);
    forge(
        &shop,
        &later.replace("\"by\": \"grace\"", "\"by\": \"edsger\""),
    );
    let out = promote(&shop, 4);
    assert!(out.contains("by 2 of ops, and 1 did"), "{out}");
    assert_eq!(shop.answers("production"), None);
}

/// Appends a record to the ledger without `pipe`.
fn forge(shop: &Shop, record: &str) {
    shop.project.write("forged.json", record);
    let git = |args: &[&str]| shop.project.run_git(args).trim().to_owned();
    let blob = git(&["hash-object", "-w", "forged.json"]);
    std::fs::remove_file(shop.project.path("forged.json")).unwrap();
    let index = shop.project.home().join("index");
    let index = index.to_str().unwrap();
    let tree = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!(
            "export GIT_INDEX_FILE={index}; git read-tree --empty && git update-index --add --cacheinfo 100644,{blob},record.json && git write-tree"
        ))
        .current_dir(shop.project.root())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let name = "refs/pipe/targets/production";
    let commit = git(&["commit-tree", "-p", name, "-m", "forged", tree.trim()]);
    let _ = git(&["update-ref", name, &commit]);
}
