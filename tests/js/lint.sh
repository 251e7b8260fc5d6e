#!/bin/sh
# Lint the JavaScript with Biome, which is installed here from package-lock.json, once.
cd "$(dirname "$0")/../.." || exit
if ! command -v npm >/dev/null 2>&1; then
  echo "!!! SKIPPED: no npm here: the JavaScript is not linted (install Node.js)"
  exit 0
fi
lock=tests/js/package-lock.json
mark=tests/js/node_modules/.installed
if ! cmp -s "$lock" "$mark"; then
  echo "installing what tests/js needs ..."
  npm ci --prefix tests/js --no-audit --no-fund --silent || exit
  cp "$lock" "$mark"
fi
said=$(tests/js/node_modules/.bin/biome lint --error-on-warnings --colors=off "$@" 2>&1) || { printf '%s\n' "$said"; exit 1; }
