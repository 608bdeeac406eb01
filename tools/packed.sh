#!/usr/bin/env bash
# Packs the package as it is published, installs it into an empty folder, and uses it there as its users will.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
platform=
trap '[ -n "$platform" ] && kill "$platform" 2>/dev/null; rm -rf "$work"' EXIT
# The published package wants Node 24 or newer; the repository has one pinned.
export PATH="$root/node_modules/.bin:$PATH"

(cd "$root" && npm run --silent build)
(cd "$work" && npm pack --silent "$root/dist" >/dev/null)

mkdir "$work/app" && cd "$work/app"
npm install --silent "$work"/millrace-*.tgz
echo "installed: millrace $(npx millrace --version), $(du -sm node_modules | cut -f1) MB with its dependencies"

npx millrace init >/dev/null
npm install --silent
npm test --silent

node_modules/.bin/millrace dev --json --api-port 0 --edge-port 0 >"$work/ready" 2>"$work/log" &
platform=$!
for _ in $(seq 300); do
  [ -s "$work/ready" ] && break
  sleep 0.1
done
edge=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1], "utf8").split("\n")[0]).edge' "$work/ready")
answer=$(curl --silent --fail -d '{"name":"Ada"}' "$edge/greetings")
echo "the new app answers: $answer"
kill -INT "$platform"
wait "$platform"
platform=
echo 'the packed package works'
