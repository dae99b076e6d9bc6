# needs: midimon
# An ordinary user in the groups audio and input needs nothing else; one who is
# in neither is told what is missing.
. /tests/lib.sh

cat >config.toml <<TOML
schema = 1

[device]
name = "Midi Through"

[plugins]
dir = "$(plugin_dir echo)"

[[modes]]
name = "Default"

[[modes.mappings]]
trigger = { type = "Note", note = 60 }
action = { type = "Plugin", plugin = "echo", action = "play" }

[[modes.mappings]]
trigger = { type = "Note", note = 61 }
action = { type = "Keystroke", keys = "a" }
TOML
play() {
	midi_file play.mid 50 60 61 60
	aplaymidi -d 0 -p "$(port_of 'Midi Through')" play.mid
}
home_new player <config.toml
check 'player starts the daemon' daemon_start
check 'its plugin becomes ready' within 60 plugin_ready echo
check 'notes are played' play
check 'they reach the plugin' within 20 plugin_did echo 2
check 'the daemon runs as player' grep -q "^Uid:	1000	1000" "/proc/$(pidof midimon | cut -d' ' -f1)/status"
keystroke_worked() { mm status --json | tr -d ' \n' | grep -q '"effects":1,"effects_failed":0'; }
check 'the keystroke was sent' within 20 keystroke_worked
check 'the daemon stops cleanly' daemon_stop

home_new nobody <config.toml
refused() { ! mm run >refused 2>&1; }
check 'nobody cannot start it' refused
check 'nobody is told which device cannot be opened' has refused '/dev/snd/seq'
check 'and which group is missing' has refused 'group audio'

# In audio but not in input: MIDI works, keys do not.
home_new listener <config.toml
check 'a user in audio alone starts the daemon' daemon_start
check 'and plays' play
check 'notes reach the plugin' within 60 plugin_did echo 2
check 'and is told what the keystroke lacks' within 20 has daemon.log '/dev/uinput'
check 'and which group is missing' within 20 has daemon.log 'usermod -aG input listener'
check 'the daemon stops cleanly' daemon_stop
finish
