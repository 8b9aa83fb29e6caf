//! Images, registries, targets, promotions, and the steps that use them.

use super::job::{
    ALLOW_FAILURE, ALWAYS, ENV, LOCK, READY, RETRY, ROLLBACK, RUN, SECRETS, TIMEOUT, step_children,
};
use super::select::{AFTER, NEEDS, ON_FAILURE, UNLESS, WHEN};
use super::{Field, Kind, NodeSchema, Type, field, many, node, once, opt};

const IMAGES: Field = field(
    "image",
    Type::Ref(Kind::Image),
    "An image of this pipeline.",
);
const AS: Field = opt(
    "as",
    Type::Name,
    "The step's name, where the usual one is taken.",
);

/// `platforms`
pub static PLATFORMS: NodeSchema = node(
    "platforms",
    "The platforms to build for; several make one multi-platform image.",
)
.rest(field("platform", Type::Text, "Such as `\"linux/arm64\"`."))
.example("platforms \"linux/amd64\" \"linux/arm64\"");

/// `args`
pub static ARGS: NodeSchema = node("args", "Build arguments (`ARG` in the Dockerfile).")
    .open_props(field("NAME", Type::Template, "The value; a string."))
    .example("args RUST_VERSION=\"1.95\"");

/// `labels`
pub static LABELS: NodeSchema = node(
    "labels",
    "Image labels, besides those that `pipe` sets from the commit.",
)
.open_props(field("label", Type::Template, "The value; a string."))
.example("labels team=\"payments\"");

/// `cache` of a build
pub static BUILD_CACHE: NodeSchema = node(
    "cache",
    "Where layers are kept for the next build. What the engine's builder cannot do of it, the step's log says.",
)
    .props(&[
        opt(
            "registry",
            Type::Ref(Kind::Registry),
            "Beside the image in a registry.",
        ),
        opt(
            "inline",
            Type::Bool,
            "In the image itself, under every tag with which it is pushed.",
        ),
        opt("local", Type::AnyPath, "In a directory."),
        opt(
            "mode",
            Type::Word(&["min", "max"]),
            "`max` keeps the layers of all stages.",
        )
        .default("min"),
        opt(
            "compression",
            Type::Word(&["gzip", "zstd", "estargz"]),
            "How layers are packed.",
        ),
    ])
    .example("cache registry=ghcr mode=max compression=zstd");

/// `attest`
pub static ATTEST: NodeSchema = node(
    "attest",
    "Evidence that is made and kept with the image. `provenance` says from which commit and how it was built; `sbom` says \
     what is in it, by a scanner of yours.",
)
    .rest(field(
        "kind",
        Type::Word(&["sbom", "provenance"]),
        "What to attest.",
    ))
    .props(&[opt(
        "scanner",
        Type::Script,
        "The command that prints the SBOM of the image, as SPDX or CycloneDX in JSON. `$PIPE_IMAGE` is a folder with the image \
         as an OCI layout.",
    )
    .default("syft scan \"oci-dir:$PIPE_IMAGE\" -o spdx-json")])
    .example("attest sbom provenance");

/// `build-inputs`
pub static INPUTS: NodeSchema = node(
    "inputs",
    "The files that decide the result; otherwise the whole context.",
)
.rest(field(
    "pattern",
    Type::Glob,
    "A pattern; `\"!…\"` excludes.",
))
.example("inputs \"src/**\" \"Dockerfile\"");

const CONTEXT: Field = opt(
    "context",
    Type::Path,
    "The folder that is sent to the builder.",
)
.default(".");
const DOCKERFILE: Field = opt(
    "dockerfile",
    Type::Path,
    "The Dockerfile, relative to the pipeline's folder.",
)
.default("Dockerfile");
const BUILD_TARGET: Field = opt(
    "target",
    Type::Text,
    "The stage of the Dockerfile to build.",
);
const REPOSITORY: Field = opt(
    "repository",
    Type::Text,
    "The name in a registry; otherwise the image's name.",
);
const REBUILD: Field = opt(
    "rebuild",
    Type::Bool,
    "Says that building again what another stage has built is meant.",
);

