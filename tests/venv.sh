# Sourced. An environment of Python under target/, with what a file names.

# venv PLACE FILE
venv() {
    # One that was moved has programs that do not start.
    if cmp -s "$2" "$1/installed" && "$1/bin/pip" --version >/dev/null 2>&1; then
        return
    fi
    rm -rf "$1"
    python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$2"
    cp "$2" "$1/installed"
}
