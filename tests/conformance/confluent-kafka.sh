#!/usr/bin/env bash
# Puts confluent-kafka for Python into a virtual environment in the user's cache and prints its interpreter.
# What cannot be had ends it with one line on stderr.
set -euo pipefail
folder="${XDG_CACHE_HOME:-$HOME/.cache}/millrace/confluent-kafka"
if ! "$folder/bin/python" -c 'import confluent_kafka' 2>/dev/null; then
  command -v python3 >/dev/null || { echo 'there is no python3 here' >&2; exit 1; }
  python3 -m venv "$folder" >/dev/null 2>&1 || { echo 'python3 has no venv (Debian: python3-venv)' >&2; exit 1; }
  "$folder/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka==2.16.1' >/dev/null 2>&1 ||
    { echo 'confluent-kafka cannot be installed with pip' >&2; exit 1; }
fi
echo "$folder/bin/python"
