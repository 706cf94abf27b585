#!/usr/bin/env bash
# stop: thin over `orchestr8-index down`; options go there.
here="$(cd "$(dirname "$0")" && pwd)"
program="${VIRTUAL_ENV:-$here/.venv}/bin/orchestr8-index"
if [ ! -x "$program" ]; then
  echo "Not installed, so nothing runs: ./init.sh installs and starts." >&2
  exit 0
fi
exec "$program" down "$@"
