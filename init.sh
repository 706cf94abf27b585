#!/usr/bin/env bash
# Installs, starts the server and asks a first question. Options go to the server: --root DIR, --port N, --data-dir DIR.
# --connect enters it in the hosts that are found here (Claude Code, Codex, Cursor, VS Code, Gemini CLI).
cd "$(dirname "$0")" || exit 1
case " $* " in *" --help "* | *" -h "*)
  echo "./init.sh [--connect] [--root DIR]… [--port N] [--data-dir DIR]"
  echo "Installs into .venv, starts the server in the background and answers a first question."
  echo "--connect enters it in the MCP hosts that are found here."
  exit 0 ;;
esac
connect= options=()
for option in "$@"; do [ "$option" = --connect ] && connect=yes || options+=("$option"); done
set -- ${options[@]+"${options[@]}"}

if ! scripts/install; then
  echo "Nothing was started. Mend what the line above says, then run ./init.sh again." >&2
  exit 0
fi
here="$PWD"
program="${VIRTUAL_ENV:-$here/.venv}/bin/orchestr8-index"
cd "${OLDPWD:-$here}" || exit 1

"$program" up "$@" || exit $?
[ -z "$connect" ] || "$program" connect "$@"
question="Review this change for security problems before we release it"
printf '\nA first question: %s\n\n' "$question"
"$program" query "$@" --kind agent --limit 3 "$question"
cat <<TEXT

Ask your own with \`$program query "…"\`, or POST JSON-RPC to the address above (README.md has the methods).
Index your own trees with \`./stop.sh && ./init.sh --root DIR\`; \`$program doctor\` says what was mended or left out.
Look after it with ./status.sh, and end it with ./stop.sh.
TEXT