/// `image`
pub static IMAGE: NodeSchema = node(
    "image",
    "Says once how an image is built; `build NAME` builds it. Everything can also stand as a child.",
)
.args(&[field("name", Type::Name, "The image's name.")])
.props(&[CONTEXT, DOCKERFILE, BUILD_TARGET, REPOSITORY])
.children(&[
    once(&PLATFORMS),
    many(&ARGS),
    many(&LABELS),
    many(&SECRETS),
    many(&BUILD_CACHE),
    once(&ATTEST),
    many(&INPUTS),
])
.example("image app dockerfile=\"docker/Dockerfile\" target=prod");

/// `build`
pub static BUILD: NodeSchema = node(
    "build",
    "Builds an OCI image from a Dockerfile with the engine's own builder. Its result is a digest; whatever names the \
     image depends on this step. The step is called `build-NAME`.",
)
.args(&[field(
    "image",
    Type::Name,
    "The image: declared with `image`, or only here.",
)])
.props(&[CONTEXT, DOCKERFILE, BUILD_TARGET, REPOSITORY, REBUILD, AS])
.children(step_children![
    once(&PLATFORMS),
    many(&ARGS),
    many(&LABELS),
    many(&SECRETS),
    many(&BUILD_CACHE),
    once(&ATTEST),
    many(&INPUTS),
])
.example("build app target=prod {\n    args VERSION=\"${git.short-sha}\"\n}");

/// `tag` of a push
pub static TAG: NodeSchema = node("tag", "A tag for the image in the registry.")
    .args(&[field("tag", Type::Template, "The tag.")])
    .example("tag \"sha-${git.short-sha}\"");

/// `push`
pub static PUSH: NodeSchema = node(
    "push",
    "Copies images to a registry under tags. The digest is recorded and does not change. The step is called `push-IMAGE`.",
)
.rest(IMAGES)
.props(&[
    field("to", Type::Ref(Kind::Registry), "The registry."),
    opt("tag", Type::Template, "The tag; several are written as children."),
    AS,
])
.children(step_children![many(&TAG)])
.example("push app to=ghcr {\n    tag \"sha-${git.sha}\"\n    tag latest\n}");

/// `sign`
pub static SIGN: NodeSchema = node(
    "sign",
    "Signs pushed images by your own `cosign`; the signature is stored beside the image, in every registry to which a step of \
     the run pushed it. What the build attested is signed with it. The step is called `sign-IMAGE`.",
)
.rest(IMAGES)
.props(&[
    opt("keyless", Type::Bool, "With the identity that the CI proves, instead of a key."),
    opt("key", Type::Ref(Kind::Secret), "The secret that holds the private key, or the address of one in a KMS."),
    opt("password", Type::Ref(Kind::Secret), "The secret that holds the key's password."),
    opt("log", Type::Bool, "`#false` keeps a signature by a key out of the public log; who verifies it has to know that.")
        .default("#true"),
    AS,
])
.children(step_children![])
.example("sign app key=SIGNING_KEY password=SIGNING_PASSWORD");

const FORGE: Field = opt(
    "forge",
    Type::Word(&["github", "gitlab", "gitea", "none"]),
    "Where a release is created, besides the tag. `github` uses the program `gh`, which gets `GH_TOKEN` or `GITHUB_TOKEN` of \
     the environment; `gitlab` asks with `GITLAB_TOKEN` or `CI_JOB_TOKEN`, `gitea`, which is also for Forgejo, with \
     `GITEA_TOKEN` or `FORGEJO_TOKEN`.",
)
.default("none");
const CHANGELOG: Field = opt(
    "changelog",
    Type::Path,
    "The file to which the new section is added, in a commit of its own for which no CI runs.",
);
const NOTES: Field = opt(
    "notes",
    Type::Word(&["auto", "changelog", "none"]),
    "Where the text of the forge's release comes from: `changelog` is made of the commits, `auto` is left to the forge.",
)
.default("changelog");
const ANNOTATED: Field = opt(
    "annotated",
    Type::Bool,
    "Makes an annotated git tag; `#false` makes one that is only a name.",
)
.default("#true");

/// `release`
pub static RELEASE: NodeSchema = node(
    "release",
    "Computes or takes a version, writes the changelog, makes the git tag and creates the forge's release. Without \
     release-worthy commits it does nothing, and what needs it is skipped. The step is called `release-VERSION`.",
)
.args(&[field("version", Type::Ref(Kind::Version), "A declared version.")])
.props(&[FORGE, CHANGELOG, NOTES, ANNOTATED, AS])
.children(step_children![])
.example("release next forge=github changelog=\"CHANGELOG.md\"");

