# syntax=docker/dockerfile:1
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
# test/image runs exactly this command, without Docker.
RUN CGO_ENABLED=0 go build -trimpath -pgo cmd/server/release.pgo -ldflags "-s -w -X main.released=${VERSION}" -o /out/server ./cmd/server
RUN mkdir /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/server /server
COPY --from=build /src/workflows /workflows
COPY --from=build --chown=nonroot:nonroot /out/data /data
ENV TUTTI_ADDR=:8080 \
    TUTTI_JOURNAL=sqlite:/data/tutti.db \
    TUTTI_WORKFLOWS=/workflows
VOLUME /data
EXPOSE 8080
USER nonroot:nonroot
# No shell is in the image: the binary asks its own /livez.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/server", "-healthcheck"]
ENTRYPOINT ["/server"]
