# needs: midimon
# Notes from another program reach plugins.
. /tests/lib.sh

home_new <<TOML
schema = 1

[device]
name = "Midi Through"

[plugins]
dir = "$(plugin_dir echo echo-wasm notes)"

[plugins.notes]
grants = ["filesystem"]

[[modes]]
name = "Default"

[[modes.mappings]]
trigger = { type = "Note", note = 60 }
action = { type = "Plugin", plugin = "echo", action = "play", params = { playlist = "Coding" }, on = "both" }

[[modes.mappings]]
trigger = { type = "Note", note = 61 }
action = { type = "Plugin", plugin = "echo-wasm", action = "play" }

[[modes.mappings]]
trigger = { type = "Note", note = 62 }
action = { type = "Plugin", plugin = "notes", action = "write" }
TOML
check 'the daemon starts with a sequencer port as its device' daemon_start
check 'ports lists the port' mm ports
for plugin in echo echo-wasm notes; do
	check "$plugin becomes ready" within 60 plugin_ready $plugin
done

# Paced well below what the sequencer's queue and a slow guest can take.
notes=
for _ in 1 2 3 4 5 6 7 8 9 10; do notes="$notes 60 61 62 63"; done
# shellcheck disable=SC2086 # one word a note
midi_file play.mid 25 $notes
check 'aplaymidi plays to the device' aplaymidi -d 0 -p "$(port_of 'Midi Through')" play.mid
check 'every press and release reached the native plugin' within 30 plugin_did echo 20
check 'every press reached the WASM plugin' within 30 plugin_did echo-wasm 10
check 'every press reached the plugin that writes' within 30 plugin_did notes 10
notes_written() { cat "$home"/plugin-data/notes/* | wc -l | grep -qx 10; }
check 'which wrote a line for each into its own directory' notes_written
check 'the daemon stops cleanly' daemon_stop
finish