/// `promote`
pub static PROMOTE: NodeSchema = node(
    "promote",
    "Executes a promotion: the digests proven at the source move to the destination; nothing is rebuilt. The step is \
     called `promote-RULE`.",
)
.args(&[field("rule", Type::Ref(Kind::Promotion), "A declared promotion.")])
.props(&[AS])
.children(step_children![])
.example("promote to-production");

/// `digest` of a deployment
pub static DIGEST: NodeSchema = node(
    "digest",
    "Digests of images that something else than a `build` of this run made: `sha256:…`, or `repository@sha256:…`.",
)
.open_props(field("image", Type::Template, "The digest of the image of this name."))
.example("digest app=\"${pack.outputs.digest}\"");

/// `deploy`
pub static DEPLOY: NodeSchema = node(
    "deploy",
    "Makes a target run exactly these digests, waits for its readiness, records the outcome, and undoes itself when it \
     fails. The step is called `deploy-TARGET`.",
)
.rest(IMAGES)
.props(&[field("to", Type::Ref(Kind::Target), "The target."), AS])
.children(step_children![many(&DIGEST)])
.example("deploy app migrator to=staging");

/// `approve`
pub static APPROVE: NodeSchema = node(
    "approve",
    "Waits until people agree. The step is called `approve-NAME`.",
)
.args(&[field("name", Type::Name, "What is approved.")])
.props(&[
    field(
        "by",
        Type::Text,
        "Who may approve: a group, or `environment` for the CI's own gate.",
    ),
    opt("count", Type::Int(1, 100), "How many approvals are needed.").default("1"),
    opt("not", Type::Text, "Who may not: `\"author,trigger\"`."),
    AS,
])
.children(step_children![])
.example("approve go-live by=ops");

/// `login`
pub static LOGIN: NodeSchema = node(
    "login",
    "How to log in: with a password from a secret, or with a credential helper.",
)
.props(&[
    opt("user", Type::Text, "The user name."),
    opt(
        "password",
        Type::Ref(Kind::Secret),
        "The secret that holds the password.",
    ),
    opt(
        "helper",
        Type::Text,
        "A credential helper, such as `ecr-login`.",
    ),
    opt(
        "realm",
        Type::Text,
        "The host of another domain that checks the password for the registry. No other one gets to know it.",
    ),
])
.example("login user=ci password=GITHUB_TOKEN");

/// `accept`
pub static ACCEPT: NodeSchema = node(
    "accept",
    "Only what was built from such a branch or tag may be pushed here. Several are alternatives.",
)
.props(&[
    opt("branch", Type::NameGlob, "A branch."),
    opt("tag", Type::NameGlob, "A git tag."),
])
.example("accept branch=main");

/// `registry`
pub static REGISTRY: NodeSchema = node(
    "registry",
    "A place for images. A relative path is a directory in OCI layout.",
)
.args(&[
    field("name", Type::Name, "What to call it here."),
    field(
        "prefix",
        Type::Template,
        "Host and path, such as `\"ghcr.io/acme\"`.",
    ),
])
.props(&[
    opt(
        "keep",
        Type::Duration,
        "How long `pipe prune` keeps what no target runs.",
    ),
    opt(
        "immutable",
        Type::Bool,
        "A tag never moves to another digest.",
    ),
])
.children(&[once(&LOGIN), many(&ACCEPT)])
.example(
    "registry ghcr \"ghcr.io/acme\" immutable=#true {\n    login user=ci password=GITHUB_TOKEN\n}",
);

/// `version`
pub static VERSION: NodeSchema = node(
    "version",
    "How a version number is made. Exactly one of the properties says how.",
)
.args(&[field(
    "name",
    Type::Name,
    "What to call it: `${version.NAME}`.",
)])
.props(&[
    opt(
        "calver",
        Type::Text,
        "A calendar pattern such as `\"vYY.MM.DD.i\"`; `i` counts.",
    ),
    opt(
        "semantic",
        Type::Word(&["conventional-commits"]),
        "From the commits since the last tag.",
    ),
    opt(
        "from",
        Type::Path,
        "Read from a file such as `Cargo.toml`, `package.json`, `pyproject.toml`.",
    ),
    opt("fixed", Type::Text, "This text."),
])
.example("version release calver=\"vYY.MM.DD.i\"");

