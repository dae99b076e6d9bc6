# needs: midimon
# A USB keyboard comes late, is pulled with a key down, and comes back, while
# the daemon runs; another keyboard takes its old place in between.
. /tests/lib.sh

home_new <<TOML
schema = 1

[device]
name = "Test Keys"

[plugins]
dir = "$(plugin_dir echo)"

[[modes]]
name = "Default"

[[modes.mappings]]
trigger = { type = "Note", note = 60 }
action = { type = "Plugin", plugin = "echo", action = "play", on = "both" }
TOML
keyboard_new 0 'Test Keys' 'S-0001'
keyboard_new 1 'Other Keys' 'S-0002'
connected() { mm status --json | tr -d ' \n' | sed 's/.*"inputs":\[\([^]]*\)\].*/\1/' | grep -q '"connected":true'; }
not_connected() { ! connected; }
check 'the daemon starts without its keyboard' daemon_start
check 'the plugin becomes ready' within 60 plugin_ready echo
check 'status says the keyboard is missing' within 20 not_connected

keyboard_plug 0
check 'a keyboard plugged in late is used' within 20 connected
keyboard_bytes 0 90 3C 64
check 'a key pressed on it reaches the plugin' within 20 plugin_did echo 1
keyboard_unplug 0
check 'pulling it is noticed' within 20 not_connected
check 'and releases the key that was down' within 20 plugin_did echo 2

# The sequencer gives the freed client number to whoever comes next.
keyboard_plug 1
within 20 port_of 'Other Keys' >/dev/null
keyboard_plug 0
check 'plugged in again it is used again' within 20 connected
keyboard_bytes 1 90 3C 64 80 3C 40
keyboard_bytes 0 90 3C 64 80 3C 40
check 'it plays on, and the other keyboard is not taken for it' within 20 plugin_did echo 4
check 'the daemon was not restarted' kill -0 "$daemon"

for _ in 1 2 3; do
	keyboard_unplug 0
	within 20 not_connected || not_ok 'pulled once more' "$(mm status)"
	keyboard_plug 0
	within 20 connected || not_ok 'plugged in once more' "$(mm status)"
done
keyboard_bytes 0 90 3C 64 80 3C 40
check 'it plays after three more times' within 20 plugin_did echo 6
check 'the daemon stops cleanly' daemon_stop
finish
