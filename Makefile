# brevet: everything here needs only Go and make. What the interoperability
# tests need besides (openssl, curl, ACME clients and a reference server) is
# installed by `make peers` where it can be.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -funcalign=1 -X main.release=$(VERSION)
# Inlining and functions that begin at every 32nd octet make a program larger. Inlining is
# left out (-l) where it does not pay: in most packages of others, and in ours that wait for
# the disk, for people or for a network. It stays on the way of tokens, introspection and TLS.
# Of the flags that fit a package, the last ones count. go.opentelemetry.io is larger without
# inlining.
COLD     = google.golang.org/ github.com/ go.step.sm/ go.yaml.in/ golang.org/x/net/ text/ regexp/ encoding/gob/ \
	crypto/x509/ encoding/asn1/ encoding/pem/ encoding/xml/ mime/ os/ math/big/ compress/ go/ html/ archive/
OURS     = github.com/brevet-ca/brevet/
WARM     = github.com/cloudflare/ $(OURS)
GCFLAGS  = $(COLD:%=-gcflags='%...=-l') $(WARM:%=-gcflags='%...=') \
	$(patsubst %,-gcflags='$(OURS)%/...=-l',cmd client server agents ca crl pqc/inspect storage/audit)
BUILD    = CGO_ENABLED=0 $(GO) build -trimpath -ldflags='$(LDFLAGS)' $(GCFLAGS)
BINARY   = bin/brevet
FUZZTIME ?= 1m
# smallstep's ACME brings four storage engines along; brevet has its own. The two tags
# after them leave out what brevet does not use: manual pages by urfave/cli, which it makes
# from its help, and traces of gRPC.
TAGS     = nobadger,nomysql,nopgx,nobbolt,urfave_cli_no_docs,grpcnotrace
export GOFLAGS += -tags=$(TAGS)

# Tests have two forms. go test runs the short one; with BREVET_LONG=1 in the
# environment it runs the long one: a thousand crashes instead of fifty, crowds
# of full size, every algorithm. Each form has an end. With CI=true, a test whose
# peer is missing fails instead of being skipped.
SYSTEM   = ./server/test/...
UNITS    = $$($(GO) list ./... | grep -v /server/test/)
RACED    = ./agents/... ./ca/... ./server/sinks ./crl/... ./tokens/... ./client ./storage/bolt ./storage/audit ./server ./server/admin/... ./server/test/storm

.PHONY: build test test-long lint fuzz bench size cross peers clean

build: ## the release binary, bin/brevet
	$(BUILD) -o $(BINARY) ./cmd/brevet

test: peers lint ## the short form of all tests, with the race detector where it pays
	$(GO) build ./...
	$(GO) test -timeout 5m $(UNITS)
	$(GO) test -timeout 5m $(SYSTEM)
	$(GO) test -timeout 5m -tags=$(TAGS),otel -run '^TestTraces' ./server
	BREVET_LONG=1 $(GO) test -timeout 5m -run '^TestReleaseIsSmall$$' ./cmd/brevet
	@if command -v $${CC:-cc} >/dev/null; then set -x; \
	  $(GO) test -timeout 10m -race -short $(RACED); \
	elif [ "$$CI" = true ]; then echo 'the race detector needs a C compiler'; exit 1; \
	else echo 'SKIPPED: the race detector needs a C compiler'; fi

# Storms and crashes measure times, so their packages do not run at once.
test-long: peers lint ## the long form of all tests, and each fuzz target for 10 seconds
	BREVET_LONG=1 $(GO) test -timeout 60m $(UNITS)
	BREVET_LONG=1 $(GO) test -timeout 60m -p 1 $(SYSTEM)
	$(MAKE) fuzz FUZZTIME=10s

lint: ## formatting, vet, staticcheck; known vulnerabilities where the database can be reached
	@test -z "$$(gofmt -l . )" || { gofmt -l .; echo 'run gofmt -w on these files'; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) vet -C dist/tools ./...
	@check=$$($(GO) tool -n staticcheck) && cd dist/tools && $$check ./...
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

include dist/release.mk

# jose needs a node from 24.7 on for ML-DSA: npm has it as a package, too.
NPM      = jose@6.2.18 @noble/post-quantum@0.7.1 openid-client@6.9.0 oauth4webapi@3.8.8 @modelcontextprotocol/sdk@1.32.2 @apidevtools/swagger-parser@13.0.0 @cedar-policy/cedar-wasm@4.13.0
NPM_NODE = node -e 'crypto.subtle.generateKey("ML-DSA-44", false, ["sign"]).catch(() => console.log("node-" + process.platform + "-" + process.arch + "@24.11.0"))' 2>/dev/null
PEERS = openssl curl node:nodejs npm unshare:util-linux ocsptool:gnutls-bin certbot lego dehydrated uacme pebble pebble-challtestsrv:pebble \
	faketime nginx haproxy apache2 rsyslogd:rsyslog-gnutls lognormalizer:liblognorm-utils psql:postgresql javac:default-jdk-headless caddy chromium-headless-shell promtool:prometheus systemd-analyze:systemd man:man-db lintian debootstrap rpm podman runc
# The agent in docs/agents needs these modules.
PYTHON = for python in python3 /usr/bin/python3; do $$python -c 'import cryptography, requests' 2>/dev/null && break; done
# nginx passes TCP through by a module of its own.
STREAM = test -e /usr/lib/nginx/modules/ngx_stream_module.so
# Debian starts the servers that it installs, unless this program refuses (invoke-rc.d(8)).
POLICY = /usr/sbin/policy-rc.d

peers: ## installs the programs that interoperability tests talk to, where it can
	@PATH="$$PATH:/usr/sbin"; for p in $(PEERS); do command -v $${p%:*} >/dev/null || missing="$$missing $${p#*:}"; done; \
	 $(PYTHON) || missing="$$missing python3-cryptography python3-requests"; \
	 $(STREAM) || missing="$$missing libnginx-mod-stream"; \
	 if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	   [ -e $(POLICY) ] || { trap 'rm -f $(POLICY)' EXIT; printf '#!/bin/sh\nexit 101\n' >$(POLICY); chmod 755 $(POLICY); }; \
	   apt-get update -qq; for p in $$missing; do DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$p; done; fi; \
	 $(PYTHON) || echo 'SKIPPED: the agent in Python: install python3-cryptography and python3-requests, or run as root where there is apt'; \
	 $(STREAM) || echo 'SKIPPED: tests of nginx as a proxy of TCP: install libnginx-mod-stream, or run as root where there is apt'; \
	 for p in $(PEERS); do command -v $${p%:*} >/dev/null || echo "SKIPPED: tests that need $${p%:*}: install $${p#*:}, or run as root where there is apt"; done
	@test -d bin/npm/node_modules/@modelcontextprotocol/sdk -a -d bin/npm/node_modules/@apidevtools/swagger-parser -a -d bin/npm/node_modules/@cedar-policy/cedar-wasm || { mkdir -p bin/npm && npm install --prefix bin/npm --ignore-scripts --no-audit --no-fund --silent $(NPM) $$($(NPM_NODE)); } || \
	 echo "SKIPPED: tests that need jose, @noble, openid-client, oauth4webapi, the MCP SDK, swagger-parser or cedar-wasm: npm cannot install them here"

clean:
	rm -rf bin dist/out
