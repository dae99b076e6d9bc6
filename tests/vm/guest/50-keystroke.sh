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

play() { # NOTE
	midi_file play.mid 50 "$1"
	aplaymidi -d 0 -p "$(port_of 'Midi Through')" play.mid
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
check 'and takes its keyboard with it' within 20 no_keyboard
finish
