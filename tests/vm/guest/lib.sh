# Sourced by every test. $WORK is the test's own folder, kept for the host.

ok() { echo "ok $1"; }
not_ok() { echo "not ok $1 — $2"; }

# check NAME COMMAND...: a result line from the command's exit status; what it
# printed is the reason when it fails. (Not in a subshell: commands set variables.)
check() {
	check_name=$1
	shift
	if "$@" >"$WORK/said" 2>&1; then
		ok "$check_name"
	else
		not_ok "$check_name" "$* failed: $(tail -n 5 "$WORK/said" | tr '\n' ' ')"
	fi
}

# within SECONDS COMMAND...: tries until the command succeeds. The emulated
# processor is slow, so the deadlines are generous; success returns at once.
within() {
	within_end=$(($(cut -d. -f1 /proc/uptime) + $1))
	shift
	until "$@"; do
		[ "$(cut -d. -f1 /proc/uptime)" -lt $within_end ] || return 1
		sleep 0.05
	done
}

# The last line of every test.
finish() { : >"$WORK/finished"; }

# as USER COMMAND...: player is in the groups audio and input, nobody in none.
# (The path is needed: the shell would take its own smaller setpriv.)
as() {
	as_user=$1
	shift
	/usr/bin/setpriv --reuid "$as_user" --regid "$(id -g "$as_user")" --init-groups "$@"
}

# test_program USER LOG PROGRAM ARGUMENT...: one result line for each test in it; all it prints is in $WORK/LOG.
test_program() {
	test_user=$1 test_log=$2
	shift 2
	as "$test_user" env -i PATH="$PATH" HOME=/tmp TMPDIR=/tmp LANG=C MIDIMON_BIN_DIR=/opt/midimon \
		MIDIMON_PLUGINS_DIR=/opt/midimon/plugins MIDIMON_FIXTURES_DIR=/opt/midimon/fixtures \
		MIDIMON_CASES_DIR=/opt/midimon/hostile "$@" >"$WORK/$test_log" 2>&1
	test_status=$?
	# "test NAME ... ok", one a line
	sed -n "s/^test \([^ ]*\) \.\.\. ok\$/ok $test_user: \1/p
		s/^test \([^ ]*\) \.\.\. FAILED\$/not ok $test_user: \1 — see $test_log/p" "$WORK/$test_log"
	[ "$test_status" = 0 ] || tail -n 5 "$WORK/$test_log"
	return "$test_status"
}

# has FILE PATTERN, has_not FILE PATTERN
has() { grep -q -- "$2" "$1"; }
has_not() { ! grep -q -- "$2" "$1"; }

# count FILE PATTERN NUMBER: exactly so many lines match.
count() {
	found=$(grep -c -- "$2" "$1")
	[ "$found" = "$3" ] || {
		echo "$found lines match '$2' in $1, expected $3"
		return 1
	}
}

# ---- MIDI ----

# port_of CLIENT NAME [PORT]: the sequencer address of a client by its exact name.
port_of() {
	sed -n "s/^Client *\([0-9]*\) : \"$1\".*/\1/p" /proc/asound/seq/clients | head -n 1 | sed "s/\$/:${2:-0}/" | grep .
}

byte() { printf "\\x$(printf %02x "$1")"; }

# midi_file FILE GAP_MS NOTE...: every note pressed (velocity 100) and released
# after GAP_MS, the next one after another GAP_MS (at most 127).
midi_file() {
	midi_to=$1 midi_gap=$(byte "$2")
	shift 2
	{
		for note in "$@"; do
			printf '%s\x90' "$midi_gap" && byte "$note" && byte 100
			printf '%s\x80' "$midi_gap" && byte "$note" && byte 64
		done
		printf '%s\xff\x2f\x00' "$midi_gap"
	} >"$midi_to.track"
	midi_length=$(wc -c <"$midi_to.track")
	{
		# Format 0, one track; 500 ticks a quarter at 120 bpm: a tick is 1 ms.
		printf 'MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xf4MTrk\x00\x00'
		byte $((midi_length / 256)) && byte $((midi_length % 256))
		cat "$midi_to.track"
	} >"$midi_to"
	rm "$midi_to.track"
}

# record_port ADDRESS FILE: writes down what arrives from there; sets $recorder.
record_port() {
	stdbuf -oL aseqdump -p "$1" >"$2" 2>&1 &
	recorder=$!
	within 20 has "$2" '^Source'
}

# ---- A USB MIDI keyboard: a gadget on an emulated controller ----

gadgets=/sys/kernel/config/usb_gadget

# keyboard_new NUMBER PRODUCT SERIAL: makes keyboard 0 to 3, not yet plugged in.
keyboard_new() {
	mkdir -p "$gadgets/$1/strings/0x409" "$gadgets/$1/configs/c.1" "$gadgets/$1/functions/midi.usb$1"
	echo 0x1d6b >"$gadgets/$1/idVendor"
	echo 0x0104 >"$gadgets/$1/idProduct"
	echo "Test maker" >"$gadgets/$1/strings/0x409/manufacturer"
	echo "$2" >"$gadgets/$1/strings/0x409/product"
	echo "$3" >"$gadgets/$1/strings/0x409/serialnumber"
	echo "keys$1" >"$gadgets/$1/functions/midi.usb$1/id"
	ln -s "$gadgets/$1/functions/midi.usb$1" "$gadgets/$1/configs/c.1/"
}
keyboard_plug() { echo "dummy_udc.$1" >"$gadgets/$1/UDC"; }
keyboard_unplug() { echo >"$gadgets/$1/UDC"; }

