# The commands of this project. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

BIN := tools/bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.released=$(VERSION)
PROFILE := cmd/server/release.pgo
GENERATED := internal/api/openapi.gen.go

FUZZTIME ?= 20s
BENCHTIME ?= 1s
ROUNDS ?= 9
RESULTS ?= docs/performance
KILLS ?= 200
RUNS ?= 2000
SEEDS ?= 3000
IMAGE ?= tutti:$(VERSION)

##@ Everyday

.PHONY: help
help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} \
	/^##@ / {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
	/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build and start the server, send it one example run, and stay up
	bin/server -demo

.PHONY: build
build: ## Build the server into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '$(LDFLAGS)' -o bin/server ./cmd/server

.PHONY: release
release: ## Build the server as it is shipped: optimised by a recorded profile, which takes some minutes
	@mkdir -p bin
	CGO_ENABLED=0 go build -buildvcs=false -trimpath -pgo $(PROFILE) -ldflags '$(LDFLAGS)' -o bin/server ./cmd/server

.PHONY: profile
profile: ## Record the profile that the release is optimised by
	go test -run '^$$' -bench Runs -benchtime 15s -cpuprofile $(PROFILE) -o /dev/null ./cmd/server

.PHONY: test
test: ## Run the tests
	go test ./...

.PHONY: fmt
fmt: $(BIN)/golangci-lint ## Format the code (gofumpt, goimports)
	$(BIN)/golangci-lint fmt

.PHONY: generate
generate: ## Generate the API's Go types from openapi.yaml
	go generate ./...

##@ Checks

.PHONY: check
check: lint generated tidy race ## What CI checks, without its outside suites

.PHONY: race
race: ## Run the tests under the race detector
	go test -race ./...

.PHONY: lint
lint: $(BIN)/golangci-lint ## Vet and lint
	go vet ./...
	$(BIN)/golangci-lint run

.PHONY: generated
generated: $(BIN)/oapi-codegen ## Check that the generated code is current
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	cp internal/api/oapi*.yaml "$$fresh"; \
	cd "$$fresh" && "$(CURDIR)/$(BIN)/oapi-codegen" -config oapi.yaml "$(CURDIR)/openapi.yaml"; \
	diff -u "$(CURDIR)/$(GENERATED)" $(notdir $(GENERATED)) || { echo '$(GENERATED) is not current: run make generate' >&2; exit 1; }

.PHONY: tidy
tidy: ## Check that both go.mod files are tidy and the modules are what their sums say
	go mod tidy -diff
	go mod verify
	go -C tools mod tidy -diff
	go -C tools mod verify

.PHONY: openapi
openapi: test/node_modules ## Lint openapi.yaml
	cd test && REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx --no-install redocly lint --config redocly.yaml ../openapi.yaml

.PHONY: integration
integration: test/node_modules $(BIN)/promtool ## Run the suites that need Node, promtool, strace or the image's build
	go test -tags integration -count=1 $$(go list -tags integration ./test/... | grep -Ev '/(kill|overload)$$')

.PHONY: kill
kill: ## Kill the server KILLS times (200) over RUNS runs (2000) and see that nothing is lost
	go test -tags integration -count=1 -v ./test/kill -kill.kills $(KILLS) -kill.runs $(RUNS)

.PHONY: simulate
simulate: ## Play SEEDS worlds (3000) in virtual time, with storage that fails and processes that die
	go test -count=1 -timeout 60m ./test/simulation -simulation.seeds $(SEEDS)

.PHONY: bugs
bugs: ## Make deliberate mistakes in the product, one by one, and see a test notice each
	go test -tags integration -count=1 -v -run '^TestBugs$$' ./test/simulation | grep -v '^ *=== '

.PHONY: overload
overload: ## Ask more of the server than it can do, and see that it does as much as before and refuses the rest
	go test -tags integration -count=1 -v ./test/overload

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (20s)
	@for pkg in $$(go list ./...); do \
		list=$$(go test -list '^Fuzz' "$$pkg"); \
		for target in $$(grep '^Fuzz' <<<"$$list" || true); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$pkg"; \
		done; \
	done

.PHONY: bench
bench: release ## Measure the service in ROUNDS rounds (9), as a table, and as RESULTS.json and .svg (docs/performance)
	go run ./bench -server bin/server -rounds $(ROUNDS) -json $(RESULTS).json -chart $(RESULTS).svg

.PHONY: share
share: ## Measure the core's and the expressions' share of the server's CPU
	go test -run '^$$' -bench Share -benchtime 8000x ./cmd/server

.PHONY: benchmarks
benchmarks: ## Run every Go benchmark for BENCHTIME (1s)
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

.PHONY: cover
cover: ## Measure what the tests cover
	go test -coverpkg ./internal/...,./cmd/... -coverprofile coverage.out ./...
	go tool cover -func coverage.out | tail -1

.PHONY: ci
ci: ## All that CI does (installs what it needs)
	.ci/run

##@ Shipping

.PHONY: docker
docker: ## Build the container image
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin coverage.out test/node_modules $(BIN)

# The tools have a go.mod of their own, so that theirs are no dependencies of the server.
$(BIN)/%: tools/go.mod tools/go.sum
	GOBIN="$(CURDIR)/$(BIN)" go install -modfile=tools/go.mod $(TOOL_$*)
	@touch $@

TOOL_golangci-lint := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
TOOL_oapi-codegen := github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen

# Debian has Prometheus's tool; nothing of the package is installed but that one file.
$(BIN)/promtool:
	@mkdir -p $(BIN); \
	if command -v promtool >/dev/null; then ln -sf "$$(command -v promtool)" $@; exit; fi; \
	dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; cd "$$dir"; \
	apt-get -o APT::Sandbox::User=root download -qq prometheus; \
	dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool; \
	install -m 755 usr/bin/promtool "$(CURDIR)/$@"

test/node_modules: test/package.json test/package-lock.json
	cd test && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@
