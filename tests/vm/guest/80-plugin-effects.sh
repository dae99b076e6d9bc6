# needs: midimon
# What plugins ask for reaches a real MIDI output, the kernel's input device and the
# desktop's notifier; the same, asked for without the grant, does not.
. /tests/lib.sh

keyboard_new 0 'Test Keys' 'S-0001'
keyboard_plug 0
within 20 port_of 'Test Keys' >/dev/null

# two plugins of the same code that ask for the same
for id in granted refused; do
	asking_plugin $id 'midi:Midi Through' input system-control
done

# where a desktop has its own
cat >/usr/bin/notify-send <<SH
#!/bin/sh
printf '%s|' "\$@" >>$WORK/notified
SH
chmod 755 /usr/bin/notify-send

# each action's note for the one that is granted it; the next one is the other's
actions() {
	cat <<-'LIST'
		60 note port = "Midi Through"
		62 send port = "Midi Through", hex = "F07E7F060112F7"
		64 keys keys = "ctrl+shift+k"
		66 mouse what = 1, x = 30, y = -40
		68 mouse what = 3
		70 system what = 1
		72 notify title = "--urgency=critical", body = "<b>3 %</b>"
	LIST
}
home_new <<TOML
schema = 1

[device]
name = "Test Keys"

[plugins]
dir = "$WORK/plugins"

[plugins.granted]
grants = ["midi:Midi Through", "input", "system-control"]

[[modes]]
name = "Default"

$(actions | while read -r note action params; do
	for id in granted refused; do
		echo '[[modes.mappings]]'
		echo "trigger = { type = \"Note\", note = $note }"
		echo "action = { type = \"Plugin\", plugin = \"$id\", action = \"$action\", params = { $params } }"
		note=$((note + 1))
	done
done)
TOML
tap() { # NOTE
	tapped=$(printf %02X "$1")
	keyboard_bytes 0 90 "$tapped" 64 80 "$tapped" 40
}
# requests_are PLUGIN ALLOWED REFUSED
requests_are() { worker_says "$1" "\"requests\":{\"allowed\":$2,\"refused\":$3}"; }
# recorded PLUGIN WHAT ALLOWED: its audit log says so
recorded() {
	mm audit "$1" --json -n 1000 >"audit.$1"
	has "audit.$1" "\"what\":\"$2\".*\"allowed\":$3"
}
never_otherwise() { ! recorded granted "$1" false && ! recorded refused "$1" true; }
no_mouse() { ! virtual_device mouse; }

check 'the daemon starts' daemon_start
for id in granted refused; do
	check "$id becomes ready" within 60 plugin_ready $id
done
record_port "$(port_of 'Midi Through')" heard

tap 61
tap 63
check 'a note and a SysEx without the grant are refused and counted' within 20 requests_are refused 0 2
tap 60
check 'a note of a plugin is heard' within 20 has heard 'Note on *0, note 60, velocity 100'
tap 62
check 'so is its SysEx, whole' within 20 has heard 'System exclusive *F0 7E 7F 06 01 12 F7'
check 'and nothing else' count heard '^ *[0-9]*:[0-9]* *[NCPS]' 2
held_by=$(worker_pid granted)
kill -9 "$held_by"
check 'the note is switched off when the plugin is killed' within 20 has heard 'Note off *0, note 60'
replaced() { plugin_ready granted && [ "$(worker_pid granted)" != "$held_by" ]; }
check 'the plugin comes back' within 60 replaced
check 'its end is told' worker_says granted 'killedbySIGKILL'
kill "$recorder"

tap 65
check 'keys without the grant are refused' within 20 requests_are refused 0 3
check 'nobody has even made a keyboard for them' no_keyboard
# what makes the device may come too early for its recorder, in part too, or not
keys_end_with() { # FILE FIRST REST
	case "$(keys_in "$1")" in
	"$3" | "$2 $3" | "${2#* } $3") ;;
	*)
		echo "got $(keys_in "$1")"
		return 1
		;;
	esac
}
tap 70
check 'the first key makes a keyboard' within 20 keyboard_device
record_keys keys
for note in 65 64 71 70 65; do tap $note; done
# Left Ctrl 29, left Shift 42, K 37; louder 115
keys='29:1 42:1 37:1 37:0 42:0 29:0 115:1 115:0'
check 'a chord and a media key of a plugin arrive, and no others' within 20 keys_end_with keys '115:1 115:0' "$keys"
tap 69
check 'a click without the grant is refused' within 20 requests_are refused 0 7
check 'and makes no mouse' no_mouse
tap 68
check 'the first click makes a mouse' within 20 virtual_device mouse
record_keys mouse mouse
for note in 67 66 69 68 67; do tap $note; done
# the left button 272
check 'a move and a click of a plugin arrive, and no others' within 20 keys_end_with mouse '272:1 272:0' '0:30 1:-40 272:1 272:0'
check 'no refused request was carried out later' keys_end_with keys '115:1 115:0' "$keys"

tap 72
check 'a notification is shown, no markup in it, its text no option' within 20 \
	has notified '^--app-name=midimon|--|midimon · granted: --urgency=critical|&lt;b&gt;3 %&lt;/b&gt;|$'
check 'and is in the log' has daemon.log 'midimon · granted: --urgency=critical: <b>3 %</b>'

check 'every request that was granted is counted as such' within 20 requests_are granted 9 0
check 'and every other one as refused' within 20 requests_are refused 0 10
# how often within a second may be one line: at least one of each
for what in midi-send keystroke mouse system; do
	check "$what is in the audit log of the one as done" within 20 recorded granted $what true
	check "$what is in the audit log of the other as refused" within 20 recorded refused $what false
	check "and never otherwise" never_otherwise $what
done
check 'the daemon stops cleanly' daemon_stop
finish
