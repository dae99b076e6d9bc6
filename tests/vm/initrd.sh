# shellcheck shell=bash disable=SC2154 # sourced by run, which sets here, target, out, bin_dir, plugins_dir, fixtures_dir; kernel, version by setup.sh
# Builds the guest's file system: one uncompressed cpio archive.

# With their arguments, in the order they are loaded.
modules=(
	virtio_pci virtio_console
	snd-seq snd-hrtimer snd-seq-dummy "snd-virmidi midi_devs=2" snd-seq-midi
	uinput evdev
	"dummy_hcd num=4" libcomposite usb_f_midi snd-usb-audio
)
tools=(aplaymidi aseqdump aconnect amidi stdbuf setpriv)

build_initrd() {
	tree=$out/tree
	mkdir -p "$tree"/{bin,dev,proc,sys,run,tmp,etc,root,results,modules,tests,usr/bin,usr/share}
	local busybox
	for busybox in "$kernel"/{usr/,}bin/busybox; do
		[[ -x $busybox ]] && install -m755 "$busybox" "$tree/bin/busybox"
	done
	add_modules
	local tool
	for tool in "${tools[@]}"; do
		add_program "$(command -v "$tool")" "/usr/bin/$tool"
	done
	# stdbuf works by preloading this library.
	add_program "$(find /usr/lib* -name libstdbuf.so -print -quit)"
	cp -a /usr/share/alsa "$tree/usr/share/"
	if [[ $needs_midimon ]]; then
		add_midimon
	fi
	if [[ $hostile_tests ]]; then
		add_hostile
	fi
	local name
	for name in "${!test_programs[@]}"; do
		add_test_program "${test_programs[$name]}" "/opt/midimon/tests/$name"
	done
	add_tests
	(cd "$tree" && find . -print0 | cpio --null --create --format=newc --owner=0:0 --quiet) >"$out/initrd"
	rm -rf "$tree"
}

# Modules are copied unpacked; "order" lists what to insmod, one a line with arguments.
add_modules() {
	local entry name args what path rest file
	for entry in "${modules[@]}"; do
		read -r name args <<<"$entry"
		# -C: the host's own modprobe settings are none of the guest's business.
		modprobe -C /dev/null -d "$kernel" -S "$version" --show-depends "$name" >"$out/depends" ||
			die "kernel $version has no module $name"
		while read -r what path rest; do
			[[ $what == insmod ]] || continue # builtin
			file=${path##*/}
			file=${file%.xz}
			file=${file%.zst}
			[[ -e $tree/modules/$file ]] && continue
			case $path in
			*.xz) xz -dc "$path" ;;
			*.zst) zstd -dcq "$path" ;;
			*) cat "$path" ;;
			esac >"$tree/modules/$file"
			# Arguments are meant for the module itself, which comes last.
			[[ ${file//-/_} == "${name//-/_}.ko" ]] && file="$file $args"
			echo "$file" >>"$tree/modules/order"
		done <"$out/depends"
	done
	rm "$out/depends"
}

# A program or library with the libraries it is linked to, at the paths ldd names.
add_program() { # FILE [PLACE IN THE GUEST]
	local library
	install -D -m755 "$1" "$tree${2:-$1}"
	ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
		[[ -e $tree$library ]] || install -D -m755 "$(realpath "$library")" "$tree$library"
	done || true # a static program has none
}

add_midimon() {
	local binary
	for binary in midimon midimon-worker midimon-worker-wasm midimon-worker-wasm-net midimon-compile; do
		add_program "$bin_dir/$binary" "/opt/midimon/$binary"
		# Line tables are most of their size, and the guest's disk is memory.
		strip --strip-debug "$tree/opt/midimon/$binary" 2>/dev/null || true
	done
	cp -rL "$plugins_dir" "$tree/opt/midimon/plugins"
	cp -rL "$fixtures_dir" "$tree/opt/midimon/fixtures"
	# Native plugins may be linked to libraries of their own.
	local plugin
	while read -r plugin; do
		add_program "$plugin"
		rm "$tree$plugin"
	done < <(find -L "$plugins_dir" "$fixtures_dir" -name '*.so' -exec realpath {} +)
}

add_test_program() { # FILE PLACE
	add_program "$1" "$2"
	strip --strip-debug "$tree$2" 2>/dev/null || true
}

# The hostile plugins as they are, and the program that tries them.
add_hostile() {
	mkdir -p "$tree/opt/midimon/hostile"
	add_test_program "$hostile_tests" /opt/midimon/hostile/tests
	cp "$target"/hostile/{*.so,outside} "$tree/opt/midimon/hostile/"
	# what they are linked to
	local library
	for library in "$target"/hostile/*.so; do
		add_program "$library" "/opt/midimon/hostile/${library##*/}"
	done
}

add_tests() {
	cp "$here"/guest/{init,lib.sh} "$tree/tests/"
	local name
	for name in "${chosen[@]}"; do
		cp "$here/guest/$name" "$tree/tests/"
	done
	chmod 755 "$tree/tests/init"
	ln -s tests/init "$tree/init"
	cp "$here/guest/passwd" "$here/guest/group" "$tree/etc/"
}
