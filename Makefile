# wl needs Go, make and git; the race detector in "make test" also needs a C
# compiler. Nothing here needs root.

GO ?= go
CROSS = linux/amd64 linux/arm64 darwin/arm64 windows/amd64

.PHONY: all build man demo test fmt fmt-check vet lint race whole histories cross bench soak clean

all: build

build: ## bin/wl
	$(GO) build -o bin/wl ./cmd/wl

man: build ## bin/man: the manual pages, made from the commands
	bin/wl __man bin/man

demo: ## the main job for real, with Go's own sources
	$(GO) run ./tests/demo

test: fmt-check vet lint race whole histories cross ## all that a change must pass

fmt:
	gofmt -w $$(git ls-files '*.go')

fmt-check:
	@echo "gofmt"
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "not formatted (make fmt does it):"; echo "$$files"; exit 1; fi

vet:
	$(GO) vet ./...

lint:
	$(GO) tool staticcheck ./...

# The race detector looks at every package; of the scripts of the command line, which run wl itself and take three times as
# long with it, at some. Without a C compiler it cannot be built.
RACE = $$($(GO) list ./... | grep -v -e '/cmd/wl$$' -e '/tests$$')
race:
	@cc=$$($(GO) env CC); set -- $$cc; \
	if [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v "$$1" >/dev/null 2>&1; then \
		echo "$(GO) test -race"; $(GO) test -race -timeout 9m $(RACE) && \
		$(GO) test -race -timeout 9m -run 'TestScripts/(trip|interrupted|wants)$$' ./cmd/wl; \
	else \
		echo "no C compiler: the tests run without the race detector"; \
		echo "$(GO) test"; $(GO) test -timeout 9m $(RACE); \
	fi

whole: ## the command line and whole trips
	$(GO) test -timeout 20m ./cmd/wl ./tests

histories: ## 300 random histories of the whole loop beside a plain copy: WL_HISTORIES=N for more
	$(GO) test -count=1 -timeout 24h ./tests/model

cross:
	@for t in $(CROSS); do \
		echo "build $$t"; \
		CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build ./... || exit 1; \
	done

bench: ## speed, side by side with restic where that is installed
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 60m ./...

soak: ## the long tests: SIGKILL, 2 GiB files, memory, all scripts on all file systems
	WL_SOAK=1 $(GO) test -timeout 120m -v -count=1 ./tests/
	WL_SOAK=1 $(GO) test -timeout 24h -v -count=1 ./tests/model/
	WL_SOAK=1 $(GO) test -timeout 30m -v -count=1 -run TestScripts ./cmd/wl/

clean:
	rm -rf bin demo
