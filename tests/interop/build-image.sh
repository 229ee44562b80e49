#!/usr/bin/env bash
# Builds the peer's kernel and initramfs out of Debian packages, fetched with `apt-get download` and unpacked with `dpkg -x`
# under build/: nothing of the guest is installed on the host, nothing is compiled. Prints nothing on the second run.
# Exit code 3, with the reason on the last line of stderr, says that this machine cannot have the image; 1 is a fault.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${INTEROP_BUILD:-$here/build}
kernel_meta=linux-image-6.12-amd64
userland=(rdmacm-utils ibverbs-utils ibverbs-providers iproute2 busybox-static dash)
binaries=(/usr/bin/rping /usr/bin/ibv_devinfo /bin/ip /bin/dash)
# rxe asks the crypto API for crc32 by name, so nothing's dependencies mention it.
modules=(virtio_pci virtio_net virtio_rng rdma_rxe ib_uverbs rdma_ucm crc32_generic crc32_pclmul)
host_packages=(qemu-system-x86 kmod cpio zstd xz-utils busybox-static)

say() { echo "build-image: $*" >&2; }
cannot() { say "$*"; exit 3; }

# What the image is made from; another recipe makes another image.
recipe=$(cat "$here/build-image.sh" "$here/guest-init" | sha256sum | cut -d' ' -f1)

