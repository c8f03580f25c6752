# Shared by the scripts in this folder; sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
# cargo's own answer honours CARGO_TARGET_DIR and the user's configuration.
target_dir() { cargo metadata --format-version 1 --no-deps --offline 2>/dev/null | sed -E 's/.*"target_directory":"([^"]+)".*/\1/'; }
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# The newest installed Postgres server's programs.
pg_bin() {
  local dir
  for dir in $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin 2>/dev/null | sort -Vr); do
    [ -x "$dir/initdb" ] && { echo "$dir"; return; }
  done
  dir=$(command -v initdb 2>/dev/null) && { dirname "$dir"; return; }
  return 1
}