/// `ssh`
pub static SSH: NodeSchema = node(
    "ssh",
    "The host to work on, over the system's `ssh` with checked host keys.",
)
.args(&[field(
    "address",
    Type::Template,
    "`user@host` or `user@host:port`.",
)])
.props(&[
    opt(
        "key",
        Type::Ref(Kind::Secret),
        "The secret that holds the private key.",
    ),
    opt(
        "known-hosts",
        Type::Path,
        "A known_hosts file of the repository.",
    ),
])
.example(
    "ssh \"deploy@staging.example.com\" key=STAGING_SSH_KEY known-hosts=\"deploy/known_hosts\"",
);

/// `copy`
pub static COPY: NodeSchema = node(
    "copy",
    "Files of the repository that are copied to the host before.",
)
.rest(field("path", Type::Path, "A file or folder."))
.example("copy \"docker-compose.prod.yml\" \"tooling/deploy\"");

/// `env-file`
pub static ENV_FILE: NodeSchema = node(
    "env-file",
    "A file of settings that lives on the host and is never copied.",
)
.args(&[field("path", Type::AnyPath, "Its path on the host.")])
.example("env-file \".env.production\"");

/// `up`
pub static UP: NodeSchema = node(
    "up",
    "Starts services of the Compose file and waits until they are healthy.",
)
.rest(field("service", Type::Text, "A service."))
.example("up postgres redis");

/// `run` in `compose`
pub static COMPOSE_RUN: NodeSchema = node(
    "run",
    "Runs a one-shot service of the Compose file; its failure stops the deployment.",
)
.rest(field("service", Type::Text, "A service."))
.example("run migrator");

/// `compose`
pub static COMPOSE: NodeSchema = node("compose", "Docker Compose on the host; its children are done in order.")
    .args(&[field("file", Type::Path, "The Compose file.")])
    .props(&[
        opt("dir", Type::AnyPath, "The folder on the host into which the file and what is copied goes; on this machine it can be left out."),
        opt("project", Type::Name, "The project's name; otherwise the pipeline's and the target's. One that is there already keeps its volumes."),
    ])
    .children(&[many(&COPY), many(&ENV_FILE), many(&ENV), many(&UP), many(&COMPOSE_RUN)])
    .example("compose \"docker-compose.prod.yml\" dir=\"/srv/app\" {\n    env APP_IMAGE=\"${image.app}\"\n    up postgres\n    run migrator\n    up app\n}");

/// `container` of a target
pub static TARGET_CONTAINER: NodeSchema = node("container", "One container on the host's engine.")
    .args(&[field("name", Type::Text, "The container's name.")])
    .props(&[
        opt("publish", Type::Text, "Ports, such as `\"4000:8000\"`."),
        opt("prune", Type::Bool, "Removes old images afterwards."),
    ])
    .children(&[many(&ENV), many(&ENV_FILE)])
    .example("container dev-app publish=\"4000:8000\" prune=#true");

/// `kubernetes`
pub static KUBERNETES: NodeSchema = node(
    "kubernetes",
    "Workloads of a Kubernetes cluster, by `kubectl`: manifests get the images by digest, are checked by the cluster and then \
     applied, the rollout is watched, and what the pods run is compared. A container runs the image of its name, or the one \
     whose repository it names. `manifests`, `deployment` or both are needed.",
)
.props(&[
    opt(
        "manifests",
        Type::Path,
        "A file, or a folder of `.yaml`, `.yml` and `.json` files or of a kustomization. A way back takes those of the \
         release's commit.",
    ),
    opt(
        "deployment",
        Type::Text,
        "The workload that gets the images and is waited for; otherwise every Deployment, StatefulSet and DaemonSet of the \
         manifests.",
    ),
    opt("namespace", Type::Text, "The namespace; otherwise that of the manifests or of the context."),
    opt("context", Type::Text, "The kubeconfig context."),
    opt(
        "container",
        Type::Text,
        "The container that gets the image, where its name does not say so.",
    ),
    opt(
        "kubectl",
        Type::Text,
        "The command for kubectl with its first arguments, such as `\"sudo microk8s kubectl\"`.",
    )
    .default("kubectl"),
])
.example("kubernetes manifests=\"k8s/\" deployment=shop kubectl=\"sudo microk8s kubectl\"");

