#!/usr/bin/env bash
# Both examples from source to rollback, in a temporary folder: `just demo`, or after
# `cargo build --workspace --bins` this script. It needs nothing but the programs.
set -euo pipefail
cd "$(dirname "$0")/.."

export PATH="${SWITCHBACK_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/debug}:$PATH"
unset MIGRATION_PLAN DATABASE_URL
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

# Runs a command whose talk is shown without the name in front, indented under what it is.
step() {
    printf '  %-9s' "$1"
    shift
    "$@" 2>"$room/talk" || { echo "failed:"; cat "$room/talk"; exit 1; }
}

# Shows lines of the talk: the first beside the step's name, the others below it.
talk() {
    sed -nE "$1" "$room/talk" | sed 's/^[a-z]*: //; 2,$s/^/           /'
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

    step parse parse >records.ndjson
    talk 's/^parse: ([a-z_]+): ([0-9]+) records of ([0-9]+) items in ([0-9]+) files?; (.*)/\1: \3 items, \2 records, \5/p'
    step validate validate --rejects rejects.ndjson <records.ndjson >good.ndjson
    talk '/warning:|came in/p'
    step bundle bundle -o "$example.bundle" <good.ndjson >id
    echo "ID $(cat id)"

    step 'dry run' apply "$example.bundle" --dry-run
    talk '/nothing written/p'
    step apply apply "$example.bundle" >run
    run=$(cat run)
    talk '/ records: /p'
    echo "           run $run"
    step again apply "$example.bundle" >/dev/null
    talk '/ records: /p'
    step verify verify "$run"
    talk '$p'
    step rollback rollback "$run"
    talk '/Rolled back|are what they were/p'

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
