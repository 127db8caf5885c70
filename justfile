# Each recipe is a few plain lines: without just, type them yourself.

# List the recipes
default:
    @just --list --unsorted

# Run both examples from source to rollback in a temporary folder, and tell the story
demo:
    cargo build --locked --quiet --workspace --bins
    examples/demo.sh

# Build the programs, then run all tests; a Rust toolchain is needed, and strace for the faults
test *ARGS: crash
    cargo build --locked --workspace --bins
    cargo test --locked --workspace {{ARGS}}

# Build the programs with crash points (store/crash) and lay them aside, for the fault suite
[private]
crash:
    cargo build --locked --workspace --bins --features store/crash
    mkdir -p "${CARGO_TARGET_DIR:-target}/debug/crash"
    cd "${CARGO_TARGET_DIR:-target}/debug" && cp apply bundle rollback crash/

# Put in every fault, the long form: more pairs, power cuts; as root, with strace and e2fsprogs
faults *ARGS: crash
    cargo build --locked --workspace --bins
    SWITCHBACK_FAULTS=full cargo test --locked -p tests --test faults -- {{ARGS}}

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
    UPDATE_SNAPSHOTS=1 cargo test --locked -p tests --test pipeline help
    UPDATE_SCHEMA=1 cargo test --locked -p contract --test schema

# Measure speed and memory of each stage with 100,000 and 1,000,000 rows
bench *ROWS:
    cargo build --locked --release --workspace --bins
    cargo run --locked --release --quiet -p tests --bin bench -- {{ROWS}}

# All that CI runs
ci:
    .ci/run
