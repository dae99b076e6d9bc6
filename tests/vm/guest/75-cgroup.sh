# needs: midimon
# needs: hostile
# Where a control group is delegated to midimon, the kernel holds each worker's memory,
# threads and processor time.
. /tests/lib.sh

group=/sys/fs/cgroup/midimon
echo '+memory +pids +cpu' >/sys/fs/cgroup/cgroup.subtree_control
mkdir "$group"

# plugin NAME CASE: a hostile case as it was compiled: it acts when it is called.
plugin() {
	mkdir -p "$WORK/plugins/$1"
	cp "/opt/midimon/hostile/$2.so" "$WORK/plugins/$1/case.so"
	cat >"$WORK/plugins/$1/plugin.toml" <<TOML
schema = 1
id = "$1"
name = "$1"
version = "1.0.0"
kind = "native"
entry = "case.so"

[[capabilities]]
capability = "filesystem"
reason = "to fill it"
TOML
}
plugin files fill_disk
plugin threads threads
plugin spins spin_idle
plugin_dir echo >/dev/null

home_new root <<TOML
schema = 1

[device]
name = "Midi Through"

[plugins]
dir = "$WORK/plugins"

[plugins.files]
grants = ["filesystem"]
memory_mib = 64
quota_mib = 512
timeout_ms = 60000
restart = "never"

[plugins.threads]
timeout_ms = 60000
restart = "never"

[plugins.spins]
cpu_percent = 100

[[modes]]
name = "Default"

$(for at in 60:files 61:threads 62:spins 63:echo; do
	echo '[[modes.mappings]]'
	echo "trigger = { type = \"Note\", note = ${at%:*} }"
	echo "action = { type = \"Plugin\", plugin = \"${at#*:}\", action = \"act\" }"
done)
TOML
play() {
	midi_file play.mid 50 "$@"
	aplaymidi -d 0 -p "$(port_of 'Midi Through')" play.mid
}
# alone in the group, as a service manager starts it
start_within() {
	(
		echo 0 >"$group/cgroup.procs"
		exec midimon --home "$home" run >>"$WORK/daemon.log" 2>&1
	) &
	daemon=$!
	within 60 mm status >"$WORK/status.first" 2>&1
}
inspect() { mm worker inspect "$1" --json | tr -d ' \n'; }
says() { inspect "$1" | grep -q "$2"; }
limit_is() { [ "$(cat "$group/worker-$1/$2")" = "$3" ]; }
throttled() { [ "$(sed -n 's/^nr_throttled //p' "$group/worker-spins/cpu.stat")" -gt 0 ]; }
many_threads_refused() { says threads '"done":1' || says threads 'threads(limit'; }

check 'the daemon starts in its group' start_within
for name in files threads spins echo; do
	check "$name becomes ready" within 60 plugin_ready "$name"
done
check 'its layer of control groups is active' says echo '"layer":"cgroup","state":"active"'
check 'each worker is in a group of its own' grep -q . "$group/worker-echo/cgroup.procs"
check 'memory.max is the limit and the overhead' limit_is files memory.max $(((64 + 32) * 1024 * 1024))
check 'no swap' limit_is files memory.swap.max 0
# two threads that spin want two processors: more than the group gets
check 'the notes are played' play 61 62 62
check 'pids.max refuses the 64th thread' within 60 grep -q '^max [1-9]' "$group/worker-threads/pids.events"
check 'and the plugin fails softly or is ended for it' within 60 many_threads_refused
check 'cpu.max throttles the one that spins' within 60 throttled
# files in memory count as its memory: the temporary file system is where the data is here
check 'the files are written' play 60
check 'memory.max ends it, and that is told' within 60 says files 'memory.max'
check 'the honest plugin answers' play 63
check 'and was never restarted' within 30 plugin_did echo 1
check 'the daemon stops cleanly' daemon_stop
empty() { [ -z "$(ls -d "$group"/worker-* 2>/dev/null)" ]; }
check 'and takes its groups with it' within 20 empty
finish
