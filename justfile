# The commands of the house. `just` alone lists them.

_default:
    @just --list

# Exactly what CI runs.
ci:
    .ci/run

# All tests; one line of totals at the end.
test:
    ./tests/run

# The server on http://localhost:8080, with the built-in emulator unless SONIC_BACKEND says bedrock.
run *ARGS:
    cargo run --release -- {{ARGS}}

# Format everything.
fmt:
    cargo fmt --all

# The lints that CI insists on.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Licences, banned crates, sources.
deny:
    cargo deny check bans licenses sources

# The image, stamped with the time of its build.
image:
    docker build --build-arg BUILD_TIME="$(date --utc +%Y-%m-%dT%H:%M:%SZ)" -t voice-s2s .

# The CloudFormation template anew, after a change in deploy/.
template:
    npm --prefix deploy run template
