# needs: midimon
# needs: hostile
# needs: test control_socket
# needs: test plugin_login
# timeout: 900
# What takes root, as everything in here has: to be another user too, and to choose a process's number.
. /tests/lib.sh

for program in tests/control_socket tests/plugin_login hostile/tests; do
	log=${program%%/*}-${program##*/}.log
	test_program root "$log" "/opt/midimon/$program" --ignored
	check "$program: what takes root was run, and well" grep -q '^test result: ok\. [1-9]' "$WORK/$log"
done
finish
