# syntax=docker/dockerfile:1
# The geosurge binary in a small image that runs as an ordinary user. Build with: docker compose build

FROM node:22-bookworm-slim AS web
WORKDIR /src/services/web
COPY services/web/package.json services/web/package-lock.json ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY services/web ./
RUN npm run --silent build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
COPY --from=web /src/services/web/dist services/web/dist
# The caches keep the dependencies of an earlier build; the binary is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target SQLX_OFFLINE=true cargo build --release --locked --bin geosurge \
    && cp /target/release/geosurge /usr/local/bin/geosurge

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -qy --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 geosurge \
    && useradd --uid 10001 --gid geosurge --home-dir /var/lib/geosurge --create-home geosurge
COPY --from=build /usr/local/bin/geosurge /usr/local/bin/geosurge
USER geosurge
WORKDIR /var/lib/geosurge
VOLUME /var/lib/geosurge
EXPOSE 8080
ENTRYPOINT ["geosurge"]
CMD ["serve"]
