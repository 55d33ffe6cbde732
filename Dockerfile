# Voice S2S as one program and its data, on a base without a shell.
#
# Build: docker build -t voice-s2s .            both kinds of processor: deploy/push
# Run against AWS: docker run -p 8080:8080 -e API_KEYS voice-s2s   (the task role signs)
#        docker build -t voice-s2s --target hearing .    with what the emulator understands speech
# Run without AWS: docker run --network host -e HOST=127.0.0.1 -e SONIC_BACKEND=emulator voice-s2s
#
# It runs with `--read-only`: what it writes goes to the volume /app/data, and the emulator's voice
# to /tmp or /dev/shm. docs/OPERATIONS.md says how it is deployed.

# The AWS SDK crates ask for 1.94.1; the tag may be any newer stable. Its Debian must not be newer
# than that of the runtime, whose C library the program uses.
ARG RUST_IMAGE=docker.io/library/rust:1-bookworm
# The C library, libgcc and certificates, and nothing else: no shell, no package manager. A release
# names both images by digest: --build-arg RUNTIME_IMAGE=gcr.io/distroless/cc-debian12@sha256:...
# (`docker buildx imagetools inspect gcr.io/distroless/cc-debian12` shows the present one).
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS chef
# cargo-auditable writes the list of crates into the program; auditable2cdx makes an SBOM of it.
RUN cargo install --locked cargo-chef@0.1.78 cargo-auditable@0.7.7 auditable2cdx@0.1.0
WORKDIR /build

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
COPY --from=plan /build/recipe.json recipe.json
# The dependencies are a layer of their own: it is rebuilt when Cargo.lock changes only.
RUN cargo chef cook --profile dist --locked --package voice-s2s --recipe-path recipe.json
COPY . .
ARG BUILD_TIME=""
RUN BUILD_TIME="${BUILD_TIME}" cargo auditable build --profile dist --locked --package voice-s2s

# What goes into the image is put together here, where there is a shell.
FROM build AS image
WORKDIR /image/root
RUN install -D --target-directory=usr/local/bin /build/target/dist/voice-s2s \
 && mkdir app ../data && cp -r /build/static /build/tools /build/workflows /build/prompts app \
 && install -D --mode=644 --target-directory=usr/share/doc/voice-s2s \
      /build/LICENSE-MIT /build/LICENSE-APACHE /build/THIRD_PARTY.md \
 && auditable2cdx /build/target/dist/voice-s2s > usr/share/doc/voice-s2s/sbom.cdx.json
# The licences and notices of every crate that is linked; that of the synthetic voice is demanded
# by THIRD_PARTY.md, and its absence is an error.
WORKDIR /build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3003
RUN notices=/image/root/usr/share/doc/voice-s2s/crates \
 && cargo tree --locked --offline --package voice-s2s --edges normal --prefix none \
  | sort --unique | while read -r name version _; do \
      for crate in "${CARGO_HOME}"/registry/src/*/"${name}-${version#v}"; do \
        [ -d "${crate}" ] || continue; \
        mkdir -p "${notices}/${name}"; \
        cd "${crate}"; \
        find . -type f \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' \) \
          -exec cp --parents --target-directory="${notices}/${name}" {} +; \
      done; \
    done \
 && test -s "${notices}/ttspico-sys/build/pico/lib/NOTICE"

FROM ${RUNTIME_IMAGE} AS runtime
WORKDIR /app
COPY --from=image /image/root /
COPY --from=image --chown=10001:10001 /image/data /app/data

ENV HOST=0.0.0.0 \
    PORT=8080 \
    SONIC_BACKEND=bedrock \
    DATA_DIR=/app/data \
    LOG=json

USER 10001:10001
# A volume that is mounted here takes the folder's owner from the image; without this line ECS
# would give it to root.
VOLUME ["/app/data"]
EXPOSE 8080
STOPSIGNAL SIGTERM
# Ignored by ECS, which has a health check of its own in the task definition; of use elsewhere.
HEALTHCHECK --interval=10s --timeout=4s --start-period=15s \
    CMD ["/usr/local/bin/voice-s2s", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/voice-s2s"]

# The acoustic model and the dictionary, from Debian's package; its language models are not needed.
FROM ${RUST_IMAGE} AS model
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends pocketsphinx-en-us \
 && rm -rf /var/lib/apt/lists/*

FROM runtime AS hearing
COPY --from=model /usr/share/pocketsphinx/model/en-us/en-us /usr/share/pocketsphinx/model/en-us/en-us
COPY --from=model /usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict /usr/share/pocketsphinx/model/en-us/
COPY --from=model /usr/share/doc/pocketsphinx-en-us/copyright /usr/share/doc/pocketsphinx-en-us/

# What is built when no target is named.
FROM runtime
