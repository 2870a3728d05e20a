#!/usr/bin/env bash
# Runs the conformance tests against Debian's coturn on free loopback ports and
# prints which of them it does not pass. Arguments go to `cargo nextest run`,
# for example a part of a test's name.
#
# It is how the table in docs/standards.md was made; ./check does not call it.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v turnserver > /dev/null || {
  echo "coturn is missing: apt-get install coturn" >&2
  exit 2
}

work=$(mktemp -d)
server=""
# shellcheck disable=SC2317 # called by the trap
finish() {
  if [ -n "$server" ]; then kill "$server" 2> /dev/null || true; fi
  wait 2> /dev/null || true
  rm -rf "$work"
}
trap finish EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 \
  -subj "/CN=localhost" -keyout "$work/key.pem" -out "$work/cert.pem" 2> /dev/null

# Starts coturn on a port of its own; ports taken by others show as a failed start.
start() {
  port=$((20000 + RANDOM % 10000))
  tls_port=$((port + 1))
  : > "$work/log"
  turnserver -n --log-file stdout --simple-log --no-cli --no-software-attribute \
    --pidfile "$work/pid" --userdb "$work/db" \
    --listening-ip 127.0.0.1 --listening-ip ::1 \
    --listening-port "$port" --tls-listening-port "$tls_port" \
    --relay-ip 127.0.0.1 --relay-ip ::1 --allow-loopback-peers --no-rfc5780 \
    --cert "$work/cert.pem" --pkey "$work/key.pem" \
    --lt-cred-mech --realm example.org \
    --user "alice:alice's long password" --user "bob:bob's long password" \
    > "$work/log" 2>&1 &
  server=$!
  for _ in $(seq 50); do
    if ! kill -0 "$server" 2> /dev/null; then return 1; fi
    if answers "$port"; then return 0; fi
    sleep 0.1
  done
  return 1
}

# Whether somebody accepts TCP on this loopback port.
answers() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

tries=0
until start; do
  kill "$server" 2> /dev/null || true
  server=""
  tries=$((tries + 1))
  if [ "$tries" -ge 10 ]; then
    echo "coturn does not start; it says:" >&2
    tail -5 "$work/log" >&2
    exit 2
  fi
done

export TURNSTONE_TEST_SERVER="udp=127.0.0.1:$port,udp6=[::1]:$port,\
tcp=127.0.0.1:$port,tcp6=[::1]:$port,tls=127.0.0.1:$tls_port,tls6=[::1]:$tls_port,\
user=alice,password=alice's long password,user2=bob,password2=bob's long password,\
tcp_relay=yes"

status=0
cargo nextest run --no-fail-fast --success-output immediate --failure-output immediate \
  --test rfc8489 --test rfc8656 --test rfc6062 "$@" > "$work/tests" 2>&1 || status=$?
kill -0 "$server" || echo "coturn died; its log ends with:" "$(tail -5 "$work/log")"

# REPORT=FILE keeps what the tests printed.
if [ -n "${REPORT:-}" ]; then cp "$work/tests" "$REPORT"; fi
echo "== does not apply"
grep -o 'NOT APPLICABLE: .*' "$work/tests" | sort -u || true
echo "== fails"
grep -E '^ +(FAIL|TIMEOUT|SIGKILL|SIGABRT) ' "$work/tests" | sed -E 's/^ +[A-Z]+ +\[[^]]*\] +(\([^)]*\) +)?//' | sort -u || true
echo "== $(grep -E '^ +Summary' "$work/tests" | sed -E 's/^ +//')"
exit "$status"
