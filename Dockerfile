# Voice S2S as one binary and its data. Build: docker build -t voice-s2s .
# Run against AWS: docker run -p 8080:8080 voice-s2s   (credentials come from the task role)
# Run without AWS: docker run -p 8080:8080 -e SONIC_BACKEND=emulator voice-s2s

# The AWS SDK crates ask for 1.94.1; the tag may be any newer stable.
ARG RUST_IMAGE=docker.io/library/rust:1-bookworm
ARG RUNTIME_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${RUST_IMAGE} AS chef
# cmake builds aws-lc, the TLS library's cryptography.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake \
 && rm -rf /var/lib/apt/lists/* \
 && cargo install --locked cargo-chef@0.1.78
WORKDIR /build

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
COPY --from=plan /build/recipe.json recipe.json
# The dependencies are a layer of their own: it is rebuilt when Cargo.lock changes only.
RUN cargo chef cook --release --locked --package voice-s2s --recipe-path recipe.json
COPY . .
ARG BUILD_TIME=""
RUN BUILD_TIME="${BUILD_TIME}" cargo build --release --locked --package voice-s2s

FROM ${RUNTIME_IMAGE} AS runtime
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 voice \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin voice \
 && install --directory --owner=10001 --group=10001 /app /app/data
WORKDIR /app
COPY --from=build /build/target/release/voice-s2s /usr/local/bin/voice-s2s
COPY static ./static
COPY tools ./tools
COPY workflows ./workflows
COPY prompts ./prompts

ENV HOST=0.0.0.0 \
    PORT=8080 \
    SONIC_BACKEND=bedrock \
    LOG=json

USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# Ignored by ECS, which has a health check of its own in the task definition; of use elsewhere.
HEALTHCHECK --interval=10s --timeout=4s --start-period=15s \
    CMD ["/usr/local/bin/voice-s2s", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/voice-s2s"]
