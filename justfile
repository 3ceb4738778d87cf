# What CI does, and the other things people do here. `just` lists them.

default:
    @just --list

# Everything that CI checks.
ci:
    .ci/run

# The program, in a debug build: `just fab --list`.
fab *ARGS:
    cargo run -q --bin fab -- {{ARGS}}

# A rolling deploy on an embedded fleet.
demo:
    cargo run --release --bin fab -- --demo

# The whole test suite.
test *ARGS:
    scripts/test {{ARGS}}

# Format and lint.
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets --all-features -- -D warnings

# Rewrite generated pages (docs/settings.md, schemas).
generate:
    UPDATE=1 cargo test -q -p fabric-config --test reference

# The API documentation.
doc:
    cargo doc --workspace --no-deps --all-features --open

# The benchmark: docs/benchmarks.md says how it works; `just bench --list` what there is.
bench *ARGS:
    cargo build --release -p fabric-cli -p fabric-benches -p tests --bin fab --bin fleet --bin bench --bin floor --bin idle
    target/release/bench {{ARGS}}

# Instruction counts of fixed small runs, by callgrind.
instructions:
    scripts/instructions

# How large the program is, and what is in it.
size:
    scripts/size

# Install the programs that the benchmark compares with.
setup-peers:
    scripts/setup-peers
