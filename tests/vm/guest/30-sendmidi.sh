# needs: midimon
# A mapping that sends MIDI is heard by another program.
. /tests/lib.sh

keyboard_new 0 'Test Keys' 'S-0001'
keyboard_plug 0
within 20 port_of 'Test Keys' >/dev/null
home_new <<TOML
schema = 1

[device]
name = "Test Keys"

[[modes]]
name = "Default"

[[modes.mappings]]
trigger = { type = "Note", note = 60 }
action = { type = "SendMidi", port = "Midi Through", message_type = "CC", channel = 3, controller = 74, value = 99 }

[[modes.mappings]]
trigger = { type = "Note", note = 61 }
action = { type = "Sequence", actions = [
  { type = "SendMidi", port = "Midi Through", message_type = "NoteOn", channel = 1, note = 40, velocity = 80 },
  { type = "Delay", ms = 100 },
  { type = "SendMidi", port = "Midi Through", message_type = "PitchBend", channel = 16, pitch = -8192 },
] }

[[modes.mappings]]
trigger = { type = "Note", note = 62 }
action = { type = "Panic" }
TOML
check 'the daemon starts' daemon_start
record_port "$(port_of 'Midi Through')" heard

keyboard_bytes 0 90 3C 64 80 3C 40
check 'a control change is heard' within 20 has heard 'Control change *2, controller 74, value 99'
keyboard_bytes 0 90 3D 64 80 3D 40
check 'a note in a sequence is heard' within 20 has heard 'Note on *0, note 40, velocity 80'
check 'so is a pitch bend after a delay' within 20 has heard 'Pitch bend *15, value -8192'
check 'nothing else was sent' count heard '^ *[0-9]*:[0-9]* *\(Note\|Control\|Pitch\)' 3

keyboard_bytes 0 90 3E 64 80 3E 40
check 'panic releases the note we hold' within 20 has heard 'Note off *0, note 40'
kill "$recorder"
check 'the daemon stops cleanly' daemon_stop
finish
