//! Who asks: passwords, helpers, the user's own files. What proves it goes to one host only.

use std::path::Path;
use std::sync::Arc;

use engine::oci::client::{Login, Origin};

use super::copying::bring;
use super::images::{folder, image, layout, wait, with};
use super::server::{PASSWORD, locked};

fn password(password: &str) -> Login {
    Login {
        from: Origin::Password("ci".to_owned(), password.into()),
        realm: None,
    }
}

/// A login from the files of a home folder.
fn of_home(home: &Path) -> Login {
    let home = home.display().to_string();
    Login::of_files(Arc::new(move |name| (name == "HOME").then(|| home.clone())))
}

#[test]
fn a_password_with_odd_base64_opens_a_registry_and_a_wrong_one_says_so() {
    let Some(registry) = locked() else { return };
    let (_a, store) = layout();
    let app = image(&store, 1, &[2_000_000]);
    let place = |login| with(&registry.host(), "app", login);
    let push = |login| bring(&folder(&store), &place(login), app.digest, &["1"]);
    assert_eq!(push(password(PASSWORD)).unwrap().sent, 2);
    let there = wait(place(password(PASSWORD)).resolve("1")).unwrap();
    assert_eq!(there.map(|m| m.digest()), Some(app.digest));
    for login in [password("wrong"), Login::default()] {
        let error = push(login).unwrap_err();
        let host = registry.host();
        assert_eq!(
            (error.to_string(), error.help()),
            (
                format!(
                    "{host}: getting the manifest 1 of app: 401 Unauthorized (UNAUTHORIZED: authentication required)"
                ),
                format!(
                    "log in: `login user=… password=SECRET` in the registry's node, or `docker login {host}` on this machine"
                )
            )
        );
    }
}

#[test]
fn what_docker_and_podman_know_is_used() {
    let Some(registry) = locked() else { return };
    let (_a, store) = layout();
    let app = image(&store, 1, &[10]);
    for file in [".docker/config.json", ".config/containers/auth.json"] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!(
            r#"{{"auths":{{"{}":{{"auth":"Y2k6fn5+Pz8/Pj4+fn5+Pz8/"}}}}}}"#,
            registry.host()
        );
        std::fs::write(&path, text).unwrap();
        let place = with(&registry.host(), "app", of_home(home.path()));
        bring(&folder(&store), &place, app.digest, &["1"]).unwrap();
    }
}

#[test]
fn a_helper_that_fails_is_named() {
    let Some(registry) = locked() else { return };
    let login = |name: &str| Login {
        from: Origin::Helper(name.to_owned()),
        realm: None,
    };
    let error = wait(with(&registry.host(), "app", login("nobody-has")).resolve("1")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: getting the manifest 1 of app: the credential helper docker-credential-nobody-has was not found",
            registry.host()
        )
    );
}
