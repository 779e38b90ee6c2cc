#!/bin/busybox sh
# The first process of the virtual machine: runs the tests, line by line, and says whether all passed.
/bin/busybox mkdir -p /applets
/bin/busybox --install -s /applets
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/applets NSID_BIN=/nsid COREDNS_BIN=/coredns RUST_TEST_THREADS=1
mkdir -p /proc /sys /dev /run /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs run /run
ip link set lo up

for module in /modules/*; do
    case $module in
    *.xz) unxz "$module" && module=${module%.xz} ;;
    esac
    [ -e "$module" ] && insmod "$module"
done

passed=passed
while read -r test filter; do
    "$test" --nocapture $filter || passed=failed
done </tests.list
echo "all-tests: $passed"
poweroff -f
