# shellcheck shell=bash disable=SC2154 # sourced by run, which sets here, root, target, cache, out, bin_dir, plugins_dir, fixtures_dir
# What the test bed needs on the host: the guest's kernel, our binaries.

require_debian() {
	local tool
	for tool in apt-get apt-cache dpkg dpkg-deb; do
		command -v "$tool" >/dev/null || die "this test bed needs Debian or Ubuntu: '$tool' is missing" \
			"(it takes the guest's kernel from the package archive with apt-get and dpkg-deb)"
	done
	local arch
	arch=$(dpkg --print-architecture)
	[[ $arch == amd64 ]] || die "this test bed needs an amd64 system, this one is $arch"
}

# Only tests that say "# needs: midimon" need our binaries.
require_binaries() {
	local name binary
	needs_midimon=
	for name in "${chosen[@]}"; do
		grep -q '^# needs: midimon' "$here/guest/$name" && needs_midimon=1
	done
	[[ $needs_midimon ]] || return 0
	for binary in midimon midimon-worker midimon-worker-wasm midimon-worker-wasm-net midimon-compile; do
		[[ -x $bin_dir/$binary ]] || die "$bin_dir/$binary is missing: run 'make build' first (or set MIDIMON_BIN_DIR)"
	done
	[[ -d $plugins_dir ]] || die "$plugins_dir is missing: run 'make plugins' first (or set MIDIMON_PLUGINS_DIR)"
	[[ -d $fixtures_dir ]] || die "$fixtures_dir is missing: run 'make plugins' first (or set MIDIMON_FIXTURES_DIR)"
}

# The program of a test target of midimon-tests, built.
test_program() { # TARGET
	local program
	program=$(CARGO_TARGET_DIR=$target cargo test --release --quiet -p midimon-tests --test "$1" --no-run \
		--message-format json | sed -n "s/.*\"name\":\"$1\".*\"executable\":\"\([^\"]*\)\".*/\1/p" | tail -n 1)
	[[ -x $program ]] || die "the tests $1 do not build"
	echo "$program"
}

# Only tests that say "# needs: hostile" need the hostile plugins and the tests that use them;
# "# needs: test TARGET" is another target of midimon-tests. Sets $hostile_tests, and $test_programs by target.
require_test_programs() {
	hostile_tests=
	declare -gA test_programs=()
	local name needed
	for name in "${chosen[@]}"; do
		if grep -q '^# needs: hostile' "$here/guest/$name" && [[ ! $hostile_tests ]]; then
			"$root/tests/hostile/build" "$target/hostile"
			hostile_tests=$(test_program hostile)
		fi
		for needed in $(sed -n 's/^# needs: test //p' "$here/guest/$name"); do
			test_programs[$needed]=$(test_program "$needed")
		done
	done
}

# The packages the newest distribution kernel consists of, one a line.
# Debian: linux-image-VERSION. Ubuntu: the modules are packages of their own.
kernel_packages() {
	local meta image version
	for meta in linux-image-amd64 linux-image-generic; do
		image=$(apt-cache depends --important "$meta" 2>/dev/null |
			sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -1)
		[[ $image ]] || continue
		version=${image#linux-image-}
		echo "$image"
		[[ $meta == linux-image-amd64 ]] || printf '%s\n' "linux-modules-$version" "linux-modules-extra-$version"
		return 0
	done
	return 1
}

# Downloads and unpacks the kernel and a static busybox, once a kernel version;
# nothing is installed. Sets $kernel, the folder of the unpacked tree, and $version.
require_kernel() {
	local names
	if ! names=$(kernel_packages); then
		((EUID)) || apt-get -qq update >>"$out/apt.log" 2>&1 || true
		names=$(kernel_packages) || die "apt knows no kernel package (linux-image-amd64 or linux-image-generic): run 'sudo apt-get update'"
	fi
	local image
	image=$(head -1 <<<"$names")
	version=${image#linux-image-}
	kernel=$cache/$version
	[[ -e $kernel ]] && return 0

	echo "tests/vm: downloading $image (once, about 70 MB)"
	local new
	new=$(mktemp -d "$cache/new.XXXXXX")
	chmod 755 "$new"
	# shellcheck disable=SC2086 # one word a package
	if ! (cd "$new" && apt-get -qq -o APT::Sandbox::User=root download $names busybox-static >>"$out/apt.log" 2>&1); then
		rm -rf "$new"
		die "could not download $image and busybox-static (old package lists? 'sudo apt-get update'):" "$(tail -5 "$out/apt.log")"
	fi
	local deb
	for deb in "$new"/*.deb; do
		dpkg-deb -x "$deb" "$new"
		rm "$deb"
	done
	# Debian has /lib/modules, and newer releases /usr/lib/modules.
	[[ -d $new/lib/modules ]] || ln -sfn usr/lib "$new/lib"
	depmod -b "$new" "$version"
	uncompress_kernel "$new/boot/vmlinuz-$version" "$new/vmlinux"
	mv -T "$new" "$kernel" 2>/dev/null || rm -rf "$new" # another run was faster
}

# The ELF image inside a bzImage: it boots three times as fast as the bzImage,
# which the emulated processor would have to unpack. Offsets: the kernel's
# Documentation/x86/boot.rst (setup_sects, payload_offset, payload_length).
uncompress_kernel() { # VMLINUZ VMLINUX
	local sectors offset length start unpack
	sectors=$(od -An -tu1 -j $((0x1f1)) -N1 "$1")
	offset=$(od -An -tu4 -j $((0x248)) -N4 "$1")
	length=$(od -An -tu4 -j $((0x24c)) -N4 "$1")
	start=$(((sectors + 1) * 512 + offset))
	case $(od -An -tx1 -j $start -N4 "$1" | tr -d ' ') in
	fd377a58) unpack=(xz -dc --single-stream) ;;
	28b52ffd) unpack=(zstd -dc) ;;
	1f8b*) unpack=(gzip -dc) ;;
	*) die "$1: a compression this script does not know" ;;
	esac
	# The payload ends in its own length, which the tools call trailing garbage.
	tail -c +$((start + 1)) "$1" | head -c "$length" | "${unpack[@]}" >"$2" 2>/dev/null || true
	[[ $(od -An -tx1 -N4 "$2" | tr -d ' ') == 7f454c46 ]] || die "$1: no ELF image inside"
}
