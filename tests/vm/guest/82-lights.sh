# needs: midimon
# What a plugin emits lights a pad of a real USB controller: the bytes arrive at its MIDI port.
# Without the grant none do; of many values the latest stays, and no more are sent than a port bears.
. /tests/lib.sh

keyboard_new 0 'Test Pads' 'S-0001'
keyboard_plug 0
within 20 port_of 'Test Pads' >/dev/null

# lights_plugin NAME: it emits and lights as its actions' parameters say
lights_plugin() {
	mkdir -p "$WORK/plugins/$1"
	cp /opt/midimon/fixtures/events/events.so "$WORK/plugins/$1/"
	cat >"$WORK/plugins/$1/plugin.toml" <<-TOML
		schema = 1
		id = "$1"
		name = "$1"
		version = "1.0.0"
		kind = "native"
		entry = "events.so"
		[[capabilities]]
		capability = "midi"
		targets = ["Test Pads"]
		reason = "a test"
	TOML
}
for id in scenes granted refused; do lights_plugin $id; done

mapping() { # TRIGGER PLUGIN ACTION PARAMS
	printf '[[global_mappings]]\ntrigger = { %s }\n' "$1"
	printf 'action = { type = "Plugin", plugin = "%s", action = "%s", params = { %s } }\n' "$2" "$3" "$4"
}
pad() { echo "type = \"Note\", note = $1"; }
scene() { echo "type = \"Plugin\", plugin = \"scenes\", event = \"scene\", value = \"$1\""; }
light='device = "pads", channel = 1'
home_new <<TOML
schema = 1

[plugins]
dir = "$WORK/plugins"

[plugins.granted]
grants = ["midi:Test Pads"]
timeout_ms = 120000

[[devices]]
alias = "pads"
match = { name = "Test Pads" }

$(mapping "$(pad 60)" scenes emit 'event = "scene", value = "Live"')
$(mapping "$(pad 61)" scenes emit 'event = "scene", value = "Break"')
$(mapping "$(pad 62)" scenes emit 'event = "scene", value = "Secret"')
$(mapping "$(scene Live)" granted light "$light, number = 36, value = 5")
$(mapping "$(scene Break)" granted light "$light, number = 36, value = 0")
$(mapping "$(scene Secret)" refused light "$light, number = 37, value = 127")
$(mapping "$(pad 63)" granted light "$light, number = 40, value = 9, count = 39, times = 60")
TOML
tap() { # NOTE
	tapped=$(printf %02X "$1")
	keyboard_bytes 0 90 "$tapped" 64 80 "$tapped" 40
}
# what has come out of the controller's own end, a message a line
lit() { od -An -v -tx1 -w3 lit | sed 's/^ *//'; }
lit_is() { # MESSAGE...
	[ "$(lit | tr '\n' ,)" = "$(printf '%s,' "$@")" ] || {
		lit | tail -n 3
		return 1
	}
}
now_ms() { awk '{ printf "%d", $1 * 1000 }' /proc/uptime; }

check 'the daemon starts' daemon_start
for id in scenes granted refused; do
	check "$id becomes ready" within 60 plugin_ready $id
done
amidi -p hw:keys0 -r lit >/dev/null &
recorder=$!
listens() { for fd in "/proc/$recorder/fd"/*; do readlink "$fd"; done | grep -q /dev/snd/midi; }
check 'somebody looks at the controller' within 20 listens

tap 62
refusal() { [ "$(worker_count refused failed)" = 1 ]; }
check 'a light without the grant is refused' within 20 refusal
tap 60
check 'an event lights its pad' within 20 lit_is '90 24 05'
tap 61
check 'another value of it switches it off' within 20 lit_is '90 24 05' '90 24 00'

# 40 lights, 61 values each, faster than a port bears in this machine too
since=$(now_ms)
tap 63
settled() { worker_json granted | sed 's/.*"services":{\([^}]*\)}.*/\1/' | tr ',' '\n' | awk -F: '
	$1 ~ /"lights/ { sum += $2 } END { print sum " of 2442"; exit sum != 2442 }'; }
check 'every value is sent or gave way to a newer one' within 120 settled
last_values() {
	lit | awk '$1 == "90" { last[$2] = $3 } END { for (note in last) n[last[note]]++; print n["45"] " at 69"; exit n["45"] != 40 }'
}
gave_way() { worker_says granted '"lights_replaced":[1-9]'; }
check 'some did give way' gave_way
check 'the latest value of each arrives' within 20 last_values
kill "$recorder"
# 128 at once, 250 a second; two were sent before
capped() {
	capped_ms=$(($(now_ms) - since))
	capped_found=$(lit | wc -l)
	echo "$capped_found in $capped_ms ms" | tee -a rates
	[ "$capped_found" -le $((2 + 128 + capped_ms / 4)) ]
}
check 'no more were sent than the rate of lights' capped
check 'each of them whole, and for no other light' count lit.text '^90 \(24\|2[89a-f]\|[34][0-9a-f]\) [0-9a-f][0-9a-f]$' "$(lit | tee lit.text | wc -l)"
check 'the light of the one without the grant was never set' worker_says refused '"lights":0'
check 'no plugin was restarted' worker_says granted '"restarts":0'
check 'the daemon stops cleanly' daemon_stop
finish