# keyboard_bytes NUMBER HEX...: what the keyboard's firmware sends.
keyboard_bytes() {
	keyboard=$1
	shift
	amidi -p "hw:keys$keyboard" -S "$*"
}

# ---- midimon's virtual keyboard and mouse ----

# virtual_device keyboard|mouse: its event device.
virtual_device() {
	for name in /sys/class/input/event*/device/name; do
		if grep -qx "midimon $1" "$name"; then
			device=${name#/sys/class/input/}
			echo "/dev/input/${device%%/*}"
			return 0
		fi
	done
	return 1
}
keyboard_device() { virtual_device keyboard; }
no_keyboard() { ! keyboard_device; }

# record_keys FILE [mouse]: returns once the device is open, so that no event is missed.
record_keys() {
	cat "$(virtual_device "${2:-keyboard}")" >"$1" &
	recorder=$!
	within 20 reads_device
}
reads_device() { ls -l "/proc/$recorder/fd" | grep -q /dev/input/; }

# keys_in FILE: "CODE:VALUE" of every key, button and move, on one line. A struct
# input_event is 24 bytes: time, type (1 is a key or button, 2 a move), code, value.
keys_in() { od -An -v -w24 -td2 "$1" | awk '$9 == 1 || $9 == 2 { printf "%s%d:%d", sep, $10, $11; sep = " " }'; }
keys_are() { # FILE EXPECTED
	[ "$(keys_in "$1")" = "$2" ] || {
		echo "got $(keys_in "$1")"
		return 1
	}
}

# ---- midimon ----

# home_new [USER]: an empty home of that user's (root's without one) for the
# daemon started next; its configuration comes from standard input.
home_new() {
	mm_user=${1:-root}
	home=$(mktemp -d "/tmp/$mm_user.XXXXXX")
	cat >"$home/config.toml"
	chown -R "$mm_user" "$home"
}

# mm ARGUMENT...: midimon as the home's user.
mm() { as "$mm_user" midimon --home "$home" "$@"; }

# daemon_start: returns when the daemon answers; its log is $WORK/daemon.log.
daemon_start() {
	mm run >>"$WORK/daemon.log" 2>&1 &
	daemon=$!
	within 60 mm status >"$WORK/status.first" 2>&1 || {
		echo "the daemon did not start: $(tail -n 5 "$WORK/daemon.log")"
		return 1
	}
}

# daemon_stop: fails when it does not stop, says it failed, or counts a worker's
# end as a crash.
daemon_stop() {
	mm stop && wait "$daemon" && has_not "$WORK/daemon.log" 'without being asked'
}

# plugin_dir PLUGIN...: prints the path of a plugin directory with only these:
# compiling a WASM plugin takes seconds in here.
plugin_dir() {
	mkdir -p "$WORK/plugins"
	for plugin in "$@"; do
		cp -r "/opt/midimon/plugins/$plugin" "$WORK/plugins/"
	done
	echo "$WORK/plugins"
}

# worker_count PLUGIN FIELD: a number from that plugin's status.
worker_count() {
	mm status --json | tr -d ' \n' | sed 's/"id":"/\n&/g' | grep "^\"id\":\"$1\"" |
		sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p"
}

# plugin_did PLUGIN NUMBER: it has answered exactly so many calls well, and no
# trigger went another way.
plugin_did() {
	for field in "done:$2" failed:0 timed_out:0 queue_full:0 too_old:0 not_running:0 in_flight:0; do
		found=$(worker_count "$1" "${field%:*}")
		[ "$found" = "${field#*:}" ] || {
			echo "$1 has ${field%:*} = $found, expected ${field#*:}"
			return 1
		}
	done
}

# plugin_ready PLUGIN
plugin_ready() { mm worker inspect "$1" --json | tr -d ' \n' | grep -q '"state":"ready"'; }

# asking_plugin NAME CAPABILITY[:TARGET]...: a plugin that asks the supervisor for what
# its actions and their parameters say, and declares these capabilities.
asking_plugin() {
	asking_dir=$WORK/plugins/$1
	mkdir -p "$asking_dir"
	cp /opt/midimon/fixtures/asking/asking.so "$asking_dir/"
	{
		printf 'schema = 1\nid = "%s"\nname = "%s"\nversion = "1.0.0"\nkind = "native"\nentry = "asking.so"\n' "$1" "$1"
		shift
		for capability in "$@"; do
			printf '[[capabilities]]\ncapability = "%s"\nreason = "a test"\n' "${capability%%:*}"
			[ "$capability" = "${capability#*:}" ] || printf 'targets = ["%s"]\n' "${capability#*:}"
		done
	} >"$asking_dir/plugin.toml"
}

# worker_json PLUGIN: everything about its worker, on one line without blanks.
worker_json() { mm worker inspect "$1" --json | tr -d ' \n'; }
# worker_says PLUGIN PATTERN
worker_says() { worker_json "$1" | grep -q "$2"; }
worker_pid() { worker_json "$1" | sed -n 's/.*"pid":\([0-9]*\).*/\1/p'; }
