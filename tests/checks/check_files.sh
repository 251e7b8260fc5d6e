#!/bin/sh
# Check what is no Python: spelling, shell scripts, workflows, forms, the image and the compose file. $1 is the
# environment's bin directory. Everything runs offline, from the schemas that the tools bring along.
cd "$(dirname "$0")/../.." || exit
bin=$1
failed=0

check() {
  said=$("$@" 2>&1) || { printf '%s\n' "$said"; failed=1; }
}

check "$bin/codespell"
check "$bin/shellcheck" .ci/run tests/*.sh tests/*/*.sh
check "$bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml
check "$bin/check-jsonschema" --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
check "$bin/check-jsonschema" --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
check "$bin/check-jsonschema" --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
check "$bin/check-jsonschema" --builtin-schema vendor.dependabot .github/dependabot.yml
check "$bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml
check "$bin/zizmor" --offline --quiet --no-progress --persona=pedantic .github
if [ -x "$bin/hadolint" ]; then
  check "$bin/hadolint" deploy/Dockerfile
else
  echo "!!! SKIPPED: no hadolint for this system: deploy/Dockerfile is not linted"
fi
exit $failed
