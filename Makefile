# One build configuration for everything: release, with testing enabled. `make test` compiles
# nothing again that `make demo` has built: `swift test` would add -enable-testing a second time,
# which is another command line to the build system, so that it is told not to. Tests run one after
# another: engines keep every core busy, and two at once wait for each other's workers.
SWIFT ?= swift
CONFIGURATION := -c release -Xswiftc -enable-testing
FORETOKEN = $(shell $(SWIFT) build $(CONFIGURATION) --show-bin-path)/foretoken
SOURCES := Sources Tests Examples Package.swift

.DEFAULT_GOAL := help
.PHONY: help setup build demo test neon mutants bench lossless format lint studio studio-test fuzz-api docs clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: ## Install the Debian packages that are missing
	@Scripts/setup.sh

build: setup ## Build the program
	$(SWIFT) build $(CONFIGURATION) --product foretoken

demo: build ## Fetch the default model, write text, compare 1 thread with 2, race copying
	@Scripts/demo.sh "$(FORETOKEN)"

test: neon mutants ## Run every test
	$(SWIFT) test $(CONFIGURATION) --disable-testable-imports --no-parallel

neon: ## Test the NEON kernels, under emulation where the processor has none
	@Scripts/setup.sh --test
	@Scripts/test-neon.sh

mutants: setup ## Test the kernel tests: planted faults must be found
	@Scripts/mutation-tests.sh

bench: build ## Measure kernels, the default model and speculation on this machine
	@"$(FORETOKEN)" bench kernels
	@echo
	@"$(FORETOKEN)" bench model
	@echo
	@"$(FORETOKEN)" bench spec --data Benchmarks/spec-bench-sample.jsonl --limit 1
	@echo
	@$(MAKE) --no-print-directory lossless

lossless: setup ## Compare every lossless method with plain decoding, on all models; takes an hour
	FORETOKEN_LOSSLESS_MODELS=all $(SWIFT) test $(CONFIGURATION) --disable-testable-imports \
	  --no-parallel --filter losslessness

format: ## Format the sources
	$(SWIFT) format --in-place --recursive --parallel $(SOURCES)

lint: ## Check the format of the sources
	$(SWIFT) format lint --strict --recursive --parallel $(SOURCES)
	@Scripts/embed-studio.py --check

fuzz-api: build ## Fuzz the API of a server on loopback, with 150 cases for each path and phase, a minute or two
	@Tests/ServerClients/serve-and-fuzz.sh "$(FORETOKEN)" 150

studio: ## Put the files of Sources/Server/Studio into the program
	@Scripts/embed-studio.py

studio-test: build ## Drive the server's page in a headless browser
	@Scripts/setup.sh --browser
	@python=$$(Scripts/client-venv.sh) && "$$python" Tests/ServerClients/studio_test.py "$(FORETOKEN)"

docs: build ## Write the API documentation to Documentation/
	@Scripts/docs.sh "$(dir $(FORETOKEN))"

clean: ## Remove everything that was built; models stay
	rm -rf .build Documentation
