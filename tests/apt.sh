# What setup scripts have in common; they read it with `.`. Installs and unpacks packages of Debian; starts nothing.

# install_packages PACKAGE…: the daemons that come with packages are not started.
install_packages() {
    apt-get update
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@"
}

# unpack_newer FOLDER PACKAGE…: unpacks packages of the release after Debian 12 under FOLDER/root, by the mirror that this
# machine uses. Nothing of them is installed.
unpack_newer() {
    folder=$1
    shift
    apt-get update
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/debs" "$folder/root"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror%/} trixie main" >"$folder/sources.list"
    newer() {
        apt-get -o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null \
            -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o Dir::State::status=/dev/null \
            -o APT::Sandbox::User= -o Debug::NoLocking=1 "$@"
    }
    newer update
    (cd "$folder/debs" && newer download "$@")
    for package in "$folder"/debs/*.deb; do
        dpkg-deb -x "$package" "$folder/root"
    done
}
