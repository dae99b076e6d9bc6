# The bed itself, without midimon: if this fails, no other result means anything.
. /tests/lib.sh

# Notes through the sequencer.
through=$(port_of 'Midi Through')
record_port "$through" heard
midi_file notes.mid 5 60 61 62
check 'aplaymidi plays a file to a port' aplaymidi -d 0 -p "$through" notes.mid
check 'aseqdump hears every press' within 20 count heard 'Note on' 3
check 'aseqdump hears every release' within 20 count heard 'Note off' 3
check 'aseqdump hears the right notes' has heard 'note 62, velocity 100'
kill "$recorder"

# A keyboard that is plugged in, pulled and plugged in again.
usb_card() { grep -q 'USB-Audio - Test Keys' /proc/asound/cards; }
no_usb_card() { ! usb_card; }
keyboard_new 0 'Test Keys' 'S-0001'
check 'no USB card before the keyboard is plugged in' no_usb_card
keyboard_plug 0
check 'a plugged-in keyboard is a USB sound card' within 20 usb_card
check 'its sequencer client appears' within 20 port_of 'Test Keys'
card=$(sed -n 's/^ *\([0-9]*\) .*USB-Audio - Test Keys.*/\1/p' /proc/asound/cards)
check 'its serial number is in sysfs' grep -x 'S-0001' "/sys/class/sound/card$card/device/../serial"

record_port "$(port_of 'Test Keys')" pressed
keyboard_bytes 0 90 3C 64
check 'a key pressed on it is heard' within 20 has pressed 'Note on .*note 60, velocity 100'
keyboard_unplug 0
check 'a pulled keyboard takes its card away' within 20 no_usb_card
kill "$recorder"
keyboard_plug 0
check 'plugged in again it is a card again' within 20 usb_card
within 20 port_of 'Test Keys' >/dev/null
record_port "$(port_of 'Test Keys')" pressed-again
keyboard_bytes 0 90 40 64
check 'and it plays again' within 20 has pressed-again 'Note on .*note 64, velocity 100'
kill "$recorder"
keyboard_unplug 0

# Users.
check 'a user in group audio may use the sequencer' as player aconnect -l
ls -l /dev/snd /dev/uinput >devices
as nobody aconnect -l >refused 2>&1
check 'nobody may not' has refused denied
finish
