#!/bin/sh
# Sees to it that there is a Chromium for the tests of pages: the one that COLLECTOR_TEST_CHROMIUM
# names, one on PATH, or else Debian's, through apt. Exit code 1 if there is none in the end.
#
#   deploy/chromium.sh          may ask for the password of sudo
#   deploy/chromium.sh --quiet  never asks: for whoever came to do something else
set -eu

fail() {
    echo "chromium: $1" >&2
    echo "          You can also name a Chromium in COLLECTOR_TEST_CHROMIUM." >&2
    exit 1
}

named=${COLLECTOR_TEST_CHROMIUM:-}
if [ -n "$named" ]; then
    [ -x "$named" ] && exit 0
    echo "chromium: COLLECTOR_TEST_CHROMIUM names $named, which is no program." >&2
    exit 1
fi
command -v chromium >/dev/null && exit 0
command -v chromium-browser >/dev/null && exit 0

command -v apt-get >/dev/null || fail "there is none on PATH, and no apt here to install one with."
root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "installing it needs root: run \`make chromium\` as root."
    root=sudo
    if [ "${1:-}" = --quiet ]; then
        sudo -n true 2>/dev/null || fail "installing it needs root: run \`make chromium\` first."
    fi
fi
echo "Installing Chromium for the tests of pages (300 MB, some minutes) …"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
    $root apt-get update &&
        $root env DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --no-install-recommends chromium
} >"$log" 2>&1 || {
    tail -n 15 "$log" >&2
    fail "apt could not install it; its last words stand above."
}
command -v chromium >/dev/null || fail "apt installed it, but there is no chromium on PATH."