host_tools() {
  local missing=() tool
  # kmod's tools live in /sbin, which is not in everybody's PATH.
  export PATH=$PATH:/usr/sbin:/sbin
  for tool in qemu-system-x86_64 modprobe depmod cpio xz; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then cannot "not a Debian system (no apt-get)"; fi
  [ "$(dpkg --print-architecture)" = amd64 ] || cannot "the recipe is for amd64, this is $(dpkg --print-architecture)"
  if [ "$(id -u)" = 0 ]; then
    apt-get update -qq >"$build/apt.log" 2>&1 || say "apt-get update failed, going on with the lists at hand"
    [ ${#missing[@]} = 0 ] || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      "${host_packages[@]}" >>"$build/apt.log" 2>&1 || cannot "cannot install ${host_packages[*]} (see $build/apt.log)"
  elif [ ${#missing[@]} != 0 ]; then
    cannot "${missing[*]} missing and not root; as root: apt-get install --no-install-recommends ${host_packages[*]}"
  fi
}

# Packages that a dependency names but no binary of ours loads anything from.
not_in_guest='^(debconf|cdebconf|dpkg|perl.*|libperl.*|python3.*|libpython3.*|passwd|adduser|tar|gcc-12-base|systemd.*|'
not_in_guest+='ucf|sensible-utils|usrmerge|usr-is-merged|init-system-helpers)$'

candidates() {
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
    grep -E '^[a-z0-9]' | grep -v ':' | sort -u | grep -vE "$not_in_guest"
}

fetch() {
  local image package list=()
  image=$(apt-cache depends "$kernel_meta" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -1)
  [ -n "$image" ] || cannot "this distribution has no $kernel_meta (Debian 12 with security updates is what the recipe knows)"
  while read -r package; do
    case $(apt-cache policy "$package" | sed -n 's/.*Candidate: //p') in [0-9]*) list+=("$package") ;; esac
  done < <(candidates "${userland[@]}")
  mkdir -p "$build/deb/kernel" "$build/deb/userland"
  say "fetching $image and ${#list[@]} packages"
  # The archives are read as the user who runs this: no sandbox user, who could not write here.
  (cd "$build/deb/kernel" && apt-get download -o APT::Sandbox::User=root -qq "$image") >>"$build/apt.log" 2>&1 ||
    cannot "cannot download $image (see $build/apt.log)"
  (cd "$build/deb/userland" && apt-get download -o APT::Sandbox::User=root -qq "${list[@]}") >>"$build/apt.log" 2>&1 ||
    cannot "cannot download the guest's packages (see $build/apt.log)"
}

unpack() {
  local deb
  dpkg -x "$build"/deb/kernel/linux-image-*.deb "$build/kernel"
  for deb in "$build"/deb/userland/*.deb; do dpkg -x "$deb" "$build/sysroot"; done
}

# Copies a file of the sysroot into the guest, followed through symbolic links that are relative to the sysroot.
take() {
  local from=$build/sysroot$1 target
  while [ -L "$from" ]; do
    target=$(readlink "$from")
    case $target in /*) from=$build/sysroot$target ;; *) from=$(dirname "$from")/$target ;; esac
  done
  [ -f "$from" ] || { say "no $1 in the packages"; exit 1; }
  install -D -m755 "$from" "$root$1"
}

# The guest's own loader tells what a binary needs, so neither binutils nor a chroot is wanted.
libraries_of() {
  local path=$build/sysroot/lib/x86_64-linux-gnu:$build/sysroot/usr/lib/x86_64-linux-gnu
  "$build"/sysroot/lib64/ld-linux-x86-64.so.2 --library-path "$path" --list "$build/sysroot$1" |
    sed -n "s|.* => $build/sysroot\(/[^ ]*\) .*|\1|p"
}

copy_userland() {
  local file library provider=/usr/lib/x86_64-linux-gnu/libibverbs/librxe-rdmav34.so
  mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,proc,sys,dev,etc,tmp,run}
  take /bin/busybox
  "$build/sysroot/bin/busybox" --list | grep -vx busybox |
    while read -r file; do ln -sf busybox "$root/bin/$file"; done
  for file in "${binaries[@]}"; do rm -f "$root$file"; take "$file"; done
  # iproute2's rdma is in /sbin or /usr/bin, by version; the busybox shell would prefer its own `ip`, so sh is dash.
  for file in /usr/bin/rdma /sbin/rdma; do [ ! -e "$build/sysroot$file" ] || { take "$file"; binaries+=("$file"); }; done
  ln -sf dash "$root/bin/sh"
  ln -sf ../bin/busybox "$root/sbin/modprobe"
  take "$provider"
  install -D -m644 "$build/sysroot/etc/libibverbs.d/rxe.driver" "$root/etc/libibverbs.d/rxe.driver"
  take /lib64/ld-linux-x86-64.so.2
  for file in "${binaries[@]}" "$provider"; do libraries_of "$file"; done | sort -u |
    while read -r library; do take "$library"; done
  # glibc opens this one by name when a thread ends: without it rping aborts after its work.
  for file in /lib /usr/lib; do
    library=$file/x86_64-linux-gnu/libgcc_s.so.1
    if [ -e "$build/sysroot$library" ]; then take "$library"; fi
  done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo '127.0.0.1 localhost' >"$root/etc/hosts"
  echo 'hosts: files' >"$root/etc/nsswitch.conf"
}

copy_modules() {
  local version module file
  version=$(ls "$build/kernel/lib/modules")
  depmod -b "$build/kernel" "$version"
  mkdir -p "$root/lib/modules/$version"
  cp "$build/kernel/lib/modules/$version"/modules.{builtin,order,builtin.modinfo} "$root/lib/modules/$version/"
  for module in "${modules[@]}"; do
    modprobe -d "$build/kernel" -S "$version" --show-depends "$module" | awk '/^insmod/ { print $2 }'
  done | sort -u | while read -r file; do
    file=${file#"$build/kernel"}
    mkdir -p "$root$(dirname "$file")"
    case $file in
      *.xz) xz -dc "$build/kernel$file" >"$root${file%.xz}" ;;
      *) cp "$build/kernel$file" "$root$file" ;;
    esac
  done
  depmod -b "$root" "$version"
}

mkdir -p "$build"
build=$(cd "$build" && pwd)
host_tools
if [ "$(cat "$build/recipe" 2>/dev/null)" = "$recipe" ] && [ -s "$build/vmlinuz" ] && [ -s "$build/initramfs" ]; then exit 0; fi
rm -rf "$build"/{root,recipe}
root=$build/root
# Unpacking the kernel is most of the time: an edited recipe of the same packages does not repeat it.
if [ "$(cat "$build/packages" 2>/dev/null)" != "$kernel_meta ${userland[*]}" ]; then
  rm -rf "$build"/{deb,kernel,sysroot,packages}
  fetch
  unpack
  echo "$kernel_meta ${userland[*]}" >"$build/packages"
fi
copy_userland
copy_modules
install -m755 "$here/guest-init" "$root/init"
cp "$build"/kernel/boot/vmlinuz-* "$build/vmlinuz"
(cd "$root" && find . | cpio -o -H newc --quiet) >"$build/initramfs"
echo "$recipe" >"$build/recipe"
say "$(cd "$build" && du -sh vmlinuz initramfs | tr '\t\n' '  ')"
