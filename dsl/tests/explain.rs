//! What `pipe explain` says, and the reference of the book.

use dsl::explain::{code, node};

#[test]
fn a_code_is_explained_with_a_wrong_and_a_right_example() {
    insta::assert_snapshot!(code(dsl::codes::find("e301").unwrap()), @r#"
    E301: nothing has this name

    References name steps, stages, secrets, registries, images, targets, versions,
    promotions and templates. A step is looked up in its own stage, then in the
    stages before it; otherwise write `stage.step`.

    Wrong

        pipeline app
        stage test {
            job build { run "make" }
            job test { needs biuld; run "make test" }
        }

    Right

        pipeline app
        stage test {
            job build { run "make" }
            job test { needs build; run "make test" }
        }
    "#);
}

#[test]
fn a_node_is_explained_with_its_whole_form() {
    insta::assert_snapshot!(node("job.cache").unwrap(), @r#"
    job.cache

        cache <name> <path> { … }

    A directory that is kept between runs, such as a package manager's. It is made
    where it is missing. With a `key` its content is brought back before the job and
    kept after it, once for each key; without one it is left where it is. A
    directory of the repository becomes exactly what is kept. One elsewhere is kept
    in a CI only, and files are only added.

    Arguments

        name  name  What to call it.
        path  path  The directory; `~` is the job's home.

    In its block

        key      once        What decides the result of a job, besides what is
                             declared elsewhere: a tool's version, for example
        restore  any number  A shorter key to fall back to when nothing is kept
                             under the full one: the newest state whose key has all
                             these parts

    Example

        cache poetry "~/.cache/pypoetry" {
            key os (file)"poetry.lock"
            restore os
        }
    "#);
    insta::assert_snapshot!(node("build").unwrap(), @r#"
    build

        build <image> [context=…] [dockerfile=…] [target=…] [repository=…] [rebuild=…] [as=…] { … }

    Builds an OCI image from a Dockerfile with the engine's own builder. Its result
    is a digest; whatever names the image depends on this step. The step is called
    `build-NAME`.

    Arguments

        image  name  The image: declared with `image`, or only here.

    Properties

        context     relative path        The folder that is sent to the builder.
                                         Default: `.`.
        dockerfile  relative path        The Dockerfile, relative to the pipeline's
                                         folder. Default: `Dockerfile`.
        target      text                 The stage of the Dockerfile to build.
        repository  text                 The name in a registry; otherwise the
                                         image's name.
        rebuild     `#true` or `#false`  Says that building again what another stage
                                         has built is meant.
        as          name                 The step's name, where the usual one is
                                         taken.

    In its block

        platforms      once        The platforms to build for; several make one
                                   multi-platform image
        args           any number  Build arguments (`ARG` in the Dockerfile)
        labels         any number  Image labels, besides those that `pipe` sets from
                                   the commit
        secrets        any number  The secrets that the step may see, each as an
                                   environment variable of its name
        cache          any number  Where layers are kept for the next build
        attest         once        Evidence that is made and kept with the image
        inputs         any number  The files that decide the result; otherwise the
                                   whole context
        needs          any number  What must have succeeded before this starts
        after          any number  What must have ended, with any outcome, before
                                   this starts: reports and clean-up
        on-failure     any number  Runs this only if one of the named steps failed
        when           any number  Takes part in a run only if all properties of the
                                   node hold
        unless         any number  Leaves this out of a run if all properties of the
                                   node hold
        timeout        once        How long a step may take, all its tries together
        retry          once        Tries a failed step again
        allow-failure  once        The run goes on and succeeds even if this step
                                   fails; its outcome is `soft-failed`
        lock           any number  Steps that name the same lock do not run at the
                                   same time, or at most `slots` of them do
        env            any number  Environment variables for the commands
        always         once        Clean-up of the step itself: runs when its
                                   commands are done, whatever their outcome, also
                                   after a cancel
        rollback       once        How to undo the step

    Example

        build app target=prod {
            args VERSION="${git.short-sha}"
        }
    "#);
}

#[test]
fn a_word_with_several_meanings_has_all_of_them() {
    let paths = |word: &str| -> Vec<String> {
        let found = dsl::schema::find(word).unwrap();
        found.into_iter().map(|(path, _)| path).collect()
    };
    assert_eq!(paths("cache"), ["build.cache", "job.cache"]);
    assert_eq!(paths("stage"), ["stage"]);
    assert_eq!(paths("stage.job.cache.key"), ["stage.job.cache.key"]);
    assert_eq!(paths("when"), ["when"]);
    assert_eq!(paths("build.cache"), ["build.cache"]);
    let env = node("env").unwrap();
    assert!(
        env.starts_with("env\n") && env.contains("\n${env.…}\n"),
        "{env}"
    );
}

#[test]
fn contexts_functions_and_properties_are_explained() {
    insta::assert_snapshot!(node("${pr}").unwrap(), @"
    ${pr.…}

    The pull request; only in runs for one.

        ${pr.number}  the pull request's number
        ${pr.source}  the branch it comes from
        ${pr.target}  the branch it goes into
    ");
    insta::assert_snapshot!(node("git.short-sha").unwrap(), @"
    ${git.…}

    The commit that the run is for.

        ${git.short-sha}  the first seven characters of the commit
    ");
    insta::assert_snapshot!(node("slug").unwrap(), @"
    ${….slug}

    A function behind a reference: lower case letters, digits and hyphens, at most
    63 characters.
    ");
    insta::assert_snapshot!(node("deploy.to").unwrap(), @"
    deploy.to

        deploy <image…> to=… [as=…] { … }

    The target. Type: name of a target.
    ");
}

#[test]
fn an_unknown_path_names_what_was_probably_meant() {
    let says = |path: &str| node(path).unwrap_err();
    let all: Vec<String> = [
        "jbo",
        "job.cahce",
        "E30",
        "${gti}",
        "${git.shaa}",
        "no-such-thing-at-all",
        "timeout.x",
        "",
    ]
    .iter()
    .map(|p| format!("{p}: {}", says(p)))
    .collect();
    insta::assert_snapshot!(all.join("\n"), @"
    jbo: the language has no `jbo`; did you mean `job`?
    job.cahce: there is no `cahce` in `job`; did you mean `cache`?
    E30: the language has no `E30`; did you mean `E130`?
    ${gti}: there is no `gti` in `${…}`; did you mean `git`?
    ${git.shaa}: there is no `shaa` in `${git.…}`; did you mean `sha`?
    no-such-thing-at-all: the language has no `no-such-thing-at-all`; `pipe explain pipeline` and `pipe explain stage` are good places to begin
    timeout.x: there is no `x` in `timeout`; nothing stands in it
    : the language has no ``; `pipe explain pipeline` and `pipe explain stage` are good places to begin
    ");
}

#[test]
fn every_path_and_every_code_is_explained() {
    for (path, _) in dsl::schema::all().iter().skip(1) {
        let text = node(path).unwrap();
        assert!(text.starts_with(path.as_str()), "{path}: {text}");
    }
    for info in dsl::codes::all() {
        assert!(code(info).starts_with(info.id));
    }
}

#[test]
fn the_reference_has_every_node_and_code_once_and_no_dead_link() {
    let page = dsl::reference::markdown();
    let anchors: Vec<&str> = page
        .split("{#")
        .skip(1)
        .filter_map(|a| a.split('}').next())
        .collect();
    let mut unique = anchors.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), anchors.len());
    assert_eq!(
        anchors.len(),
        dsl::schema::all().len() - 1 + dsl::codes::all().count()
    );
    for link in page
        .split("](#")
        .skip(1)
        .filter_map(|l| l.split(')').next())
    {
        assert!(anchors.contains(&link), "no heading for #{link}");
    }
    let hidden = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(!page.contains(hidden));
}
