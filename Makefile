# brevet: everything here needs only Go and make. What the interoperability
# tests need besides (openssl, curl) is installed by `make peers` where it can be.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.release=$(VERSION)
BUILD    = CGO_ENABLED=0 $(GO) build -trimpath -ldflags='$(LDFLAGS)'
FUZZTIME ?= 1m
RACED    = ./agents/... ./ca ./crl ./tokens ./client ./storage/bolt ./storage/audit ./server

.PHONY: build test lint fuzz bench size cross peers clean

build: ## the release binary, bin/brevet
	$(BUILD) -o bin/brevet ./cmd/brevet

test: peers lint ## all tests, with the race detector where it pays
	$(GO) build ./...
	$(GO) test -timeout 10m ./...
	@if command -v $${CC:-cc} >/dev/null; then set -x; \
	  $(GO) test -timeout 10m -race -short $(RACED); \
	elif [ "$$CI" = true ]; then echo 'the race detector needs a C compiler'; exit 1; \
	else echo 'SKIPPED: the race detector needs a C compiler'; fi

lint: ## formatting, vet, staticcheck; known vulnerabilities where the database can be reached
	@test -z "$$(gofmt -l . )" || { gofmt -l .; echo 'run gofmt -w on these files'; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@out=$$($(GO) tool govulncheck ./... 2>&1); code=$$?; \
	 case "$$out" in \
	  *'fetching vulnerabilities'*) echo 'SKIPPED: govulncheck cannot reach the vulnerability database from here';; \
	  *) echo "$$out"; exit $$code;; esac

fuzz: ## every fuzz target for FUZZTIME (1m)
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg || exit 1; \
	  done; done

bench: ## benchmarks, each beside its references
	$(GO) test -run '^$$' -bench . -benchmem ./...

size: build ## size of the binary, memory when idle, time from start to ready
	@ls -l bin/brevet | awk '{printf "binary %.1f MB\n", $$5/1e6}'
	@$(GO) test -run '^$$' -bench '^BenchmarkStart$$' -benchtime 5x ./cmd/brevet | grep -E '^Bench'

cross: ## that every platform builds
	@for p in linux/amd64 linux/arm64 linux/arm darwin/amd64 darwin/arm64; do \
	  echo $$p; GOARM=7 GOOS=$${p%/*} GOARCH=$${p#*/} $(BUILD) -o /dev/null ./cmd/brevet || exit 1; done

peers: ## installs the programs that interoperability tests talk to, where it can
	@for p in openssl curl; do command -v $$p >/dev/null || missing="$$missing $$p"; done; \
	 if [ -n "$$missing" ]; then \
	   if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq $$missing; \
	   else echo "SKIPPED: tests that need$$missing: install them, or run as root"; fi; fi

clean:
	rm -rf bin
