#!/bin/sh
# Install Caracal from a release that was downloaded, and only when all of it verifies.
#
#   sh install.sh --verifier CARACAL RELEASE ENVIRONMENT -- OPTIONS
#
# CARACAL      a `caracal` that is trusted already: the command, or its archive (.pyz). Never one from RELEASE.
# RELEASE      the directory, or a tar archive of it.
# ENVIRONMENT  where the new virtual environment goes; it must not exist yet.
# OPTIONS      for `caracal release verify`, such as --trust-root FILE --repository URL --version V.
#
# What is installed is a private copy of what was verified. Dependencies are those of the lock inside the verified
# sdist, each by its hash, from wherever pip is set up to look. PYTHON names another interpreter than python3.

set -eu
umask 077

python=${PYTHON:-python3}
verifier=
work=

fail() {
    printf 'install.sh: %s\n' "$1" >&2
    exit "${2:-2}"
}

clean() {
    if [ -n "$work" ]; then rm -rf "$work"; fi
}

# The options are the caller's: one such as --help must not end well without anything verified.
verify() {
    case $verifier in
        *.pyz) "$python" -I "$verifier" release verify --json "$@" ;;
        *) "$verifier" release verify --json "$@" ;;
    esac
}

says_verified() {
    "$python" -I -c 'import json, sys
with open(sys.argv[1], encoding="utf-8") as stream:
    sys.exit(json.load(stream)["verified"] is not True)' "$1" 2>/dev/null
}

# A copy that nobody else can change between the verification and the installation.
take_copy() {
    if [ -d "$1" ]; then
        cp -RP "$1" "$2"
    elif [ -f "$1" ]; then
        mkdir "$2"
        "$python" -I -c 'import sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    archive.extractall(sys.argv[2], filter="data")' "$1" "$2" || fail "$1 is no tar archive of plain files"
    else
        fail "$1 is neither a directory nor an archive"
    fi
}

install() {
    "$environment/bin/python" -I -m pip --disable-pip-version-check --no-input install --quiet "$@"
}

only_one() {
    [ "$#" -eq 1 ] && [ -f "$1" ] || fail "the release does not hold exactly one $kind" 1
    printf '%s\n' "$1"
}

while [ "$#" -gt 0 ]; do
    case $1 in
        --verifier)
            [ "$#" -ge 2 ] || fail '--verifier needs a value'
            verifier=$2
            shift 2
            ;;
        -*) fail "unknown option $1; see the first lines of this script" ;;
        *) break ;;
    esac
done
[ "$#" -ge 3 ] && [ "$3" = -- ] || fail 'usage: install.sh --verifier CARACAL RELEASE ENVIRONMENT -- OPTIONS'
release=$1
environment=$2
shift 3

[ -n "$verifier" ] || fail 'nothing can be verified without --verifier'
command -v "$verifier" >/dev/null 2>&1 || [ -f "$verifier" ] || fail "there is no verifier $verifier"
[ ! -e "$environment" ] || fail "$environment exists already"
if [ -d "$release" ] && [ -f "$verifier" ]; then
    inside=$(cd "$release" && pwd -P)
    case $(cd "$(dirname "$verifier")" && pwd -P)/ in
        "$inside"/*) fail 'the verifier must not come from the release that it verifies' ;;
    esac
fi

trap clean EXIT
trap 'exit 1' HUP INT TERM
work=$(mktemp -d)
take_copy "$release" "$work/release"
unverified='the release does not verify; nothing was installed'
verify "$work/release" "$@" >"$work/verdict.json" || fail "$unverified" 1
says_verified "$work/verdict.json" || fail "$unverified" 1

kind=wheel
wheel=$(only_one "$work/release"/caracal-*.whl)
kind=sdist
sdist=$(only_one "$work/release"/caracal-*.tar.gz)
"$python" -I -c 'import sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    [lock] = [one for one in archive.getmembers() if one.name.partition("/")[2] == "requirements/image.txt"]
    open(sys.argv[2], "wb").write(archive.extractfile(lock).read())' "$sdist" "$work/lock.txt" 2>/dev/null \
    || fail 'the sdist has no lock' 1

umask 022
"$python" -I -m venv "$environment" || fail "$environment could not be made"
if install --require-hashes --only-binary :all: --requirement "$work/lock.txt" \
    && install --no-deps --no-index "$wheel"; then
    printf 'installed into %s\n' "$environment"
else
    rm -rf "$environment"
    fail 'the dependencies or the wheel could not be installed; nothing is left' 1
fi
