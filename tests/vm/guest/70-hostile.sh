# needs: midimon
# needs: hostile
# timeout: 2000
# The hostile plugins on this older kernel, whose Landlock knows less: as root and as an
# ordinary user. What Landlock cannot refuse here the filters must.
. /tests/lib.sh

for user in root nobody; do
	test_program "$user" "$user.log" /opt/midimon/hostile/tests --test-threads 2 \
		--skip wasi --skip examples --skip rust --skip hundreds \
		files:: processes:: memory:: network:: sweep:: honest::
	check "$user: every hostile test ran to its end" grep -q '^test result: ' "$WORK/$user.log"
done
mount -t securityfs securityfs /sys/kernel/security
check 'Landlock is there' grep -q landlock /sys/kernel/security/lsm
finish
