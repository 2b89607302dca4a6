# syntax=docker/dockerfile:1
# Gatekeep in a container:
#
#   docker build -t gatekeep .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 8080:8080 \
#     -v "$PWD/gatekeep.yaml:/etc/gatekeep/gatekeep.yaml:ro" -v gatekeep:/var/lib/gatekeep \
#     -e GATEKEEP_SECRET -e GATEKEEP_GITHUB_CLIENT_SECRET gatekeep
#
# The configuration listens on 0.0.0.0:8080 (a port that needs no privilege), keeps `admin: 127.0.0.1:9900`, which is
# where the health check asks, and stores what must last with `store: { embedded: /var/lib/gatekeep }`.

FROM rust:1-bookworm AS build
# Pingora's zlib is built by cmake; the image brings the C compiler.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends cmake \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --profile dist --locked --bin gatekeep \
 && install -D target/dist/gatekeep /out/usr/local/bin/gatekeep \
 && install -d /out/var/lib/gatekeep

# Distroless rather than debian:bookworm-slim: Gatekeep needs glibc, libgcc and the CA certificates, all of them here;
# what a gateway facing the internet does not need, and what an intruder would look for, is a shell and a package manager.
FROM gcr.io/distroless/cc-debian12
COPY --from=build /out/usr/local/bin/gatekeep /usr/local/bin/gatekeep
# The one place Gatekeep writes to. A new volume takes over this owner.
COPY --from=build --chown=65532:65532 /out/var/lib/gatekeep /var/lib/gatekeep
USER 65532:65532
EXPOSE 8080 9900
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/gatekeep", "health", "http://127.0.0.1:9900/readyz"]
ENTRYPOINT ["/usr/local/bin/gatekeep"]
CMD ["run", "/etc/gatekeep/gatekeep.yaml"]
