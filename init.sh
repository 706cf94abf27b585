#!/usr/bin/env bash
# Installs, starts the server and asks a first question. Options go to the server: --root DIR, --port N, --data-dir DIR.
# --connect enters it in the hosts that are found here (Claude Code, Codex, Cursor, VS Code, Gemini CLI).
fail() { printf '%s\n' "$*" >&2; exit 1; }
cd "$(dirname "$0")" || fail "The folder of init.sh cannot be entered: see who may read it, then run it again."
case " $* " in *" --help "* | *" -h "*)
  echo "./init.sh [--connect] [--root DIR]… [--port N] [--data-dir DIR]"
  echo "Installs into .venv, starts the server in the background and answers a first question."
  echo "--connect enters it in the MCP hosts that are found here."
  exit 0 ;;
esac
connect= options=()
for option in "$@"; do [ "$option" = --connect ] && connect=yes || options+=("$option"); done
set -- ${options[@]+"${options[@]}"}

scripts/install || fail "Nothing was started. Mend what the line above says, then run ./init.sh again."
here="$PWD"
program="${VIRTUAL_ENV:-$here/.venv}/bin/orchestr8-index"
[ -x "$program" ] || fail "Nothing was started: $program is missing. Remove ${program%/bin/*} and run ./init.sh again."
cd "${OLDPWD:-$here}" || fail "Nothing was started: the folder you stand in is gone. Go to another one and run init.sh from there."

"$program" up "$@" || exit $?
if [ -n "$connect" ]; then
  "$program" connect "$@" || fail "The server runs, but not every host knows it. Mend what the lines above say, then run: $program connect"
fi
question="Review this change for security problems before we release it"
printf '\nA first question: %s\n\n' "$question"
"$program" query "$@" --kind agent --limit 3 "$question" ||
  fail "The server runs, but did not answer. See why: $program status, and $program logs"
given="${*:+ $*}" # the same server is meant
others=$(sed -E 's/ --root[= ][^ ]+//g' <<<"$given")
cat <<TEXT

Ask your own with \`$program query "…"$given\`, or POST JSON-RPC to the address above (docs/methods.md has the methods).
Index your own trees with \`./stop.sh$given && ./init.sh$others --root DIR\`; \`$program doctor$given\` says what was mended or left out.
Look after it with \`./status.sh$given\`, and end it with \`./stop.sh$given\`.
TEXT
