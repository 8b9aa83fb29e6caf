//! `E6xx`: a way of delivering software that would fail, or would hurt.

super::codes! {
    NOT_BUILT "E601" "an image that nobody builds"
    "`push`, `sign`, `deploy`, `container image=` and `${image.NAME}` want a `build` of that image in their own stage or in one before it."
    bad "pipeline app\nregistry ghcr \"ghcr.io/acme\"\nstage ship {\n    push app to=ghcr tag=main\n}\nstage build {\n    build app\n}\n"
    good "pipeline app\nregistry ghcr \"ghcr.io/acme\"\nstage build {\n    build app\n}\nstage ship {\n    push app to=ghcr tag=main\n}\n"

    NOT_PUSHED "E602" "a deployment of an image that is never pushed"
    "A target fetches an image from a registry by its digest, so that it must be pushed before. Only a container on this machine can do without."
    bad "pipeline app\ntarget live {\n    ssh \"deploy@example.com\"\n    container app\n    ready \"http://127.0.0.1:8000/\"\n}\nstage ship {\n    build app\n    deploy app to=live\n}\n"
    good "pipeline app\nregistry ghcr \"ghcr.io/acme\"\ntarget live {\n    ssh \"deploy@example.com\"\n    container app\n    ready \"http://127.0.0.1:8000/\"\n}\nstage ship {\n    build app\n    push app to=ghcr tag=\"sha-${git.sha}\"\n    deploy app to=live\n}\n"

    REBUILD "E603" "a protected target gets a new build of what was tested before"
    "Another stage builds the same image, so that what runs at the end is not what was tested. Promote the tested digest with a `promotion`, or say with `rebuild=#true` on the `build` that it is meant."
    bad "pipeline app\nregistry ghcr \"ghcr.io/acme\"\ntarget live protected=#true {\n    ssh \"deploy@example.com\"\n    container app\n    ready \"http://127.0.0.1:8000/\"\n}\nstage test {\n    when event=push branch=main\n    build app\n    push app to=ghcr tag=\"sha-${git.sha}\"\n}\nstage ship {\n    when event=push branch=prod\n    build app\n    push app to=ghcr tag=\"prod-${git.sha}\"\n    deploy app to=live\n}\n"
    good "pipeline app\nregistry ghcr \"ghcr.io/acme\"\ntarget live protected=#true {\n    ssh \"deploy@example.com\"\n    container app\n    ready \"http://127.0.0.1:8000/\"\n}\nstage test {\n    when event=push branch=main\n    build app\n    push app to=ghcr tag=\"sha-${git.sha}\"\n}\nstage ship {\n    when event=push branch=prod\n    build app rebuild=#true\n    push app to=ghcr tag=\"prod-${git.sha}\"\n    deploy app to=live\n}\n"

    MUTABLE_TAG "E604" "a tag that moves, where it must not"
    "`latest` means another image tomorrow. A target runs digests (`${image.NAME}`), and a registry with `immutable=#true` refuses to move a tag."
    bad "pipeline app\nregistry ghcr \"ghcr.io/acme\" immutable=#true\nstage ship {\n    build app\n    push app to=ghcr tag=latest\n}\n"
    good "pipeline app\nregistry ghcr \"ghcr.io/acme\" immutable=#true\nstage ship {\n    build app\n    push app to=ghcr tag=\"sha-${git.sha}\"\n}\n"

    NO_READINESS "E605" "a target without a readiness check"
    "Without `ready` a deployment would count as successful as soon as the platform took the order. Kubernetes and ECS report the rollout themselves; the other drivers want a check."
    bad "pipeline app\ntarget live {\n    container app publish=\"8000:8000\"\n}\nstage ship {\n    build app\n    deploy app to=live\n}\n"
    good "pipeline app\ntarget live {\n    container app publish=\"8000:8000\"\n    ready \"http://127.0.0.1:8000/\"\n}\nstage ship {\n    build app\n    deploy app to=live\n}\n"

    NO_WAY_BACK "E606" "a deployment without a way back"
    "A target driven by own commands is undone by its `undo` command, or by a `rollback` in the `deploy`. Where staying broken is right, `no-rollback \"why\"` says so."
    bad "pipeline app\ntarget live {\n    run {\n        apply \"./deploy.sh\"\n    }\n    ready \"http://127.0.0.1:8000/\"\n}\nstage ship {\n    build app\n    deploy app to=live\n}\n"
    good "pipeline app\ntarget live {\n    run {\n        apply \"./deploy.sh\"\n        undo \"./undo.sh\"\n    }\n    ready \"http://127.0.0.1:8000/\"\n}\nstage ship {\n    build app\n    deploy app to=live\n}\n"

    APPROVAL_BY_AUTHOR "E607" "an approval that only the author can give"
    "An approval is worth something when somebody else gives it."
    bad "pipeline app\nstage ship {\n    approve go by=author\n    job ship { run \"make ship\" }\n}\n"
    good "pipeline app\nstage ship {\n    approve go by=ops\n    job ship { run \"make ship\" }\n}\n"

    PROMOTION "E608" "a promotion that leads nowhere"
    "`from` and `to` name two different targets, or two different registries, and `images` says what moves."
    bad "pipeline app\ntarget live {\n    container app\n    ready \"http://127.0.0.1:8000/\"\n}\npromotion up from=stageing to=live {\n    images app\n}\nstage ship {\n    build app\n    deploy app to=live\n    promote up\n}\n"
    good "pipeline app\ntarget live {\n    container app\n    ready \"http://127.0.0.1:8000/\"\n}\ntarget staging like=live\npromotion up from=staging to=live {\n    images app\n}\nstage ship {\n    build app\n    deploy app to=staging\n    promote up { needs deploy-staging }\n}\n"

    TARGET_DRIVER "E609" "a target with no driver, or with several"
    "A target has exactly one of `container`, `compose`, `kubernetes`, `ecs`, `run`; or it takes it over with `like=`."
    bad "pipeline app\ntarget live {\n    ready \"http://127.0.0.1:8000/\"\n}\nstage ship {\n    build app\n    deploy app to=live\n}\n"
    good "pipeline app\ntarget live {\n    container app\n    ready \"http://127.0.0.1:8000/\"\n}\nstage ship {\n    build app\n    deploy app to=live\n}\n"

    VERSION_SCHEME "E610" "a version with no scheme, with several, or with one that cannot be used"
    "Exactly one of `calver=`, `semantic=`, `from=`, `fixed=` says how a version is made. A calendar pattern has at least one part of a date, at most one counter, and makes a text of letters, digits and `. - _ +`."
    bad "pipeline app\nversion v\nstage test {\n    job unit { env V=\"${version.v}\"; run \"make\" }\n}\n"
    good "pipeline app\nversion v fixed=\"1.2.3\"\nstage test {\n    job unit { env V=\"${version.v}\"; run \"make\" }\n}\n"

    NOT_ACCEPTED "E611" "a push that the registry's `accept` never lets in"
    "The registry takes only what was built from certain branches or tags, and the conditions of this step never select one of them."
    bad "pipeline app\nregistry trusted \"ghcr.io/acme\" {\n    accept branch=main\n}\nstage ship {\n    when event=pull-request\n    build app\n    push app to=trusted tag=\"pr-${pr.number}\"\n}\n"
    good "pipeline app\nregistry trusted \"ghcr.io/acme\" {\n    accept branch=main\n}\nstage ship {\n    when event=push branch=main\n    build app\n    push app to=trusted tag=\"sha-${git.sha}\"\n}\n"

    STRATEGY "E612" "a strategy that the target's driver cannot do"
    "`blue-green` tries a `container` out beside the old one. `canary` gives a `kubernetes` Deployment with manifests growing shares of the requests, `steps=`. Without a strategy, the platform replaces what runs in its own way."
    bad "pipeline app\nregistry ghcr \"ghcr.io/acme\"\ntarget live {\n    kubernetes manifests=\"k8s/\" deployment=app\n    strategy blue-green\n}\nstage ship {\n    build app\n    push app to=ghcr tag=\"sha-${git.sha}\"\n    deploy app to=live\n}\n"
    good "pipeline app\nregistry ghcr \"ghcr.io/acme\"\ntarget live {\n    kubernetes manifests=\"k8s/\" deployment=app\n    strategy canary steps=\"10%,50%\" pause=\"5m\"\n}\nstage ship {\n    build app\n    push app to=ghcr tag=\"sha-${git.sha}\"\n    deploy app to=live\n}\n"

    HOST_FOLDER "E613" "a Compose project on another host, without a folder there"
    "Over `ssh` the Compose file and what it names are copied to the host. `dir=` says where to; on this machine it can be left out, as the files are here."
    bad "pipeline app\nregistry ghcr \"ghcr.io/acme\"\ntarget live {\n    ssh \"deploy@example.com\"\n    compose \"compose.yml\" {\n        env APP_IMAGE=\"${image.app}\"\n        up app\n    }\n    ready \"http://127.0.0.1:8000/\"\n}\nstage ship {\n    build app\n    push app to=ghcr tag=\"sha-${git.sha}\"\n    deploy app to=live\n}\n"
    good "pipeline app\nregistry ghcr \"ghcr.io/acme\"\ntarget live {\n    ssh \"deploy@example.com\"\n    compose \"compose.yml\" dir=\"/srv/app\" {\n        env APP_IMAGE=\"${image.app}\"\n        up app\n    }\n    ready \"http://127.0.0.1:8000/\"\n}\nstage ship {\n    build app\n    push app to=ghcr tag=\"sha-${git.sha}\"\n    deploy app to=live\n}\n"

    NOTIFY "E620" "a notification that reaches nobody"
    "A `slack` or `webhook` wants the secret that holds its address, because whoever has the address can write there; a `command` wants a `run`."
    bad "pipeline app\nnotify slack {\n    on failed\n}\nstage test {\n    job unit { run \"make\" }\n}\n"
    good "pipeline app\nsecret SLACK_WEBHOOK\nnotify slack webhook=SLACK_WEBHOOK {\n    on failed\n}\nstage test {\n    job unit { run \"make\" }\n}\n"

    KEEP "W601" "a registry that would forget what a target runs"
    "The registry keeps images for a limited time (`keep=`). What a target runs is kept, but the releases to which it could go back are not. Deploy from a registry without `keep`."
    bad "pipeline app\nregistry dev \"ghcr.io/acme\" keep=\"72h\"\ntarget live {\n    ssh \"deploy@example.com\"\n    container app\n    ready \"http://127.0.0.1:8000/\"\n}\nstage ship {\n    build app\n    push app to=dev tag=\"sha-${git.sha}\"\n    deploy app to=live\n}\n"
    good "pipeline app\nregistry dev \"ghcr.io/acme\"\ntarget live {\n    ssh \"deploy@example.com\"\n    container app\n    ready \"http://127.0.0.1:8000/\"\n}\nstage ship {\n    build app\n    push app to=dev tag=\"sha-${git.sha}\"\n    deploy app to=live\n}\n"

    MOVING_IMAGE "W602" "an image without a version"
    "`latest`, which is also meant where no tag is written, is another image tomorrow: the same commit would be tested by other programs. A tag with a version moves seldom; a digest, `@sha256:…`, never does. Within one run a reference is looked up once, and a kept result is one of the digest that was found."
    bad "pipeline app\nstage test {\n    job unit {\n        container python\n        run \"make test\"\n    }\n}\n"
    good "pipeline app\nstage test {\n    job unit {\n        container \"python:3.11-slim\"\n        run \"make test\"\n    }\n}\n"
}
