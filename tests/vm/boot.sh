# shellcheck shell=bash disable=SC2154 # sourced by run, which sets out, deadline; kernel by setup.sh
# Starts the machine, shows what the guest prints, and counts its results.

boot() {
	local started=$SECONDS status=0
	# QEMU must not see the end of its input, which under CI is /dev/null:
	# a FIFO that is open for reading and writing never ends.
	mkfifo "$out/stdin"
	exec 3<>"$out/stdin"
	# Software emulation: /dev/kvm may exist and still not work.
	timeout --foreground -k 5 "$deadline" qemu-system-x86_64 \
		-accel tcg,thread=multi -smp 2 -cpu max -M pc -m 2048 \
		-nodefaults -no-user-config -display none -no-reboot \
		-kernel "$kernel/vmlinux" -initrd "$out/initrd" \
		-append "console=ttyS0 quiet panic=-1 nokaslr mitigations=off no_timer_check tsc=reliable cryptomgr.notests audit=0 nowatchdog" \
		-chardev file,id=con,path="$out/console.log" -serial chardev:con \
		-device virtio-serial-pci \
		-chardev stdio,id=out,signal=off -device virtserialport,chardev=out,name=output \
		-chardev file,id=status,path="$out/status" -device virtserialport,chardev=status,name=status \
		-chardev file,id=results,path="$out/results.tar" -device virtserialport,chardev=results,name=results \
		<&3 2>"$out/qemu.log" | tee "$out/output.log" || status=${PIPESTATUS[0]}
	exec 3>&-
	rm "$out/stdin" "$out/initrd"
	mkdir "$out/results"
	tar -xf "$out/results.tar" -C "$out/results" 2>/dev/null && rm "$out/results.tar"

	if ((status == 124 || status == 137)); then
		tail -n 20 "$out/console.log" >&2
		die "the machine did not finish within $deadline s (--deadline); its console is above, all logs are in $out"
	fi
	if [[ $status != 0 || ! -s $out/status ]]; then
		cat "$out/qemu.log" >&2
		tail -n 20 "$out/console.log" >&2
		die "the machine stopped before its tests ended (QEMU's exit status $status); all logs are in $out"
	fi
	local passed failed
	passed=$(grep -c '^ok ' "$out/output.log" || true)
	failed=$(grep -c '^not ok ' "$out/output.log" || true)
	echo "tests/vm: $((SECONDS - started)) s in the machine, logs in $out"
	echo "$passed passed, $failed failed"
	((failed == 0 && passed > 0))
}
