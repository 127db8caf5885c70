# Each recipe is a few plain lines: without just, type them yourself.

# List the recipes
default:
    @just --list --unsorted

# Run both examples from source to rollback in a temporary folder, and tell the story
demo:
    cargo build --locked --quiet --workspace --bins
    examples/demo.sh

# Build the programs, then run all tests; nothing but a Rust toolchain is needed
test *ARGS:
    cargo build --locked --workspace --bins
    cargo test --locked --workspace {{ARGS}}

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
