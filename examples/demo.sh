#!/usr/bin/env bash
# Both examples from source to rollback, in a temporary folder: `just demo`, or after
# `cargo build --workspace --bins` this script. It needs nothing but the programs.
set -euo pipefail
cd "$(dirname "$0")/.."

export PATH="${SWITCHBACK_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/debug}:$PATH"
unset MIGRATION_PLAN DATABASE_URL
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

# step NAME OUT COMMAND…: runs a command, its standard output into a file, its talk kept for `talk`.
step() {
    local out=$2
    printf '  %-9s' "$1"
    shift 2
    "$@" >"$out" 2>"$room/talk" || { echo "failed"; cat "$room/talk"; exit 1; }
}

# talk PROGRAM EXPRESSION: what sed prints of what the program said, below each other.
talk() {
    sed "s/^$1: //" "$room/talk" | sed -nE "$2" | sed '2,$s/^/           /'
}

# Kills apply in the middle of a commit: the system ends a program that outgrows a file's limit (KiB).
crash() {
    (ulimit -f 300; apply members.bundle >/dev/null 2>"$room/talk") 2>/dev/null && exit 1
    echo "  crash    apply is killed in the middle of a commit; --resume=auto goes on with its run:"
}

# Edits a row that the run wrote: rollback names it and writes nothing.
conflict() {
    dbtool query members.db "UPDATE Member SET phone = '(805) 555-0000' WHERE email = 'tamsin.oakapple@example.org'"
    printf '  conflict '
    rollback "$run" >/dev/null 2>"$room/talk" && exit 1
    talk rollback 's/^warning: //p'
    echo "           nothing was written; --force restores that row too:"
}

demo() {
    local example=$1 title=$2 before after again run
    cp -r "examples/$example" "$room/$example"
    cd "$room/$example"
    export DATABASE_URL="sqlite:$example.db"
    dbtool load "$example.db" schema.sql before.sql
    before=$(dbtool hash "$example.db")
    echo "$title"
    echo "  before   $before"

    step parse records.ndjson parse
    talk parse 's/^([a-z_]+): ([0-9]+) records of ([0-9]+) items in [0-9]+ files?; /\1: \3 items, \2 records, /p'
    step validate good.ndjson validate --rejects rejects.ndjson <records.ndjson
    talk validate '/warning:|came in/p'
    step bundle id bundle -o "$example.bundle" <good.ndjson
    echo "$(wc -l <good.ndjson | tr -d ' ') lines, sealed as $(cut -c 1-16 id)…"

    step 'dry run' out apply "$example.bundle" --dry-run
    talk apply '/nothing written/p'
    if [ "$example" = members ]; then crash; fi
    step apply run apply "$example.bundle" --resume=auto
    run=$(cat run)
    talk apply '/^[0-9]+ (records: |batches stand)|^run .* into/p'
    step again out apply "$example.bundle"
    talk apply '/^[0-9]+ records: /p'
    step verify out verify "$run"
    sed -n '$p' out
    if [ "$example" = members ]; then conflict; fi
    step rollback out rollback "$run" --force
    talk rollback '/^Rolled back|what they were/p'

    after=$(dbtool hash "$example.db")
    echo "  after    $after"
    if [ "$before" != "$after" ]; then
        echo "  the database is NOT what it was before" >&2
        exit 1
    fi
    echo "  the same: every row, value for value, is what it was"
    cd - >/dev/null
}

demo members 'A club: three CSV exports into a database that knows five of the members'
echo
demo lessons 'A knowledge base: four Markdown files, cut at their headings'
echo
echo "Everything happened in $room, which is gone now. README.md goes through it step by step."
