#!/usr/bin/env bash
# EXPLAIN (ANALYZE, BUFFERS) of every analytics view, whole, on the database that PGDATABASE and the like name. Plans go to
# the folder given, a line a view with its time to standard output.
set -euo pipefail
out=${1:?a folder for the plans}
mkdir -p "$out"
views=${2:-$(psql -Atc "SELECT table_name FROM information_schema.views WHERE table_schema = 'analytics_v1' ORDER BY 1")}
for view in $views; do
    limit=
    # Views with a row an answer are read by page.
    case $view in predictions | candidates | levels | shadows) limit="ORDER BY ${3:-day} DESC LIMIT 100" ;; esac
    psql -Atq -v ON_ERROR_STOP=0 \
        -c "SET statement_timeout = '20min'" -c "SET work_mem = '256MB'" -c "SET jit = off" \
        -c "EXPLAIN (ANALYZE, BUFFERS, SETTINGS) SELECT * FROM analytics_v1.$view $limit" >"$out/$view.txt" 2>&1 || true
    printf '%-24s %s\n' "$view" "$(grep -E '^Execution Time|ERROR' "$out/$view.txt" || echo failed)"
done
