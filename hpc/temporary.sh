# Source this: what programs leave in the folder for temporary files goes as the script ends, also where it fails.
# A short name: sockets lie in it.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/vXXXXXX")
export TMPDIR
_clean() {
    # File systems of tests that were killed.
    { findmnt --noheadings --raw --output TARGET | grep "^$TMPDIR/" | xargs --no-run-if-empty umount --lazy; } || true
    rm -rf "$TMPDIR"
}
trap _clean EXIT
