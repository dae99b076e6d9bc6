# needs: midimon
# Keystrokes reach the kernel's input device, exactly.
. /tests/lib.sh

home_new <<TOML
schema = 1

[device]
name = "Midi Through"

[[modes]]
name = "Default"

[[modes.mappings]]
trigger = { type = "Note", note = 60 }
action = { type = "Keystroke", keys = "k", modifiers = ["ctrl", "shift"] }

[[modes.mappings]]
trigger = { type = "Note", note = 61 }
action = { type = "Text", text = "Hi!" }
TOML
check 'the daemon starts' daemon_start

# keyboard_device: the virtual keyboard's event device.
keyboard_device() {
	for name in /sys/class/input/event*/device/name; do
		if grep -qi midimon "$name"; then
			device=${name#/sys/class/input/}
			echo "/dev/input/${device%%/*}"
			return 0
		fi
	done
	return 1
}
play() { # NOTE
	midi_file play.mid 50 "$1"
	aplaymidi -d 0 -p "$(port_of 'Midi Through')" play.mid
}
# record_keys FILE: returns once the device is open, so that no event is missed.
record_keys() {
	cat "$(keyboard_device)" >"$1" &
	recorder=$!
	within 20 reads_device
}
reads_device() { ls -l "/proc/$recorder/fd" | grep -q /dev/input/; }

# keys_in FILE: "CODE VALUE" of every key event, on one line. A struct
# input_event is 24 bytes: time, type (1 is a key), code, value.
keys_in() { od -An -v -w24 -tu2 "$1" | awk '$9 == 1 { printf "%s%d:%d", sep, $10, $11; sep = " " }'; }
keys_are() { # FILE EXPECTED
	[ "$(keys_in "$1")" = "$2" ] || {
		echo "got $(keys_in "$1")"
		return 1
	}
}

check 'there is a virtual keyboard' within 20 keyboard_device
record_keys events
play 60
# Left Ctrl 29, left Shift 42, K 37: modifiers go down first and up last.
check 'a keystroke with modifiers arrives whole' within 20 keys_are events '29:1 42:1 37:1 37:0 42:0 29:0'
kill "$recorder"
record_keys text
play 61
# H 35, I 23, 1 2; Shift for the capital and the exclamation mark.
check 'text is typed with the keys of a US keyboard' within 20 keys_are text '42:1 35:1 35:0 42:0 23:1 23:0 42:1 2:1 2:0 42:0'
check 'the daemon stops cleanly' daemon_stop
no_keyboard() { ! keyboard_device; }
check 'and takes its keyboard with it' within 20 no_keyboard
finish
