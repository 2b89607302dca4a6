# syntax=docker/dockerfile:1
# Gatekeep in a container:
#
#   docker build -t gatekeep .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 8080:8080 \
#     -v "$PWD/gatekeep.yaml:/etc/gatekeep/gatekeep.yaml:ro" \
#     -e GATEKEEP_SECRET -e GATEKEEP_GITHUB_CLIENT_SECRET gatekeep
#
# The configuration listens on 0.0.0.0:8080 (a port that needs no privilege) and has `admin: 127.0.0.1:9900`, where the
# health check asks. The root file system may be read-only: only the embedded store writes, to a directory of its own, as in
# `-v gatekeep:/var/lib/gatekeep` with `store: { embedded: /var/lib/gatekeep }` (a directory of the host's belongs to user 65532).

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
 && install -D target/dist/gatekeep /out/usr/local/bin/gatekeep

# Debian's slim image and the CA certificates: glibc and libgcc of the very release that built the binary.
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
# A volume that is new takes over whose the directory is.
RUN install --directory --owner=65532 --group=65532 --mode=0700 /var/lib/gatekeep
COPY --from=build /out/usr/local/bin/gatekeep /usr/local/bin/gatekeep
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/gatekeep", "health", "http://127.0.0.1:9900/readyz"]
ENTRYPOINT ["/usr/local/bin/gatekeep"]
CMD ["run", "/etc/gatekeep/gatekeep.yaml"]