/// `ecs`
pub static ECS: NodeSchema = node(
    "ecs",
    "An Amazon ECS service, by the `aws` command line: a new revision of the task definition with the images by digest, the \
     service updated, its rollout watched, and what the tasks run compared. A container runs the image of its name, or the \
     one whose repository it names.",
)
.props(&[
    field("cluster", Type::Template, "The cluster."),
    field("service", Type::Template, "The service."),
    field("region", Type::Template, "The region."),
    opt(
        "container",
        Type::Text,
        "The container that gets the image, where its name does not say so.",
    ),
])
.example("ecs cluster=prod service=web region=\"eu-central-1\"");

/// `deploy` of a `run` target
pub static RUN_APPLY: NodeSchema =
    node("apply", "The command that makes the target run the images.")
        .args(&[field("text", Type::Script, "Shell text.")])
        .example("apply \"./deploy.sh\"");

/// `observe`
pub static RUN_OBSERVE: NodeSchema = node(
    "observe",
    "The command that prints the digests that run now.",
)
.args(&[field("text", Type::Script, "Shell text.")])
.example("observe \"./status.sh\"");

/// `undo`
pub static RUN_UNDO: NodeSchema = node("undo", "The command that goes back to the release before.")
    .args(&[field("text", Type::Script, "Shell text.")])
    .example("undo \"./undo.sh\"");

/// `run` of a target
pub static RUN_DRIVER: NodeSchema = node("run", "Your own commands as the target's driver.")
    .children(&[once(&RUN_APPLY), once(&RUN_OBSERVE), once(&RUN_UNDO)])
    .example(
        "run {\n    apply \"./deploy.sh\"\n    observe \"./status.sh\"\n    undo \"./undo.sh\"\n}",
    );

/// `assert-env`
pub static ASSERT_ENV: NodeSchema = node(
    "assert-env",
    "Settings that the host, or what runs there, must have before anything is changed.",
)
.open_props(field("NAME", Type::Text, "The value to expect."))
.example("assert-env RATE_LIMIT_BACKEND=redis");

/// `strategy`
pub static STRATEGY: NodeSchema = node(
    "strategy",
    "How the new release replaces the old one: `blue-green` for a `container`, `canary` for `kubernetes`. `rolling` is what \
     the platforms do by themselves.",
)
    .args(&[field(
        "kind",
        Type::Word(&["rolling", "blue-green", "canary"]),
        "The strategy.",
    )])
    .props(&[
        opt(
            "steps",
            Type::Text,
            "Of a canary: the shares of the requests, such as `\"10%,50%\"`, at most a half.",
        ),
        opt(
            "pause",
            Type::Duration,
            "Of a canary: how long each step is watched.",
        ),
    ])
    .example("strategy blue-green");

/// `rollback-floor`
pub static ROLLBACK_FLOOR: NodeSchema = node(
    "rollback-floor",
    "Never go back to a release before this commit: its schema is gone.",
)
.args(&[field("commit", Type::Text, "A commit.")])
.example("rollback-floor \"1a2b3c4\"");

/// `no-rollback`
pub static NO_ROLLBACK: NodeSchema = node(
    "no-rollback",
    "Says that a failed deployment stays where it is, and why that is right.",
)
.args(&[field("reason", Type::Text, "Why.")])
.example("no-rollback \"a preview that is rebuilt on every push\"");

/// `target`
pub static TARGET: NodeSchema = node(
    "target",
    "Where the software runs. It has one driver (`container`, `compose`, `kubernetes`, `ecs`, `run`), on this machine or over `ssh`.",
)
.args(&[field("name", Type::Name, "What to call it.")])
.props(&[
    opt("like", Type::Ref(Kind::Target), "Takes over what is not written here from another target."),
    opt("protected", Type::Bool, "Only promotions and approved deployments reach it."),
])
.children(&[
    once(&SSH),
    once(&TARGET_CONTAINER),
    once(&COMPOSE),
    once(&KUBERNETES),
    once(&ECS),
    once(&RUN_DRIVER),
    once(&READY),
    many(&ASSERT_ENV),
    once(&STRATEGY),
    once(&ROLLBACK_FLOOR),
    once(&NO_ROLLBACK),
    many(&ENV),
])
.example("target staging {\n    ssh \"deploy@staging.example.com\" key=SSH_KEY\n    compose \"compose.yml\" dir=\"/srv/app\"\n    ready \"http://127.0.0.1:3000/ready\" within=\"2m\"\n}");

