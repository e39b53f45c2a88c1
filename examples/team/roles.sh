#!/bin/sh
# Run once, by PostgreSQL's image, when its volume is empty: the role of workers. The servers' role owns the database.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/worker_password)" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
CREATE ROLE gatewright_worker LOGIN PASSWORD :'password';
SQL
