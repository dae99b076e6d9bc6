# needs: midimon
# A plugin that sends notes as fast as it can is held to its rate, what it left on is
# switched off, and a plugin whose output is its own input takes nothing down.
. /tests/lib.sh

asking_plugin floods 'midi:Midi Through'
asking_plugin loops 'midi:Midi Through'
plugin_dir echo >/dev/null

# configure GRANTS: of the plugin that loops
configure() {
	cat <<TOML
schema = 1

[device]
name = "Midi Through"

[plugins]
dir = "$WORK/plugins"

[plugins.floods]
grants = ["midi:Midi Through"]
timeout_ms = 120000

[plugins.loops]
grants = [$1]
timeout_ms = 120000

[[modes]]
name = "Default"

[[modes.mappings]]
trigger = { type = "Note", note = 100 }
action = { type = "Plugin", plugin = "floods", action = "flood", params = { port = "Midi Through", count = 4000 } }

[[modes.mappings]]
trigger = { type = "Note", note = 101 }
action = { type = "Plugin", plugin = "echo", action = "play" }

# each of the two notes it sends is its own input, and makes it send two more
$(for note in 60 61; do
	echo '[[modes.mappings]]'
	echo "trigger = { type = \"Note\", note = $note }"
	echo 'action = { type = "Plugin", plugin = "loops", action = "flood", params = { port = "Midi Through", note = 60, count = 2 } }'
done)
TOML
}
play() {
	midi_file play.mid 50 "$@"
	aplaymidi -d 0 -p "$(port_of 'Midi Through')" play.mid
}
now_ms() { awk '{ printf "%d", $1 * 1000 }' /proc/uptime; }
heard() { grep -c 'Note on' heard; }
# rated SINCE_MS MORE: no more messages of a plugin were heard since then than its rate
# allows, 1,000 a second and 200 at once, and MORE of others
rated() {
	rated_ms=$(($(now_ms) - $1))
	rated_most=$((200 + rated_ms + $2))
	rated_heard=$(heard)
	echo "$rated_heard in $rated_ms ms" | tee -a rates
	[ "$rated_heard" -le "$rated_most" ]
}
# counted PLUGIN NUMBER: so many requests of it were allowed or refused
counted() { [ $(($(worker_count "$1" allowed) + $(worker_count "$1" refused))) = "$2" ]; }
memory_kib() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(pidof midimon | cut -d' ' -f1)/status"; }

configure '"midi:Midi Through"' >config.toml
home_new <config.toml
check 'the daemon starts' daemon_start
for plugin in floods loops echo; do
	check "$plugin becomes ready" within 60 plugin_ready $plugin
done

# 4,000 notes without a pause
record_port "$(port_of 'Midi Through')" heard
since=$(now_ms)
check 'the flood is begun' play 100
flooded() { [ "$(worker_count floods done)" = 1 ]; }
check 'the flood ends' within 120 flooded
check 'no more was sent than its rate allows' rated "$since" 1
check 'every one of them is counted' counted floods 4000
kill -9 "$(worker_pid floods)"
check 'when it is killed what it left on is switched off' within 20 has heard 'Note off *0, note 0,'
check 'whatever note that was' within 20 has heard 'Note off *0, note 15,'
kill "$recorder"

# the loop: one note makes two, each of them two …
before=$(memory_kib)
record_port "$(port_of 'Midi Through')" heard
since=$(now_ms)
check 'the loop is begun' play 60
looping() { [ "$(heard)" -gt 300 ]; }
check 'it grows' within 60 looping
check 'the daemon answers while it runs' mm status
check 'an honest plugin is called while it runs' play 101
honest() { [ "$(worker_count echo done)" = 1 ]; }
check 'and answers' within 20 honest
check 'the loop is held to its rate' rated "$since" 2
dropped() { [ "$(worker_count loops queue_full)" -gt 0 ]; }
check 'triggers there is no room for are dropped and counted' within 60 dropped
grown() { echo "$before KiB, now $(memory_kib)"; [ "$(memory_kib)" -lt $((before + 16384)) ]; }
check 'midimon has not grown by it' grown
# the user's way out
configure >"$home/config.new"
mv "$home/config.new" "$home/config.toml"
withdrawn() { worker_says loops '"grants":\[\]'; }
check 'the grant is taken away' within 60 withdrawn
quiet() {
	quiet_before=$(heard)
	sleep 2
	[ "$(heard)" = "$quiet_before" ]
}
check 'which ends the loop' within 60 quiet
check 'and what it left on' has heard 'Note off *0, note 60'
check 'the honest plugin was never restarted' worker_says echo '"restarts":0'
check 'the daemon stops cleanly' daemon_stop
finish
