# needs: midimon
# needs: hostile
# timeout: 2000
# The hostile plugins on this older kernel, whose Landlock knows less: as root and as an
# ordinary user. What Landlock cannot refuse here the filters must.
. /tests/lib.sh

# hostile_as USER: one result line for each test.
hostile_as() {
	as "$1" env -i PATH="$PATH" HOME=/tmp TMPDIR=/tmp LANG=C MIDIMON_BIN_DIR=/opt/midimon \
		MIDIMON_PLUGINS_DIR=/opt/midimon/plugins MIDIMON_FIXTURES_DIR=/opt/midimon/fixtures \
		MIDIMON_CASES_DIR=/opt/midimon/hostile /opt/midimon/hostile/tests --test-threads 2 \
		--skip wasi --skip examples --skip rust --skip hundreds \
		files:: processes:: memory:: network:: sweep:: honest:: >"$WORK/$1.log" 2>&1
	hostile_status=$?
	# "test NAME ... ok", one a line
	sed -n "s/^test \([^ ]*\) \.\.\. ok\$/ok $1: \1/p; s/^test \([^ ]*\) \.\.\. FAILED\$/not ok $1: \1 — see $1.log/p" "$WORK/$1.log"
	[ "$hostile_status" = 0 ] || tail -n 5 "$WORK/$1.log"
	return "$hostile_status"
}

for user in root nobody; do
	hostile_as "$user"
	check "$user: every hostile test ran to its end" grep -q '^test result: ' "$WORK/$user.log"
done
mount -t securityfs securityfs /sys/kernel/security
check 'Landlock is there' grep -q landlock /sys/kernel/security/lsm
finish
