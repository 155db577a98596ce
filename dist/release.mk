# The files of a release, in dist/out/VERSION:
#
#	make release VERSION=v1.2.3 RELEASE_KEY=FILE
#
# The same commit gives the same files in any directory, with the same version of Go and
# GNU tar. All dates are that of the commit, or SOURCE_DATE_EPOCH.
OUT       = dist/out
STAGE     = $(OUT)/stage
RELEASE   = $(OUT)/$(VERSION)
PLATFORMS = linux/amd64 linux/arm64 linux/arm7 darwin/amd64 darwin/arm64
TOOLS     = bin/tools
# Tools have their own go.mod: nothing of them comes into brevet's.
TOOL      = GOFLAGS=-trimpath CGO_ENABLED=0 $(GO) build -C dist/tools -o $(CURDIR)/$(TOOLS)/
PACKVERSION = $(VERSION:v%=%)
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

.PHONY: dist release release-files tools

tools: ## nfpm, cyclonedx-gomod, and the programs in dist/tools
	$(TOOL) tool ./...

dist: build ## manual pages and completions, as packages have them, in dist/out
	@rm -rf $(OUT)/man $(OUT)/completions && mkdir -p $(OUT)/man $(OUT)/completions
	bin/brevet __man $(OUT)/man
	bin/brevet completion bash >$(OUT)/completions/brevet
	bin/brevet completion zsh >$(OUT)/completions/_brevet
	bin/brevet completion fish >$(OUT)/completions/brevet.fish

release: release-files ## all files of a release, and their checksums, signed by RELEASE_KEY
	@test -n "$(RELEASE_KEY)" || { echo 'RELEASE_KEY=FILE must name a key that $(TOOLS)/sums key has made'; exit 1; }
	$(TOOLS)/sums sign $(RELEASE_KEY) $(RELEASE)
	@ls -l $(RELEASE)

release-files: dist tools
	@case "$(VERSION)" in v[0-9]*) ;; *) echo 'VERSION must be such as v1.2.3'; exit 1;; esac
	@rm -rf $(STAGE) $(RELEASE) && mkdir -p $(STAGE)/man $(RELEASE)
	@for page in $(OUT)/man/*; do gzip -9n <$$page >$(STAGE)/man/$${page##*/}.gz || exit 1; done
	@gzip -9n <CHANGELOG.md >$(STAGE)/NEWS.gz
	@printf 'brevet (%s) unstable; urgency=medium\n\n  * See NEWS.gz.\n\n -- brevet developers <developers@brevet.example>  %s\n' \
	  $(PACKVERSION) "$$(LC_ALL=C date -u -d @$(SOURCE_DATE_EPOCH) '+%a, %d %b %Y %H:%M:%S +0000')" | gzip -9n >$(STAGE)/changelog.gz
	@for p in $(PLATFORMS); do $(MAKE) --no-print-directory $(RELEASE)/$$p || exit 1; done
	$(TOOLS)/image -version $(VERSION) -time $(SOURCE_DATE_EPOCH) -out $(RELEASE)/brevet-$(VERSION)-oci.tar \
	  $(foreach p,$(filter linux/%,$(PLATFORMS)),$(patsubst linux/arm7,linux/arm/v7,$(p))=$(STAGE)/$(subst /,-,$(p))/brevet)
	@$(TOOLS)/cyclonedx-gomod bin -json -noserial -version $(VERSION) $(STAGE)/linux-amd64/brevet >$(STAGE)/sbom
	@sed "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$$(date -u -d @$(SOURCE_DATE_EPOCH) +%FT%TZ)\"/" $(STAGE)/sbom >$(RELEASE)/brevet-$(VERSION).cdx.json

# One platform: the binary, a tar file, and the packages if it is Linux. arm7 is what
# nfpm calls ARMv7.
$(RELEASE)/%:
	@mkdir -p $(STAGE)/$(subst /,-,$*)
	GOARM=7 GOOS=$(*D) GOARCH=$(patsubst arm7,arm,$(*F)) $(BUILD) -buildvcs=false -o $(STAGE)/$(subst /,-,$*)/brevet ./cmd/brevet
	@tar --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
	  --transform='s,^,brevet-$(VERSION)/,' -cf - -C $(STAGE)/$(subst /,-,$*) brevet -C $(CURDIR) LICENSE README.md CHANGELOG.md \
	  dist/systemd -C $(OUT) man completions | gzip -9n >$(RELEASE)/brevet-$(VERSION)-$(subst /,-,$*).tar.gz
	@if [ $(*D) = linux ]; then for kind in deb rpm; do \
	  ARCH=$(*F) VERSION=$(PACKVERSION) $(TOOLS)/nfpm package -f dist/package/nfpm.yaml -p $$kind -t $(RELEASE) || exit 1; done; fi