/// `images`
pub static PROMOTED: NodeSchema = node("images", "The images that move together.")
    .rest(IMAGES)
    .example("images app migrator");

/// `require`
pub static REQUIRE: NodeSchema = node(
    "require",
    "What must hold before the promotion happens; all of them.",
)
.args(&[field(
    "what",
    Type::Word(&["healthy", "approval", "checks", "window", "from-commit"]),
    "The requirement.",
)])
.props(&[
    opt(
        "for",
        Type::Duration,
        "`healthy`: how long the source must have been so.",
    ),
    opt("by", Type::Text, "`approval`: who may give it."),
    opt("count", Type::Int(1, 100), "`approval`: how many."),
    opt(
        "not",
        Type::Text,
        "`approval`: who may not, `\"author,trigger\"`.",
    ),
    opt("days", Type::Text, "`window`: days, such as `\"mon-thu\"`."),
    opt("from", Type::Text, "`window`: the first hour, `\"09:00\"`."),
    opt("until", Type::Text, "`window`: the last hour, `\"16:00\"`."),
    opt(
        "branch",
        Type::NameGlob,
        "`from-commit`: the branch that contains the commit.",
    ),
    opt(
        "name",
        Type::Text,
        "`checks`: the one that must have passed; several `require checks` are several. Without it: all that there are.",
    ),
])
.example("require healthy for=\"30m\"\nrequire approval by=ops");

/// `tag` of a promotion
pub static PROMOTION_TAG: NodeSchema = node("tag", "A tag that the digest gets.")
    .args(&[field("tag", Type::Template, "The tag.")])
    .props(&[opt("in", Type::Ref(Kind::Registry), "The registry.")])
    .example("tag \"v${version.app}\" in=ecr");

/// `release` of a promotion
pub static PROMOTION_RELEASE: NodeSchema = node(
    "release",
    "The release that a successful promotion makes: of the version and the commit that were promoted.",
)
.props(&[
    opt(
        "version",
        Type::Ref(Kind::Version),
        "Which version, where the pipeline has several.",
    ),
    FORGE,
    NOTES,
    ANNOTATED,
])
.example("release version=app forge=github notes=auto annotated=#true");

/// `promotion`
pub static PROMOTION: NodeSchema = node(
    "promotion",
    "A rule by which one tested artifact moves on, from a target or registry to the next. Executed by `promote`.",
)
.args(&[field("name", Type::Name, "What to call it.")])
.props(&[
    field("from", Type::Text, "The source: a target or a registry."),
    field("to", Type::Text, "The destination: a target or a registry."),
])
.children(&[once(&PROMOTED), many(&REQUIRE), many(&PROMOTION_TAG), once(&PROMOTION_RELEASE)])
.example("promotion to-production from=staging to=production {\n    images app migrator\n    require healthy for=\"30m\"\n    require approval by=ops\n}");

/// `on`
pub static ON: NodeSchema = node("on", "The outcomes that are told.")
    .rest(field(
        "outcome",
        Type::Word(&["failed", "rolled-back", "deployed", "waiting", "passed"]),
        "An outcome of a step.",
    ))
    .example("on failed rolled-back");

/// `notify`
pub static NOTIFY: NodeSchema = node(
    "notify",
    "Tells people how a run ended, once, at its end: what failed, and which version is active now. Without `on` it tells \
     what failed and what was rolled back. A `command` finds the message in `PIPE_MESSAGE` and `PIPE_MESSAGE_JSON`. Who \
     cannot be told is a warning.",
)
.args(&[field(
    "kind",
    Type::Word(&["slack", "webhook", "command"]),
    "How.",
)])
.props(&[
    opt(
        "webhook",
        Type::Ref(Kind::Secret),
        "The secret that holds the address.",
    ),
    opt("channel", Type::Text, "The channel."),
])
.children(&[once(&ON), many(&RUN)])
.example("notify slack webhook=SLACK_WEBHOOK {\n    on failed rolled-back\n}");
