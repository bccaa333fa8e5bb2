# `just` lists these. Each is a script or one command; CONTRIBUTING.md has them for those without just.

[private]
default:
    @just --list --unsorted

# Run a node
run *ARGS:
    cargo run --release -- {{ ARGS }}

# All tests
test *ARGS:
    cargo test --workspace {{ ARGS }}

# Protocol, engine and simulator alone: quick
test-core *ARGS:
    cargo test --workspace --no-default-features {{ ARGS }}

# Everything that has to hold before a commit
check:
    scripts/check

# What runs for every change
ci:
    .ci/run

# Format the code
format:
    cargo fmt --all

# Licences, banned crates and sources of dependencies
deny *ARGS:
    scripts/deny {{ ARGS }}

# Remove one defence after the other, and show that a test notices
mutate *ARGS:
    scripts/mutate {{ ARGS }}

# Count the instructions of the hot paths
instructions *ARGS:
    scripts/instructions {{ ARGS }}

# Whole nodes beside the bare limits
bench *ARGS:
    scripts/bench {{ ARGS }}

# The long versions of the tests
soak *ARGS:
    scripts/soak {{ ARGS }}

# Some connected nodes on this machine
cluster *ARGS:
    scripts/cluster {{ ARGS }}

# A scenario, on real nodes or --simulated
scenario *ARGS:
    scripts/scenario {{ ARGS }}

# The page in a real browser
browser-test *ARGS:
    scripts/browser-test {{ ARGS }}

# Clients made of a node's description of its API
clients:
    scripts/clients

# Generated requests to a node's API
api-fuzz *ARGS:
    scripts/api-fuzz {{ ARGS }}
