#!/usr/bin/env bash
# status: thin over `orchestr8-index status`; options go there.
here="$(cd "$(dirname "$0")" && pwd)"
program="${VIRTUAL_ENV:-$here/.venv}/bin/orchestr8-index"
if [ ! -x "$program" ]; then
  echo "Not installed, so nothing runs: ./init.sh installs and starts." >&2
  exit 3
fi
exec "$program" status "$@"
